"""Rows into an exact replica: merged by key, gathered by version, counted, and committed with their position."""

import re
from dataclasses import replace

import pytest
from tests.mysql_loading import NAME, NUM, Replica, facts_of, make_batch, position, settings_of

from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
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
    assert loader.settle(position(1)) == Counts(inserted=MANY)
    assert keys_of(replica) == (["u"] if engine == "InnoDB" else wanted)
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


def test_indexes_are_made_after_a_crash(replica):
    """A first load that was killed leaves a table without them: the next run makes them, rows and position stay."""
    facts = facts_of(rich_table("InnoDB"), start=START)
    loader = replica.open(facts)
    loader.load(make_many())
    loader.settle(position(1))
    replica.sessions.pop()._link.close()
    assert keys_of(replica) == ["u"]
    assert replica.open(facts).held == position(1)
    assert keys_of(replica) == ["u", "z", "a", "words"]
    assert len(replica.rows("t")) == MANY
    assert replica.notices == []


def test_indexes_are_made_without_rows_that_were_not_settled(replica):
    """A session that ends in the middle makes the indexes, and commits nothing by that."""
    loader = replica.open(facts_of(rich_table("InnoDB"), start=START))
    loader.load(make_many())
    replica.close()
    assert replica.rows("t") == []
    assert keys_of(replica) == ["u", "z", "a", "words"]
