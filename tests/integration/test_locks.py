"""Locks on a real server: two runs never read one stream together, and no lock outlives its run."""

import logging
import re
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import pytest

from opendental_analyze.sandbox.addresses import READER, SOURCE, mariadb_url
from opendental_analyze.sandbox.databases import mariadb_root
from tap_opendental.connector import SourceAddress
from tap_opendental.errors import UnreachableError
from tap_opendental.locks import LockedError, LockLostError, StreamLocks, name_lock

# A run of its own: it takes the lock of `patient`, says so, and holds it until its standard input ends.
RUN = """
import sys
from tap_opendental.connector import SourceAddress
from tap_opendental.locks import StreamLocks

host, port, user, password, database = sys.argv[1:]
locks = StreamLocks(SourceAddress(host, int(port), user, password, database), "clinic", 30, lambda: None)
with locks.hold("patient"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def address(sandbox):
    """The source as its reader, who has the right to SELECT and no more."""
    url = mariadb_url(sandbox.state, READER, SOURCE)
    return SourceAddress(url.host, url.port, url.username, url.password, url.database)


@pytest.fixture
def server(sandbox):
    """The server as its administrator: a function that runs one statement and returns its rows."""
    root = mariadb_root(sandbox.state)
    with root.connect() as connection:
        yield lambda statement, *values: connection.exec_driver_sql(statement, values)


@pytest.fixture
def run_locks(address):
    """Make the locks of one more run: `run_locks(lock_name="clinic", wait_seconds=0)`; all are closed at the end."""
    with ExitStack() as stack:

        def make(lock_name="clinic", wait_seconds=0, **options):
            locks = StreamLocks(address, lock_name, wait_seconds, **{"stop_if_asked": lambda: None, **options})
            stack.callback(locks.close)
            return locks

        yield make


@contextmanager
def another_process(address):
    """A process that takes the lock of `patient`; it ends, at the latest, with the block."""
    place = [address.host, str(address.port), address.user, address.password, address.database]
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def find_holder(server, lock_name="clinic", stream="patient"):
    """The id of the connection that holds a stream's lock, or None."""
    return server("SELECT IS_USED_LOCK(%s)", name_lock(lock_name, stream)).scalar()


def wait_until(condition):
    """Wait for something that the server does in its own time; fails after 20 s."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def fail_after(step):
    """Do something, then fail as a stream may."""
    assert step()
    message = "of the stream"
    raise ValueError(message)


def test_a_second_run_waits_then_is_refused(address, server, run_locks, caplog):
    """The stream of another process is waited for, with a line that says for whom, and refused after wait_seconds."""
    with another_process(address) as first:
        assert first.stdout.readline() == "held\n"
        holder = find_holder(server)
        started = time.monotonic()
        with (
            caplog.at_level(logging.INFO, "tap-opendental"),
            pytest.raises(LockedError) as refused,
            run_locks(wait_seconds=1).hold("patient"),
        ):
            pytest.fail("the lock was given twice")
        assert time.monotonic() - started >= 1
    line = "Stream patient: waiting up to 1 s for lock 'tap-opendental/clinic/patient', held by connection"
    assert [f"{line} {holder} of the server"] == caplog.messages
    told = str(refused.value)
    assert re.search(r"stream patient .*'tap-opendental/clinic/patient' was not free within 1 s", told)
    assert f"connection {holder} " in told
    assert "lock_wait_seconds" in told
    assert "\n" not in told


def test_a_second_run_takes_over_when_the_first_is_done(address, server, run_locks):
    """Who waits gets the lock as soon as it is freed, long before the wait is over."""
    waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT GET_LOCK%%'"
    with ExitStack() as first:
        first.enter_context(run_locks().hold("patient"))
        with another_process(address) as second:
            wait_until(lambda: server(waiting).scalar_one() == 1)
            holder = find_holder(server)
            first.close()
            assert second.stdout.readline() == "held\n"
            assert find_holder(server) not in {None, holder}


def test_locks_that_do_not_meet(run_locks):
    """Another destination or another table is free; the same of both is not, which shows that the lock was held."""
    with run_locks().hold("patient"):
        with run_locks(lock_name="other").hold("patient"), run_locks().hold("appointment"):
            pass
        with pytest.raises(LockedError), run_locks().hold("patient"):
            pass
        with pytest.raises(LockedError), run_locks(lock_name="CLINIC").hold("Patient"):
            pass


def test_a_killed_process_leaves_no_lock(address, server, run_locks):
    """SIGKILL frees the lock: the next run reads the stream, without anybody's help."""
    with another_process(address) as first:
        assert first.stdout.readline() == "held\n"
        first.kill()
        first.wait()
        with run_locks(wait_seconds=20).hold("patient"):
            pass


