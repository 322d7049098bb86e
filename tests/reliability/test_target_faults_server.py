"""A destination that is busy, read-only, full or gone: waited for, or told in one line; nothing lost either way."""

import json
import threading
from contextlib import ExitStack, contextmanager, suppress

import pytest
from tests.reliability.chains import wait_until, wired
from tests.reliability.destinations import open_destination
from tests.reliability.scripted import Target
from tests.reliability.small_disks import small_disk
from tests.wire import Rule

from opendental_analyze.sandbox.databases import mariadb_root, postgres_root

UNREACHABLE, STORE_FAILED = 4, 18


@contextmanager
def background(action):
    """Run an action beside the block; its result is `.result` at the end."""

    class Running(threading.Thread):
        result = None

        def run(self):
            self.result = action()

    thread = Running()
    thread.start()
    yield thread
    thread.join()


# innodb_trx is a picture, taken anew when nobody looked at it for a tenth of a second.
WAITING = {
    "mysql": "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table%%lock'",
    "mysql rows": "SELECT COUNT(*), SLEEP(0.12) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
    "postgresql rows": "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
}


def wait_for_waiter(sandbox, chain, rows=""):
    """Wait until a session waits for a lock."""
    engine = mariadb_root(sandbox.state) if chain.destination.dialect == "mysql" else chain.destination.engine
    wait_until(engine, WAITING[chain.destination.dialect + rows], lambda found: found[0][0])


@contextmanager
def locked(chain):
    """Another session holds the table."""
    mode = "WRITE" if chain.destination.dialect == "mysql" else "IN ACCESS EXCLUSIVE MODE"
    with chain.destination.engine.connect() as connection:
        connection.exec_driver_sql(f"LOCK TABLE {chain.name()} {mode}")
        yield
        connection.exec_driver_sql("UNLOCK TABLES" if chain.destination.dialect == "mysql" else "ROLLBACK")


def test_a_lock_on_the_table_is_waited_for(sandbox, make_chain):
    """Somebody holds the table for a moment: the run waits, and ends as if nothing had been."""
    chain = make_chain()
    with ExitStack() as held:
        held.enter_context(locked(chain))
        with background(chain.settle):
            wait_for_waiter(sandbox, chain)
            held.close()
    assert chain.rows() == chain.script.rows(6)


def test_a_lock_that_stays_ends_the_run(make_chain):
    """Held for longer than lock_wait_seconds, at each try: exit 18, one line, the state of before; then exact again."""
    chain = make_chain(retries=1, lock_wait_seconds=1)
    with locked(chain):
        ended = chain.run()
    assert (ended.code, chain.done) == (STORE_FAILED, 3)
    assert "lock" in ended.error
    chain.require_sound(3, 3)
    chain.settle()


def test_a_deadlock_is_tried_again(sandbox, make_chain):
    """The server ends the run's transaction for another one's sake: it is loaded again, exact, and exit 0."""
    chain = make_chain()
    num = '"Num"' if chain.destination.dialect == "postgresql" else "Num"
    deadlocks = DEADLOCKS[chain.destination.dialect]
    before = count_deadlocks(sandbox, chain, deadlocks)
    change = f"UPDATE {chain.name()} SET {num} = {num} + {{}} WHERE {num} = {{}}"
    with chain.destination.engine.connect() as other:
        other.exec_driver_sql(f"CREATE TABLE {chain.name('heavy')} (n int primary key)")
        other.commit()
        numbers = ", ".join(f"({n})" for n in range(2000))
        other.exec_driver_sql(f"INSERT INTO {chain.name('heavy')} VALUES {numbers}")  # whoever did less is the victim
        other.exec_driver_sql(change.format(900, 23))
        with background(chain.run) as running:
            wait_for_waiter(sandbox, chain, " rows")
            other.exec_driver_sql(change.format(900, 20))
            other.rollback()
    assert running.result.code == 0, running.result.log
    assert count_deadlocks(sandbox, chain, deadlocks) > before
    assert chain.rows() == chain.script.rows(6)


DEADLOCKS = {
    "mysql": "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'Innodb_deadlocks'",
    "postgresql": "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
}


