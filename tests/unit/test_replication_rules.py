"""The replication key: found by what the column does, never by its name; what was turned down says why."""

import pytest

from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from tap_opendental.discovery.rules.replication import choose_replication, leads_an_index

KEY = Column("Num", "bigint(20)", nullable=False, auto_increment=True)
STAMP = Column("DateTStamp", "timestamp", nullable=False, on_update="current_timestamp()")
KNOWN = load_knowledge().tables


def verdicts(table, known=None, **options):
    """Verdict by column."""
    return {candidate.column: candidate.verdict for candidate in choose_replication(table, known, **options).candidates}


@pytest.mark.parametrize("with_knowledge", [True, False])
def test_all_67_self_updating_columns_of_24_3_and_no_other(with_knowledge):
    """On the published schema the rule agrees with the reviewed list, with and without knowledge of the tables."""
    expected = {
        t.table.name: t.change_column if t.change_tracking == "safe_timestamp" else None for t in KNOWN.values()
    }
    found = {
        t.table.name: choose_replication(t.table, t if with_knowledge else None, random_keys=None).key
        for t in KNOWN.values()
    }
    assert found == expected
    assert sum(key is not None for key in expected.values()) == 67


def test_the_7_append_only_keys_where_keys_grow():
    """With RandomPrimaryKeys known to be off, seven logs are read by their primary key; nothing else changes."""
    choices = {t.table.name: choose_replication(t.table, t, random_keys=False) for t in KNOWN.values()}
    appended = {name: choice.key for name, choice in choices.items() if choice.append_only}
    expected = {t.table.name: t.change_column for t in KNOWN.values() if t.change_tracking == "append_only"}
    assert appended == expected
    assert len(appended) == 7
    assert sum(choice.key is not None for choice in choices.values()) == 74


@pytest.mark.parametrize(("random_keys", "why"), [(True, "random here"), (None, "cannot be read")])
def test_keys_that_may_not_grow_are_not_used(random_keys, why):
    """With random keys, or where nobody can tell, an append-only table is read whole, and the reason says so."""
    known = KNOWN["securitylog"]
    choice = choose_replication(known.table, known, random_keys=random_keys)
    assert (choice.method, choice.key) == ("FULL_TABLE", None)
    assert why in choice.reason
    assert verdicts(known.table, known, random_keys=random_keys)["SecurityLogNum"] == "unusable"


def test_without_knowledge_no_key_is_append_only():
    """A table that looks like a log may be edited: procedurelog does, and its key would miss every completion."""
    assert choose_replication(KNOWN["securitylog"].table, None, random_keys=False).key is None


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


@pytest.mark.parametrize(
    ("table", "column", "verdict"),
    [
        ("taskhist", "DateTStamp", "insert_only"),
        ("claimtracking", "DateTimeEntry", "safe"),
        ("appointment", "AptDateTime", "event_time"),
        ("patient", "SecDateEntry", "insert_only"),
        ("securitylog", "LogDateTime", "insert_only"),
    ],
)
def test_known_traps_have_their_verdict(table, column, verdict):
    """The knowledge tells what a name hides."""
    known = KNOWN[table]
    assert verdicts(known.table, known)[column] == verdict


@pytest.mark.parametrize(
    ("column", "verdict"),
    [
        (Column("DateTStamp", "timestamp"), "dead_copy"),
        (Column("SecDateTEntry", "datetime"), "insert_only"),
        (Column("CreatedAt", "datetime"), "insert_only"),
        (Column("Stamp", "timestamp", default="current_timestamp()"), "insert_only"),
        (Column("DateVisit", "date"), "event_time"),
        (STAMP, "safe"),
    ],
)
def test_unknown_columns_are_judged_by_what_they_do(column, verdict):
    """A clinic's own table: only a column that updates itself is safe."""
    assert verdicts(Table("own", (KEY, column), ("Num",)), stamps={"datetstamp"})[column.name] == verdict


def test_an_official_column_that_stands_still_is_a_dead_copy():
    """A table restored by CREATE TABLE AS keeps its name and loses what moved its timestamp."""
    known = KNOWN["patient"]
    columns = tuple(Column(c.name, c.type, nullable=c.nullable) for c in known.table.columns)
    assert verdicts(Table("patient", columns, ("PatNum",)), known)["DateTStamp"] == "dead_copy"


def test_a_moving_column_without_a_key_cannot_be_used():
    """Changed rows of a keyless table cannot be merged."""
    assert verdicts(Table("bak", (KEY, STAMP))) == {"DateTStamp": "unusable"}


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