def test_a_lost_lock_is_noticed(server, run_locks, caplog):
    """When the server ends the lock's connection, another run gets the lock and the first one stops."""
    times = iter([0.0, 1.0, 6.0, 6.0])
    locks = run_locks(clock=lambda: next(times))

    def read():
        with locks.hold("patient") as held:
            server(f"KILL {find_holder(server)}")
            with run_locks(wait_seconds=20).hold("patient"):
                held.require()  # 1 second after the last question: not asked yet
                held.require()

    with pytest.raises(LockLostError, match="stream patient stopped"):
        read()
    assert "Traceback" not in caplog.text


def test_a_lock_that_went_to_another_connection_is_noticed(run_locks):
    """A living connection is not enough: the lock must be held, and by it."""
    locks = run_locks()

    def read():
        with locks.hold("patient") as held:
            held.require(at_once=True)
            locks._ask("SELECT RELEASE_LOCK(%s)", name_lock("clinic", "patient"))
            with run_locks().hold("patient"):
                held.require(at_once=True)

    with pytest.raises(LockLostError, match="to another connection"):
        read()


def test_a_lost_connection_costs_one_stream_only(server, run_locks):
    """A connection that died between two streams, or with one, is replaced for the next."""
    locks = run_locks()
    with locks.hold("patient"):
        holder = find_holder(server)
    server(f"KILL {holder}")
    with locks.hold("appointment"):
        assert find_holder(server, stream="appointment") not in {None, holder}


def test_a_lock_is_freed_after_an_error(server, run_locks):
    """An error inside comes out as it is, and the lock is free before anything else happens."""
    with pytest.raises(ValueError, match="of the stream"), run_locks().hold("patient"):
        fail_after(lambda: find_holder(server))
    assert find_holder(server) is None
    with run_locks().hold("patient"):
        pass


def test_a_lock_that_cannot_be_freed_hides_no_error(server, run_locks, caplog):
    """The error that ended a stream is told, not that its lock went away as well: that is a line in the log."""
    with pytest.raises(ValueError, match="of the stream"), run_locks().hold("patient"):
        fail_after(lambda: server(f"KILL {find_holder(server)}"))
    assert caplog.messages == ["Stream patient: lock 'tap-opendental/clinic/patient' was lost before it was freed"]
    with run_locks(wait_seconds=20).hold("patient"):
        pass


def test_a_signal_ends_the_wait(server, run_locks):
    """SIGTERM is noticed between two slices of a wait of ten minutes, and leaves no lock behind."""
    asked = []

    def stop_if_asked():
        asked.append(True)
        if len(asked) == 3:
            raise SystemExit(143)

    with run_locks().hold("patient"):
        holder, started = find_holder(server), time.monotonic()
        with pytest.raises(SystemExit), run_locks(wait_seconds=600, stop_if_asked=stop_if_asked).hold("patient"):
            pass
        assert time.monotonic() - started < 60
        assert find_holder(server) == holder


def test_locks_only_select(run_locks, general_log):
    """What locks send is SELECT of one function each, beside what any connection of ours costs: no table is touched."""
    with general_log() as statements, run_locks().hold("patient") as held:
        held.require(at_once=True)
        with pytest.raises(LockedError), run_locks(wait_seconds=1).hold("patient"):
            pass
    assert [statement for statement in statements if not statement.startswith(("SET ", "SELECT "))] == []
    assert [statement for statement in statements if " FROM " in statement.upper()] == []
    assert {re.sub(r"\(.*?\)", "()", statement) for statement in statements if "_LOCK(" in statement} == {
        "SELECT GET_LOCK()",
        "SELECT IS_USED_LOCK()",
        "SELECT IS_USED_LOCK() = CONNECTION_ID()",
        "SELECT RELEASE_LOCK()",
    }


def test_hostile_names_are_only_names(run_locks):
    """Quotes, percent signs, wide characters and any length: a lock is taken and freed, and shuts others out."""
    for stream in ("it's %s `x` \\", "tooth \U0001f9b7" * 20, "", "x" * 300):
        with run_locks(lock_name="a'b%d").hold(stream):
            with pytest.raises(LockedError), run_locks(lock_name="a'b%d").hold(stream):
                pass
            with run_locks(lock_name="a'b%d").hold(stream + "y"):
                pass


def test_no_lock_no_connection():
    """--discover and --test take no lock, and so open no second connection; the first lock does."""
    locks = StreamLocks(SourceAddress("127.0.0.1", 1, "nobody", "", "none"), "clinic", 0, lambda: None)
    locks.close()
    with pytest.raises(UnreachableError), locks.hold("patient"):
        pass
