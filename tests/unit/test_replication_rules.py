"""The replication key: found by what the column does, never by its name."""

import pytest

from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from tap_opendental.discovery.rules.replication import choose_replication, leads_an_index

KEY = Column("Num", "bigint(20)", nullable=False, auto_increment=True)
STAMP = Column("DateTStamp", "timestamp", nullable=False, on_update="current_timestamp()")


def test_all_67_self_updating_columns_of_24_3_and_no_other():
    """On the published schema the rule agrees with the reviewed list, table by table."""
    known = load_knowledge().tables.values()
    expected = {t.table.name: t.change_column if t.change_tracking == "safe_timestamp" else None for t in known}
    assert {t.table.name: choose_replication(t.table).key for t in known} == expected
    assert sum(key is not None for key in expected.values()) == 67


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (Table("bak", (KEY, STAMP)), "no primary key"),
        (Table("copy", (KEY, Column("DateTStamp", "timestamp")), ("Num",)), "no column updates itself"),
        (Table("appt", (KEY, Column("AptDateTime", "datetime")), ("Num",)), "no column updates itself"),
    ],
)
def test_traps_end_as_full_tables(table, reason):
    """A missing key, a dead copy and an event time are read whole, and the choice says why."""
    choice = choose_replication(table)
    assert (choice.method, choice.key) == ("FULL_TABLE", None)
    assert reason in choice.reason


def test_the_reason_says_how_rows_are_found():
    """Whoever reads the choice learns whether an index serves it."""
    index = Index("stamp", (IndexColumn("DateTStamp"),))
    assert "key ranges" in choose_replication(Table("t", (KEY, STAMP), ("Num",))).reason
    assert "changed rows are found by it" in choose_replication(Table("t", (KEY, STAMP), ("Num",), (index,))).reason


def test_a_prefix_or_fulltext_index_does_not_serve():
    """Only an ordered index over the whole column counts as leading with it."""
    prefix = Table("t", (KEY, STAMP), ("Num",), (Index("p", (IndexColumn("DateTStamp", 4),)),))
    fulltext = Table("t", (KEY, STAMP), ("Num",), (Index("f", (IndexColumn("DateTStamp"),), kind="FULLTEXT"),))
    assert not leads_an_index(prefix, "DateTStamp")
    assert not leads_an_index(fulltext, "DateTStamp")
