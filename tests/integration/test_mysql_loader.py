"""Rows into an exact replica: merged by key, gathered by version, counted, and committed with their position."""

import pytest
from tests.mysql_loading import NAME, NUM, Replica, facts_of, make_batch, position, settings_of

from tap_opendental.discovery.model import Table
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
