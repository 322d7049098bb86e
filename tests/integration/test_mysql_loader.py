"""Rows into an exact replica: merged by key, gathered by version, counted, and committed with their position."""

import re
import threading
from dataclasses import replace

import pytest
from tests.mysql_loading import NAME, NUM, Replica, facts_of, make_batch, position, settings_of
from tests.wire import Rule, Wire

from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from target_opendental_replica.errors import ConflictError, UnreachableError
from target_opendental_replica.mysql.keys import WORTH_IT
from target_opendental_replica.stream_facts import Start
from target_opendental_replica.warehouse import Counts

START = Start("a" * 16, 0)
ENGINES = ("InnoDB", "MyISAM")
BOTH = ("Num", "Name")


def table_of(engine="InnoDB", *columns, **more):
    return Table("t", (NUM, NAME, *columns), ("Num",), engine=engine, **more)


@pytest.fixture(params=[True, False], ids=["load data", "insert"])
def replica(request, mariadb_database):
    place = Replica(mariadb_database, settings_of(mariadb_database, local_infile=request.param))
    yield place
    place.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_are_merged_by_key_and_counted(engine, replica):
    """New rows are inserted, those that differ updated, the same ones left alone; the last one of a key counts."""
    facts = facts_of(table_of(engine), start=START)
    loader = replica.open(facts)
    assert loader.held is None
    loader.load(make_batch(BOTH, (1, "one"), (2, "two"), (3, None)))
    assert loader.settle(position(1)) == Counts(inserted=3)
    loader = replica.open(facts)
    assert loader.held == position(1)
    loader.load(make_batch(BOTH, (2, "zwei"), (3, None), (4, "four")))
    loader.load(make_batch(BOTH, (4, "vier")))
    assert loader.settle(position(2)) == Counts(inserted=1, updated=1, unchanged=1)
    assert replica.rows("t") == [(1, "one"), (2, "zwei"), (3, None), (4, "vier")]
    assert replica.open(facts).held == position(2)
    assert replica.tables() == ["_od_load_state", "_od_tables", "t"]
    assert f"ENGINE={engine}" in replica.ddl("t")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_version_takes_the_tables_place(engine, replica):
    """Rows of a newer version are gathered apart, over two runs; when it is activated they are the table."""
    facts = facts_of(table_of(engine), start=START)
    loader = replica.open(facts)
    loader.load(make_batch(BOTH, (1, "one"), (2, "two"), (3, "three")))
    loader.settle(position(1))
    loader.load(make_batch(BOTH, (1, "one"), (2, "zwei"), version=10))
    assert loader.settle(position(2)) == Counts()
    assert len(replica.rows("t")) == 3
    loader = replica.open(facts_of(table_of(engine), start=Start("a" * 16, 2, 10)))
    loader.load(make_batch(BOTH, (4, "four"), version=10))
    loader.activate(10)
    assert len(replica.rows("t")) == 3
    assert loader.settle(position(3)) == Counts(inserted=1, updated=1, unchanged=1, deleted=1)
    assert replica.rows("t") == [(1, "one"), (2, "zwei"), (4, "four")]
    loader.load(make_batch(BOTH, (1, "uno"), version=10))
    loader.activate(10)
    assert loader.settle(position(4)) == Counts(updated=1)
    assert replica.tables() == ["_od_load_state", "_od_tables", "t"]
    assert f"ENGINE={engine}" in replica.ddl("t")


MANY = 12_000
FILLER = "x" * 90


def make_many(version=None, begin=0):
    """A batch that is large enough for indexes to wait."""
    batch = make_batch(
        ("Num", "Name", "Code"), *((n, f"{n % 97}{FILLER}", n) for n in range(begin, begin + MANY)), version=version
    )
    assert batch.size > WORTH_IT
    return batch


def rich_table(engine):
    """A table with indexes of each kind."""
    name = replace(NAME, type="varchar(99)")
    indexes = (
        Index("z", (IndexColumn("Name", 9), IndexColumn("Num"))),
        Index("u", (IndexColumn("Code"),), unique=True),
        Index("a", (IndexColumn("Code"),)),
        Index("words", (IndexColumn("Name"),), kind="FULLTEXT"),
    )
    columns = (NUM, name, Column("Code", "int(11)", default="NULL"))
    return Table("t", columns, ("Num",), indexes, engine=engine)


def keys_of(replica):
    return re.findall(r"KEY `(\w+)`", replica.ddl("t"))


