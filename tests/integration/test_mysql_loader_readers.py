"""A reader that holds a table makes the target wait, and no other reader."""

import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from tests.mysql_loading import NAME, NUM, Replica, facts_of, make_batch, position, settings_of

from tap_opendental.discovery.model import Index, IndexColumn, Table
from target_opendental_replica.mysql.connection import Link
from target_opendental_replica.mysql.keys import WORTH_IT
from target_opendental_replica.stream_facts import Start

START = Start("a" * 16, 0)
BOTH = ("Num", "Name")
NAMED = replace(NAME, type="varchar(200)")
TABLE = Table("t", (NUM, NAMED), ("Num",), engine="InnoDB")
INDEXED = replace(TABLE, indexes=(Index("byname", (IndexColumn("Name", 9),)),))
ROWS = [(number, "x" * 199) for number in range(WORTH_IT // 200)]


@pytest.fixture
def replica(mariadb_database):
    place = Replica(mariadb_database, settings_of(mariadb_database, lock_wait_seconds=30))
    yield place
    place.close()


def prepare_version(replica):
    """A version that takes the table's place."""
    loader = replica.open(facts_of(TABLE, start=START))
    loader.load(make_batch(BOTH, (1, "one")))
    loader.settle(position(1))
    loader.load(make_batch(BOTH, (2, "two"), version=5))
    loader.activate(5)
    return lambda: loader.settle(position(2))


def prepare_structure(replica):
    """A copy with another structure, which takes the table's place."""
    loader = replica.open(facts_of(TABLE, start=START))
    loader.load(make_batch(BOTH, (2, "two")))
    loader.settle(position(1))
    replica.close()
    session = replica.connect()
    changed = replace(TABLE, columns=(NUM, replace(NAME, type="longtext")))
    return lambda: session.open_stream(facts_of(changed, start=START), replica.notices.append)


def prepare_indexes(replica):
    """Indexes that are made after the first rows."""
    loader = replica.open(facts_of(INDEXED, start=START))
    loader.load(make_batch(BOTH, *ROWS))
    return lambda: loader.settle(position(1))


def wait_until_it_waits(replica):
    """Wait until a statement waits for the table; more than 10 seconds are too many."""
    end = time.monotonic() + 10
    waiting = "SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() AND state LIKE '%metadata lock%'"
    while not replica.ask(waiting):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("prepare", [prepare_version, prepare_structure, prepare_indexes])
def test_no_reader_is_held_up_by_the_one_that_is_waited_for(prepare, replica, monkeypatch):
    """Readers get the table within 2 seconds while the target waits; its DDL alone is tried again, and comes through.

    A statement that waits for a table's lock has all others that come later wait behind it.
    """
    run = prepare(replica)
    sent = Counter()
    plain = Link.run
    monkeypatch.setattr(
        Link, "run", lambda link, sql, *args, **more: (sent.update([sql]), plain(link, sql, *args, **more))[1]
    )
    writer = threading.Thread(target=run)
    with replica.database.engine.connect() as holder, replica.database.engine.connect() as reader:
        holder.exec_driver_sql("SELECT COUNT(*) FROM t")
        reader.exec_driver_sql("SET SESSION lock_wait_timeout = 2")
        writer.start()
        wait_until_it_waits(replica)
        reader.exec_driver_sql("SELECT COUNT(*) FROM t")
        reader.rollback()
        assert writer.is_alive()
        holder.rollback()
    writer.join(20)
    assert not writer.is_alive()
    assert "SET SESSION lock_wait_timeout = 30" in sent
    again = {sql.split()[0] for sql, times in sent.items() if times > 1}
    assert again & {"RENAME", "ALTER"}
    assert not again & {"INSERT", "UPDATE", "DELETE", "LOAD", "CREATE"}
    assert replica.rows("t") == ([(2, "two")] if prepare is not prepare_indexes else ROWS)
    assert replica.tables() == ["_od_load_state", "_od_tables", "t"]
    assert ("byname" in replica.ddl("t")) == (prepare is prepare_indexes)
