"""Connections that break, at each kind of statement: a page is tried again, and what else fails the next run mends."""

from __future__ import annotations

import re
import signal
import socket
import struct
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from tests.reliability.harness import send
from tests.reliability.odd_taps import LONG_PAUSE
from tests.wire import Rule, Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.reliability.conftest import Practice
    from tests.reliability.harness import Pipe

# A network that fails at once, and pages of a size that the clock has no part in: the same statements in every run.
QUICK = {"read_timeout": 1, "max_page_seconds": 60, "tables": ["shelf", "visit", "memo"]}
# Linux closes such a socket with RST.
NO_LINGER = struct.pack("ii", 1, 0)
RETRIED = "trying again"
TARGET_GONE = 14


def reset(session):
    """An RST in the place of the answer."""
    session.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    session.client.shutdown(socket.SHUT_RD)
    session.cut()
    return True


def cut(session):
    """Seventy bytes of the answer, and then the end."""
    session.cut_after(70)


def stall(session):
    """No answer, on a connection that stays open."""
    return True


@pytest.fixture
def during(root, source):
    """An action while a statement runs: a lock on the table keeps it running, until the action is done."""

    def build(table, action):
        def act(session):
            with root.connect() as locking, root.connect() as acting:
                locking.exec_driver_sql(f"LOCK TABLES `{source.name}`.`{table}` WRITE")
                session.server.sendall(session.packet)
                wait_until(lambda: is_waiting(acting, session.identity))
                action(acting, session.identity)
                locking.exec_driver_sql("UNLOCK TABLES")
            return True

        return act

    return build


def is_waiting(connection, identity):
    state = f"SELECT STATE FROM information_schema.PROCESSLIST WHERE ID = {identity}"
    return "lock" in (connection.exec_driver_sql(state).scalar_one_or_none() or "").lower()


def wait_until(true, seconds=20):
    """Return when it is true; AssertionError when it is not within that time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill(what):
    def action(connection, identity):
        connection.exec_driver_sql(f"KILL {what} {identity}")

    return action


def outwait(connection, identity):
    """Wait until the statement is given up, by the server's limit or by the tap's."""
    wait_until(lambda: not is_waiting(connection, identity))


ON_THE_WIRE = {"reset": reset, "cut": cut, "stall": stall}
ON_THE_SERVER = {"kill query": kill("QUERY"), "kill connection": kill("CONNECTION"), "timeout": outwait}


@pytest.fixture
def wired(source):
    """The tap behind a proxy that acts at one statement: a context manager with the port's setting."""

    @contextmanager
    def behind(*rules):
        with Wire("127.0.0.1", source.engine.url.port, *rules) as wire:
            yield {"port": wire.port}

    return behind


def statements_of(pipe, wired, pattern):
    """The statements of a run without a fault that match; a copy of the pipe makes it."""
    seen = []
    rule = Rule(pattern, lambda session: seen.append(session.packet[5:].decode(errors="replace")), times=None)
    with wired(rule) as port:
        pipe.settle(**port)
    return seen


PAGE = re.compile(f"FROM `({'|'.join(QUICK['tables'])})`")
SHAPE = re.compile(r"\d+|'[^']*'")


def places_of_kinds(statements):
    """Where a statement of each kind comes first; kinds differ in more than numbers and texts."""
    kinds = {}
    for place, statement in enumerate(statements):
        kinds.setdefault(SHAPE.sub("?", statement), place)
    return kinds.values()


@dataclass(frozen=True)
class Updated:
    """A store that lacks 60 changes of each table; every run is made on a copy of it."""

    practice: Practice
    pipe: Pipe
    folders: Callable[[str], Path]

    def copy(self):
        """The pipe over a new copy."""
        return self.pipe.copy(self.folders("copy"))

    def differing(self, pipe):
        """What differs of the three tables."""
        return self.practice.source.differing(pipe, *QUICK["tables"])


@pytest.fixture
def updated(practice, make_pipe, tmp_path_factory):
    """The three tables read once, and then worked on."""
    pipe = make_pipe(**QUICK)
    pipe.settle()
    practice.writer.work(60)
    return Updated(practice, pipe, tmp_path_factory.mktemp)


