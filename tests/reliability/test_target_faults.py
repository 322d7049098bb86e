"""Broken connections between the target and its destination: nothing lost, nothing half-written, no state ahead."""

from dataclasses import replace

import pytest
from tests.reliability.chains import KINDS, begin_chain, wired
from tests.reliability.destinations import open_destination
from tests.reliability.scripted import WAYS
from tests.wire import Rule

UNREACHABLE = 4


@pytest.fixture(params=KINDS)
def destination(request, sandbox):
    """An empty destination of each kind."""
    with open_destination(sandbox, KINDS[request.param]) as empty:
        yield empty


@pytest.fixture
def make_chain(request, destination, forks, tmp_path):
    """A table that holds a first version by now."""

    def make(way, **settings):
        kind = request.node.callspec.params["destination"]
        return begin_chain(kind, way, destination, tmp_path, forks, **settings)

    return make


def count_statements(chain):
    """How many statements a run sends."""
    every = Rule("", lambda _session: None, times=None)
    with wired(chain, every):
        chain.settle()
    return every.done


def before(_chain):
    """The connection breaks, and the statement does not reach the server."""
    return lambda session: session.cut()


def within(_chain):
    """The connection breaks after the server did the statement: its answer is lost."""
    return lambda session: session.cut_after(1)


def kill(chain):
    """An administrator ends the connection at the server."""

    def act(session):
        is_mysql = chain.destination.dialect == "mysql"
        words = f"KILL {session.identity}" if is_mysql else f"SELECT pg_terminate_backend({session.identity})"
        with chain.destination.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(words)

    return act


FAULTS = (before, within, kill)


def choose(statements, count, dice):
    """The first, the last, and some statements in between."""
    return [0, *dice.sample(range(1, statements - 1), count - 2), statements - 1]


@pytest.mark.parametrize("way", WAYS)
def test_a_broken_connection_costs_nothing(make_chain, way, seeded):
    """Broken or ended before, at and after any statement: exit 4 and one line, or all was done before.

    No clean run in between makes good what a fault did: the next run, which another fault hits, goes on from the state.
    """
    chain = make_chain(way, retries=0)
    ended = []
    for number, place in enumerate(choose(count_statements(chain), 5, seeded)):
        held, until, fault = chain.done, chain.next_end, FAULTS[number % 3]
        rule = Rule("", fault(chain), skip=place)
        with wired(chain, rule):
            ended.append(chain.run())
        chain.require_sound(held, until)
        assert ended[-1].code == UNREACHABLE or (ended[-1].code, chain.done) == (0, until), ended[-1].log
    assert len([each.error for each in ended if each.code]) >= 3
    chain.settle()


@pytest.mark.parametrize("way", WAYS)
def test_a_broken_connection_is_made_again(make_chain, way, seeded):
    """With retries, a connection that breaks at any statement is a pause: exit 0, and exact."""
    chain = make_chain(way, retries=4)
    for place in choose(count_statements(chain), 3, seeded):
        rule = Rule("", seeded.choice(FAULTS)(chain), skip=place)
        with wired(chain, rule):
            chain.settle()
        assert rule.done


@pytest.mark.parametrize("way", WAYS)
def test_a_state_that_is_ahead_is_seen(make_chain, way):
    """The control: a target that sends STATE before it commits is caught by the comparison after a fault."""
    chain = make_chain(way, retries=0)
    chain.target = replace(chain.target, program="hasty-target")
    done, until = chain.done, chain.next_end
    with wired(chain, Rule("INTO .*_od_load_state", before(chain))):
        chain.run()
    with pytest.raises(AssertionError):
        chain.require_sound(done, until)