def count_deadlocks(sandbox, chain, question):
    """How many deadlocks the server has ended."""
    engine = mariadb_root(sandbox.state) if chain.destination.dialect == "mysql" else chain.destination.engine
    with engine.connect() as connection:
        return int(connection.exec_driver_sql(question).scalar_one())


@contextmanager
def read_only(sandbox, destination):
    """The server takes no writes."""
    database = destination.url.database
    words = "SET GLOBAL read_only = {}"
    engine = mariadb_root(sandbox.state)
    if destination.dialect == "postgresql":
        engine = postgres_root(sandbox.state)
        words = f"ALTER DATABASE {database} SET default_transaction_read_only = {{}}"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(words.format("on"))
        yield
        connection.exec_driver_sql(words.format("off"))
    engine.dispose()


def test_a_server_that_takes_no_writes(sandbox, make_chain):
    """A standby, or one that was set read-only: exit 18, one line that says so, and no state."""
    chain = make_chain()
    with read_only(sandbox, chain.destination):
        ended = chain.run()
    assert (ended.code, ended.states) == (STORE_FAILED, ())
    assert "read-only" in ended.error
    chain.require_sound(3, 3)
    chain.settle()


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_server_that_goes_down_for_good(make_chain, batch):
    """Down at the first, a middle or the last batch: exit 4 after the tries, the state behind what is committed."""
    chain = make_chain(retries=1)
    down = []
    rule = Rule("INTO .*_od_load_state", lambda _session: down[0].__exit__(), skip=batch - 1)
    with wired(chain, rule) as wire:
        down.append(wire)
        ended = chain.run()
    assert (ended.code, chain.done) == (UNREACHABLE, 3 + batch - 1), ended.log
    assert f":{wire.port}" in ended.error
    chain.require_sound(3, 6)
    chain.settle()


def fill(place):
    """Leave no room on a disk; the file that takes it."""
    path = place / "filler"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    return path


def test_a_full_disk(sandbox, make_chain, destination):
    """No space left in mid-load: exit 18, one line, no state, the rows of before; with room again all are here."""
    with small_disk(sandbox, destination) as place:
        chain = make_chain(retries=0)
        filler = fill(place)
        many = [json.dumps(record(num, "x" * 60)) for num in range(1000, 13_000)]
        lines = [
            json.dumps(chain.script.schema(3)),
            *many,
            json.dumps({"type": "STATE", "value": chain.script.state(6)}),
        ]
        ended = chain.run(lines)
        assert (ended.code, ended.states) == (STORE_FAILED, ())
        assert "room" in ended.error
        chain.require_sound(3, 3)
        filler.unlink()
        assert chain.run(lines).code == 0
        assert len(chain.rows()) == len(chain.script.rows(3)) + len(many)


def record(num, name):
    return {"type": "RECORD", "stream": "visit", "record": {"Num": num, "Name": name}}


def test_a_value_beyond_the_packet_limit(sandbox, forks, tmp_path):
    """A row that the server cannot take: exit 18, the line of the row, and the rows of before."""
    root = mariadb_root(sandbox.state)
    with open_destination(sandbox, "mysql") as destination, root.connect() as connection:
        before = connection.exec_driver_sql("SELECT @@GLOBAL.max_allowed_packet").scalar_one()
        target = Target(destination, tmp_path, forks, {"local_infile": False, "retries": 0})
        lines = [json.dumps(line) for line in (SCHEMA, record(1, "x"), record(2, "x" * 1_100_000))]
        connection.exec_driver_sql("SET GLOBAL max_allowed_packet = 1048576")
        ended = target.run(lines)
        connection.exec_driver_sql(f"SET GLOBAL max_allowed_packet = {before}")
        assert (ended.code, ended.states) == (STORE_FAILED, ())
        assert "line 3" in ended.error
        assert "max_allowed_packet" in ended.error
        assert target.run(lines).code == 0
    root.dispose()


SCHEMA = {
    "type": "SCHEMA",
    "stream": "visit",
    "schema": {"properties": {"Num": {"type": "integer"}, "Name": {"type": "string"}}},
    "key_properties": ["Num"],
}
