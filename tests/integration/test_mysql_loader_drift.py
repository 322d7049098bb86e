"""A structure that changes while a version is gathered: its rows follow, or its reading begins anew."""

from dataclasses import replace

import pytest
from tests.mysql_loading import NAME, NUM, activate, facts_of, make_batch, position

from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from target_opendental_replica.errors import MissingRowsError
from target_opendental_replica.stream_facts import Start

START = Start("a" * 16, 0)
BOTH = ("Num", "Name")
OWN = ["_od_load_state", "_od_tables", "t"]
TABLE = Table("t", (NUM, NAME), ("Num",), engine="InnoDB")
ADDED = Column("Added", "varchar(9)", nullable=False, default="''")


def load(replica, facts, names, *rows, version=None, at=None):
    """Load rows on a session of its own, settle, and return the counts."""
    loader = replica.open(facts)
    loader.load(make_batch(names, *rows, version=version))
    counts = loader.settle(at)
    replica.close()
    return counts


# --- a structure that changes in the middle of a version --------------------------------------------------------------

WIDER = replace(TABLE, columns=(NUM, NAME, ADDED))
SHORT = replace(TABLE, columns=(NUM, replace(NAME, type="varchar(3)")))


def begin(replica, table=TABLE):
    """A whole table under version 5, and the first rows of version 6."""
    facts = facts_of(table, start=START)
    activate(replica, facts, BOTH, (1, "one"), (2, "two"), version=5)
    load(replica, facts_of(table, start=Start("a" * 16, 9)), BOTH, (1, "seven"), version=6, at=position(10))
    assert "_od_new_t" in replica.tables()


@pytest.mark.parametrize("key", [("Num",), ()], ids=["key", "no key"])
@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
@pytest.mark.parametrize("changed", [WIDER, SHORT], ids=["column added", "column narrowed"])
def test_a_pass_begins_anew_where_gathered_rows_cannot_follow(changed, engine, key, replica):
    """The stream keeps its positions and its version; the tap's new pass becomes the table, nothing is left behind."""
    begin(replica, replace(TABLE, engine=engine, primary_key=key))
    changed = replace(changed, engine=engine, primary_key=key)
    facts = facts_of(changed, start=Start("a" * 16, 10))
    loader = replica.open(facts)
    assert loader.held == position(10)
    assert replica.ask("SELECT active_version, gathered_version FROM _od_tables") == [(5, None)]
    assert "_od_new_t" not in replica.tables()
    assert replica.rows("t", "Num, Name") == [(1, "one"), (2, "two")]
    assert "gathered" in replica.notices[-1]
    rows = [(1, "uno", ""), (3, "tre", "x")]
    names = changed.column_names
    activate(replica, facts, names, *(row[: len(names)] for row in rows), version=7)
    assert replica.rows("t", "Num, Name") == [(1, "uno"), (3, "tre")]
    assert set(replica.tables()) - {*OWN} == ({"_od_kept_t_1"} if changed.column_names == BOTH and not key else set())


def test_going_on_with_rows_that_could_not_follow_is_refused(replica):
    """A tap that goes on behind the dropped rows would leave them out."""
    begin(replica)
    with pytest.raises(MissingRowsError):
        replica.open(facts_of(WIDER, start=Start("a" * 16, 10, 6)))
    assert replica.ask("SELECT COUNT(*) FROM _od_load_state") == [(1,)]


WIDE_NAME = replace(TABLE, columns=(NUM, replace(NAME, type="varchar(200)")))
INDEXED = replace(TABLE, indexes=(Index("byname", (IndexColumn("Name", 3),)),))


@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize(
    "changed", [WIDE_NAME, INDEXED, replace(TABLE, columns=(NUM,))], ids=["column widened", "index added", "dropped"]
)
def test_gathered_rows_that_can_follow_stay(changed, is_cut, replica):
    """They take the new structure, and the pass goes on with them; also after a crash before they did."""
    begin(replica)
    facts = facts_of(changed, start=Start("a" * 16, 10, 6))
    if is_cut:
        replica.ask("CREATE TABLE before_it LIKE _od_new_t")
        replica.ask("INSERT INTO before_it SELECT * FROM _od_new_t")
    replica.open(facts)
    if is_cut:
        replica.close()
        replica.ask("DROP TABLE _od_new_t")
        replica.ask("RENAME TABLE before_it TO _od_new_t")
    names = changed.column_names
    activate(
        replica,
        facts,
        names,
        (3, "x" * 99)[: len(names)] if changed is WIDE_NAME else (3, "x")[: len(names)],
        version=6,
    )
    assert [row[0] for row in replica.rows("t")] == [1, 3]
    assert replica.tables() == OWN
    replica.notices.clear()
    replica.open(facts_of(changed, start=Start("a" * 16, 9)))
    assert replica.notices == []
