"""Runs at the same time: one reads a table, the others wait or are refused; a lock that is lost stops its stream."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace

import pytest
from tests.reliability.harness import send

LOCKED, PARTIAL = 13, 10


@pytest.fixture
def twins(practice, make_pipe):
    """A function that makes one more run for the same destination, with a store of its own to compare."""
    return lambda **settings: make_pipe(tables=["visit"], **settings)


def test_a_second_run_is_refused(practice, twins):
    """While a run is in the middle of a table, another one waits as long as it may, and ends with 13 and no row."""
    first, second, refused = twins(), twins(lock_wait_seconds=1), []
    outcome = first.run({40: lambda _: refused.append(second.run())})
    assert (refused[0].code, refused[0].records) == (LOCKED, 0)
    assert "lock_wait_seconds" in refused[0].last_line
    assert (outcome.code, outcome.target_code) == (0, 0)
    assert practice.source.differing(first, "visit") == {}
    second.settle()
    assert practice.source.differing(second, "visit") == {}


def test_another_destination_is_not_kept_waiting(practice, twins):
    """With a lock_name of its own, a run for another destination reads the table at the same time."""
    first, second, ended = twins(), twins(lock_name="elsewhere", lock_wait_seconds=0), []
    first.run({40: lambda _: ended.append(second.run())})
    assert ended[0].code == 0
    assert practice.source.differing(first, "visit") == {}
    assert practice.source.differing(second, "visit") == {}


def test_five_runs_take_turns(practice, make_pipe):
    """Five runs over all tables that start together wait for one another, table by table; each of them is exact."""
    pipes = [make_pipe(lock_wait_seconds=100) for _ in range(5)]
    outcomes = {}
    threads = [threading.Thread(target=lambda n=n: outcomes.update({n: pipes[n].run()})) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.code for outcome in outcomes.values()] == [0] * 5
    assert any("waiting" in outcome.log for outcome in outcomes.values())
    assert [practice.differing(pipe) for pipe in pipes] == [{}] * 5


def test_a_killed_run_leaves_no_lock(practice, twins):
    """The server frees the lock of a run that was killed: the next one need not wait, and goes on where it was."""
    pipe = twins(lock_wait_seconds=5)
    assert pipe.run({40: send(signal.SIGKILL)}).code == -signal.SIGKILL
    pipe.settle()
    assert practice.source.differing(pipe, "visit") == {}


@pytest.mark.parametrize(("tables", "code"), [(["visit"], LOCKED), (["visit", "memo"], PARTIAL)])
def test_a_lost_lock_stops_its_stream(practice, twins, root, tables, code):
    """A run whose lock another one took in mid-table stops there, and says so; what it had sent counts, and no more."""
    pipe = replace(twins(), config=practice.source.config(tables=tables, max_pages_per_second=4))
    own = f"tap-opendental/{practice.source.name}.{practice.source.reader.username}"
    thieves = []

    def steal(_tap):
        connection = root.connect()
        (held,) = [name for table in tables if holder(connection, name := f"{own}/{table}")]
        connection.exec_driver_sql(f"KILL CONNECTION {holder(connection, held)}")
        assert connection.exec_driver_sql("SELECT GET_LOCK(%s, 5)", (held,)).scalar_one() == 1
        thieves.append(connection)

    outcome = pipe.run({5: steal})
    thieves[0].close()
    assert (outcome.code, outcome.target_code) == (code, 0), outcome.log[-2000:]
    assert "stopped, since its lock" in outcome.last_line
    practice.writer.work(5)
    pipe.settle(max_pages_per_second=None)
    pipe.settle(max_pages_per_second=None)
    assert practice.source.differing(pipe, *tables) == {}


def holder(connection, lock):
    """Who holds a lock: a connection's number, or None."""
    return connection.exec_driver_sql("SELECT IS_USED_LOCK(%s)", (lock,)).scalar_one()