@pytest.mark.parametrize("table", QUICK["tables"])
@pytest.mark.parametrize("fault", [*ON_THE_WIRE, *ON_THE_SERVER])
def test_a_page_is_tried_again(updated, wired, during, table, fault):
    """A fault at the first, a middle and the last page: the run ends well, the log tells of it, every row is exact."""
    pages = f"FROM `{table}`"
    count = len(statements_of(updated.copy(), wired, pages))
    assert count >= 3
    act = ON_THE_WIRE.get(fault) or during(table, ON_THE_SERVER[fault])
    for place in (0, count // 2, count - 1):
        pipe, rule = updated.copy(), Rule(pages, act, skip=place)
        with wired(rule) as port:
            outcome = pipe.run(**port)
        assert rule.done == 1
        assert (outcome.code, outcome.target_code) == (0, 0), (place, outcome.log[-2000:])
        assert RETRIED in outcome.log
        assert updated.differing(pipe) == {}


def interrupt(session):
    """The server's answer to a statement that was killed."""
    session.answer_error(1317, "Query execution was interrupted")
    return True


@pytest.mark.parametrize("fault", [cut, interrupt])
def test_a_fault_outside_of_pages_costs_no_row(updated, wired, fault):
    """Each kind of statement but pages gets the fault in turn: of connecting, discovery, locks, clocks and facts.

    Each run ends well, or with one line and a documented code; one without a fault makes good what all of them left.
    """
    statements = statements_of(updated.copy(), wired, ".")
    pipe, codes = updated.copy(), []
    for place in places_of_kinds(statements):
        if PAGE.search(statements[place]):
            continue
        rule = Rule(".", fault, skip=place)
        with wired(rule) as port:
            outcome = pipe.run(**port)
        assert (rule.done, outcome.target_code, "Traceback" in outcome.log) == (1, 0, False)
        if outcome.code:
            assert outcome.code in (4, 10) or (outcome.code == 1 and "MySQL error 1317" in outcome.last_line)
            assert outcome.last_line.startswith("tap-opendental: error: "), outcome.log[-2000:]
        codes.append(outcome.code)
        updated.practice.writer.work(20)
    pipe.settle()
    assert len(codes) > 15
    assert any(codes)
    assert updated.differing(pipe) == {}


def test_a_server_that_stays_away_ends_the_run(updated, wired):
    """When every try fails, the run ends with the code of an unreachable server; the next run makes it exact."""
    pipe = updated.copy()
    with wired(Rule("FROM `visit`", cut, skip=2, times=None)) as port:
        outcome = pipe.run(page_retries=1, **port)
    assert outcome.code == 10, outcome.log[-2000:]
    assert "1 of 3 streams failed, the others are whole: visit (the connection" in outcome.last_line
    assert set(updated.differing(pipe)) == {"visit"}
    pipe.settle()
    assert updated.differing(pipe) == {}


def test_a_signal_in_a_pause_ends_the_run(updated, wired):
    """SIGTERM when the pause before another try has just begun, an hour of it left: the run ends at once, with 143.

    What it had sent counts, and the next run makes it exact.
    """
    pipe, begin = updated.copy(), time.monotonic()
    with wired(Rule("FROM `visit`", cut, skip=2, times=None)) as port:
        outcome = replace(pipe, program="tired-tap").run(**port)
    assert (outcome.code, outcome.target_code) == (143, 0), outcome.log[-2000:]
    assert outcome.log.count(RETRIED) == 1
    assert time.monotonic() - begin < LONG_PAUSE / 100
    pipe.settle()
    assert updated.differing(pipe) == {}


@pytest.mark.parametrize("line", [2, 60])
def test_a_target_that_stands_still_costs_nothing(updated, root, line):
    """The server ends the reading connection while the tap waits for its reader: it goes on with another, exactly."""
    user = updated.practice.source.reader.username
    reading = f"SELECT MIN(ID) FROM information_schema.PROCESSLIST WHERE USER = '{user}'"

    def stand_still(_tap):
        with root.connect() as connection:
            wait_until(lambda: connection.exec_driver_sql(f"{reading} AND COMMAND = 'Sleep'").scalar_one())
            connection.exec_driver_sql(f"KILL CONNECTION {connection.exec_driver_sql(reading).scalar_one()}")

    pipe = updated.copy()
    outcome = pipe.run({line: stand_still})
    assert (outcome.code, outcome.target_code) == (0, 0), outcome.log[-2000:]
    assert RETRIED in outcome.log
    assert updated.differing(pipe) == {}


def leave(act=lambda _tap: None):
    """What a target does that ends there, after an action: the tap's next write finds nobody who reads."""

    def event(tap):
        act(tap)
        raise BrokenPipeError

    return event


@pytest.mark.parametrize(("act", "code"), [(leave(), TARGET_GONE), (leave(send(signal.SIGTERM)), 143)])
def test_a_target_that_ends_is_told_apart(updated, act, code):
    """A target that ended has an exit code of its own, in one line; a signal that ended both has the signal's."""
    outcome = updated.copy().run({4: act})
    assert outcome.code == code, outcome.log[-2000:]
    assert "Traceback" not in outcome.log
    assert ("error: the target ended before the tap was done" in outcome.last_line) == (code == TARGET_GONE)


def test_a_kill_while_the_target_stands_still(updated):
    """SIGKILL while the tap waits for its reader: half a line at most, and the next run makes it exact."""

    def late(tap):
        time.sleep(0.3)
        send(signal.SIGKILL)(tap)

    pipe = updated.copy()
    assert pipe.run({25: late}).code == -signal.SIGKILL
    pipe.settle()
    assert updated.differing(pipe) == {}