@pytest.mark.parametrize("engine", ENGINES)
def test_indexes_wait_for_many_rows_and_are_there_in_the_end(engine, replica):
    """After a first load, a version that took two runs, and a crash: the structure is the source's again."""
    facts = facts_of(rich_table(engine), start=START)
    wanted = ["u", "z", "a", "words"]
    loader = replica.open(facts)
    assert keys_of(replica) == wanted
    loader.load(make_many())
    assert keys_of(replica) == (["u"] if engine == "InnoDB" else wanted)
    assert loader.settle(position(1)) == Counts(inserted=MANY)
    assert keys_of(replica) == wanted
    loader.load(make_many(begin=MANY))
    loader.settle(position(2))
    replica.close()
    assert keys_of(replica) == wanted
    loader = replica.open(facts)
    loader.load(make_many(7))
    loader.settle(position(3))
    loader = replica.open(facts_of(rich_table(engine), start=Start("a" * 16, 3, 7)))
    loader.load(make_batch(("Num", "Name", "Code"), (MANY, "y", MANY), version=7))
    loader.activate(7)
    assert loader.settle(position(4)) == Counts(unchanged=MANY, updated=1, deleted=MANY - 1)
    assert keys_of(replica) == wanted
    assert replica.ask("SELECT Num FROM t FORCE INDEX (a) WHERE Code = 5") == [(5,)]
    assert replica.ask("CHECK TABLE t")[0][3] == "OK"
    replica.open(facts)
    assert replica.notices == []


@pytest.mark.parametrize("serial", [None, 1])
def test_no_position_is_saved_before_the_indexes_are_made(serial, replica):
    """A reader that holds the table fails its stream, which stays behind and so comes again: then they are made."""
    facts = facts_of(rich_table("InnoDB"), start=START)
    loader = replica.open(facts, lock_wait_seconds=1)
    loader.load(make_many())
    with replica.database.engine.connect() as reader:
        reader.exec_driver_sql("SELECT COUNT(*) FROM t")
        with pytest.raises(ConflictError, match="table t"):
            loader.settle(serial and position(serial))
        with pytest.raises(ConflictError, match="table t"):
            replica.open(facts, lock_wait_seconds=1)
        reader.rollback()
    assert keys_of(replica) == ["u"]
    loader = replica.open(facts)
    assert loader.held is None
    assert keys_of(replica) == ["u", "z", "a", "words"]
    loader.load(make_many())
    assert loader.settle(position(1)) == Counts(unchanged=MANY)
    assert replica.notices == []


@pytest.mark.parametrize("is_sent", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["ADD KEY", "REPLACE INTO _od_load_state"])
def test_a_kill_while_indexes_wait_loses_none(step, is_sent, replica):
    """Whatever statement of the settlement is the last: no position without indexes, and the next run makes them."""
    facts = facts_of(rich_table("InnoDB"), start=START)
    address = replica.settings.address

    def kill(session):
        if is_sent:
            session.server.sendall(session.packet)
            threading.Event().wait(0.05)
        replica.ask(f"KILL {session.identity}")
        session.cut()
        return True

    rule = Rule(step, kill)
    with Wire(address.host, address.port, rule) as wire:
        place = Replica(replica.database, replace(replica.settings, address=replace(address, port=wire.port)))
        loader = place.open(facts)
        loader.load(make_many())
        assert keys_of(replica) == ["u"]
        with pytest.raises(UnreachableError):
            loader.settle(position(1))
        place.close()
    assert rule.done
    assert replica.ask("SELECT * FROM _od_load_state") == []
    assert replica.open(facts).held is None
    assert keys_of(replica) == ["u", "z", "a", "words"]
    assert len(replica.rows("t")) == MANY
    assert replica.notices == []


def test_indexes_that_wait_are_made_before_a_version_is_gathered(replica):
    """Its table is made like the other, and takes its place."""
    loader = replica.open(facts_of(rich_table("InnoDB"), start=START))
    loader.load(make_many())
    loader.load(make_batch(("Num", "Name", "Code"), (1, "y", 1), version=7))
    loader.activate(7)
    loader.settle(position(1))
    assert keys_of(replica) == ["u", "z", "a", "words"]
    assert len(replica.rows("t")) == 1


def test_rows_that_were_not_settled_do_not_last_while_indexes_wait(replica):
    """A session that ends in the middle commits nothing; the next one makes the indexes."""
    facts = facts_of(rich_table("InnoDB"), start=START)
    replica.open(facts).load(make_many())
    replica.close()
    assert replica.rows("t") == []
    replica.open(facts)
    assert keys_of(replica) == ["u", "z", "a", "words"]
