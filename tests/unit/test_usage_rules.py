from __future__ import annotations

import pytest

from tap_opendental.discovery.judgements import ReplicationChoice
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Column, Table
from tap_opendental.discovery.rules.usage import choose_usage, why_log

FULL = ReplicationChoice("FULL_TABLE", None, "full table")
STAMP = Column("DateTStamp", "timestamp", default="current_timestamp()", on_update="current_timestamp()")
MOMENT = Column("LogDateTime", "datetime")


def a_table(name: str, *columns: Column) -> Table:
    return Table(name, (Column("ANum", "bigint(20)", auto_increment=True), *columns), ("ANum",))


def frequency(table: Table, rows: int = 500, replication: ReplicationChoice = FULL) -> str:
    return choose_usage(table, rows, replication, None).update_frequency


def known_frequency(name: str, rows: int) -> str:
    known = load_knowledge().table(name)
    return choose_usage(known.table, rows, FULL, known).update_frequency


@pytest.mark.parametrize(
    ("rows", "expected"), [(0, "low"), (999, "low"), (1_000, "moderate"), (99_999, "moderate"), (100_000, "high")]
)
def test_edits_that_show_are_as_frequent_as_there_are_rows(rows, expected):
    """A column that moves at every edit is worth it in large tables; the borders are 1,000 and 100,000 rows."""
    assert frequency(a_table("visits", STAMP), rows) == expected


def test_append_only_tables_only_gain_rows():
    """What the knowledge calls append-only, or what is read by its growing key, is never edited."""
    by_key = ReplicationChoice("INCREMENTAL", "ANum", "by key", append_only=True)
    assert frequency(a_table("visits", STAMP), 10**6, by_key) == "insert_only"
    assert known_frequency("procnote", 580_505) == "insert_only"


@pytest.mark.parametrize(
    "table",
    [
        a_table("doorlog", MOMENT),
        a_table("doorlog_2023", MOMENT),
        a_table("histvisit", STAMP),
        a_table("visithist", STAMP),
        a_table("doorloghash"),
        a_table("inseditlog", STAMP, Column("LogType", "tinyint(4)"), Column("FKey", "bigint(20)")),
    ],
)
def test_logs_and_histories_are_known_by_name_and_structure(table):
    """A log has a moment and nothing that moves, or a key into whatever it is about; a history is named so."""
    assert frequency(table, 10**6) == "insert_only"


@pytest.mark.parametrize(
    "table",
    [
        a_table("catalog", STAMP),
        a_table("doorlog", STAMP),
        a_table("histology", MOMENT),
        a_table("claimvalcodelog"),
        a_table("procedurelog", MOMENT),
        a_table("commlog", MOMENT),
        a_table("commlog_bak", MOMENT),
        a_table("visits", MOMENT),
    ],
)
def test_a_name_alone_makes_no_log(table):
    """What is edited, or has no moment, is no log, and the two that are logs in name only never are."""
    assert why_log(table, None) is None
    assert frequency(table, 10) != "insert_only"


def test_the_reviewed_role_settles_what_is_a_log():
    """With the knowledge, audit tables are logs and no other table is."""
    tables = load_knowledge().tables.values()
    assert all((why_log(known.table, known) is not None) == (known.role == "audit") for known in tables if known.role)
    assert known_frequency("erxlog", 4_490) == "insert_only"
    assert known_frequency("commlog", 910_804) == "high"


@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [("sheetdef", 18, "static"), ("sheetdef", 500_000, "static"), ("visits", 0, "static"), ("visits", 9_000, "low")],
)
def test_without_a_column_that_moves_lists_stand_still(name, rows, expected):
    """Definitions and empty tables are static; nothing shows how often the rest is edited, so little is claimed."""
    assert frequency(a_table(name), rows) == expected


def test_without_a_column_that_moves_many_rows_are_daily_work_unless_they_are_a_list():
    """What grows all day (sheetfield) is told from what is imported once (rxnorm)."""
    assert known_frequency("sheetfield", 1_657_007) == "moderate"
    assert known_frequency("rxnorm", 261_118) == "static"


def test_the_reason_names_the_column_and_the_rows():
    """A reader sees what the answer rests on."""
    reason = choose_usage(a_table("visits", STAMP), 12_345, FULL, None).reason
    assert "DateTStamp" in reason
    assert "12,345" in reason
