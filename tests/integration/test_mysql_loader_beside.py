"""What would move beside the rows: moments, rows that are gone, what a constraint refuses, spaces in keys."""

from dataclasses import replace

import pytest
from tests.mysql_loading import NAME, NUM, activate, facts_of, make_batch, position

from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from target_opendental_replica.errors import ExitCode, ValueRefusedError
from target_opendental_replica.stream_facts import DELETED_AT, Field, Start, StreamFacts
from target_opendental_replica.warehouse import Counts

START = Start("a" * 16, 0)
BOTH = ("Num", "Name")
TABLE = Table("t", (NUM, NAME), ("Num",), engine="InnoDB")


def load(replica, facts, names, *rows):
    """Load rows on a session of its own, settle, and return the counts."""
    loader = replica.open(facts)
    loader.load(make_batch(names, *rows))
    counts = loader.settle(position(1))
    replica.close()
    return counts


# --- moments that move by themselves ----------------------------------------------------------------------------------

MOMENT = Column(
    "DateTStamp", "timestamp", nullable=False, default="current_timestamp()", on_update="current_timestamp()"
)
SECRET = Column("Secret", "varchar(9)", nullable=False)
CODE = Column("Code", "int", default="NULL")
UNIQUE = (Index("u", (IndexColumn("Code"),), unique=True),)
LONG_AGO = "2001-02-03 04:05:06"


@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
def test_a_moment_moves_only_with_the_source(engine, replica):
    """A column ON UPDATE keeps its value when a row is marked, comes back, or gets values that are not sent."""
    table = Table("t", (NUM, CODE, SECRET, MOMENT), ("Num",), UNIQUE, engine=engine)
    replica.settings = replace(replica.settings, hard_delete=False)
    facts = facts_of(table, withheld=("Secret",), start=START)
    names = ("Num", "Code", "DateTStamp")
    load(replica, facts, names, (1, 1, LONG_AGO), (2, 2, LONG_AGO), (3, 3, LONG_AGO))
    replica.ask(f"UPDATE t SET Secret = 'mine', DateTStamp = '{LONG_AGO}'")
    # 1 and 2 change places, so that one of them gives way and comes back; 3 is gone.
    gone = (3, 3, LONG_AGO, "2024-01-01T00:00:00")
    load(replica, facts, (*names, DELETED_AT), (1, 2, LONG_AGO, None), (2, 1, LONG_AGO, None), gone)
    expected = [(1, 2, "mine", LONG_AGO), (2, 1, "mine", LONG_AGO), (3, 3, "mine", LONG_AGO)]
    columns = "Num, Code, Secret, CAST(DateTStamp AS CHAR)"
    assert replica.rows("t", columns) == expected
    activate(replica, facts, names, (1, 2, LONG_AGO), version=5)
    assert replica.rows("t", columns) == expected
    assert replica.ask(f"SELECT COUNT(*) FROM t WHERE {DELETED_AT} IS NOT NULL") == [(2,)]


# --- rows that are gone, and whose UNIQUE values are not --------------------------------------------------------------


@pytest.mark.parametrize("prefix", [None, 2], ids=["whole", "prefix"])
@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
def test_a_row_that_is_gone_gives_its_unique_value_up(engine, prefix, replica):
    """`hard_delete: false`: in a new version it cannot stay beside the row that has the value now; that is told."""
    columns = (NUM, replace(NAME, type="varchar(9)"), Column("Code", "varchar(9)", default="NULL"))
    indexes = (
        Index("u", (IndexColumn("Name", prefix),), unique=True),
        Index("v", (IndexColumn("Code"),), unique=True),
    )
    table = Table("t", columns, ("Num",), indexes, engine=engine)
    replica.settings = replace(replica.settings, hard_delete=False)
    facts = facts_of(table, start=START)
    names = table.column_names
    load(replica, facts, names, (1, "aa", "1"), (2, "bb", "2"), (3, "cc", None), (4, None, "4"), (5, "ee", "5"))
    counts = activate(replica, facts, names, (6, "bb", None), (7, "gg", "4"), (5, "ee", "5"), version=5)
    assert counts == Counts(inserted=2, unchanged=1, deleted=4)
    found = replica.rows("t", f"Num, Name, Code, {DELETED_AT} IS NULL")
    assert found == [(1, "aa", "1", 0), (3, "cc", None, 0), (5, "ee", "5", 1), (6, "bb", None, 1), (7, "gg", "4", 1)]
    told = [notice for notice in replica.notices if "UNIQUE" in notice]
    assert len(told) == 1
    assert told[0].startswith("table t: 2 rows")


# --- what a CHECK refuses ---------------------------------------------------------------------------------------------


def test_a_constraint_refuses_a_row_and_is_no_busy_server(replica):
    """What a table refuses is not tried again: exit code 15, with the stream's table, without the value."""
    facts = facts_of(TABLE, start=START)
    load(replica, facts, BOTH, (1, "one"))
    loader = replica.open(facts)
    replica.ask("ALTER TABLE t ADD CONSTRAINT short CHECK (length(Name) < 9)")
    loader.load(make_batch(BOTH, (2, "Zaphod-Beeblebrox")))
    with pytest.raises(ValueRefusedError, match=r"table t.*4025") as refused:
        loader.settle(None)
    assert "Zaphod" not in str(refused.value)
    assert refused.value.exit_code == ExitCode.VALUE_REFUSED


# --- spaces at the end of a key ---------------------------------------------------------------------------------------


def test_keys_that_differ_in_spaces_are_two_rows(replica):
    """In a table of another tap's stream, where the column's collation is ours to choose."""
    facts = StreamFacts("users", (Field("id", {"type": "string"}), Field("n", {"type": "integer"})), ("id",))
    rows = [("a", 1), ("a ", 2), ("a  ", 3), ("A", 4), ("ä", 5), ("", 6), (" ", 7)]
    assert load(replica, facts, facts.names, *rows) == Counts(inserted=7)
    assert sorted(replica.rows("users")) == sorted(rows)
    assert load(replica, facts, facts.names, ("a ", 8), *rows[2:]) == Counts(updated=1, unchanged=5)
    assert activate(replica, facts, facts.names, *rows[:2], version=3) == Counts(unchanged=1, updated=1, deleted=5)
    assert replica.rows("users", order="n") == rows[:2]
    replica.notices.clear()
    replica.open(facts)
    assert replica.notices == []
