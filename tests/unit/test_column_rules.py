from __future__ import annotations

from collections import Counter

import pytest

from tap_opendental.discovery.judgements import ColumnMeaning, Reference
from tap_opendental.discovery.knowledge import Knowledge, load_knowledge
from tap_opendental.discovery.model import Column, Table
from tap_opendental.discovery.rules.columns import describe_columns
from tap_opendental.discovery.rules.relationships import find_references


def describe(*columns: Column, key: tuple[str, ...] = (), name: str = "ours") -> dict[str, ColumnMeaning]:
    meanings = describe_columns(Table(name, columns, key), load_knowledge(), [])
    return {meaning.name: meaning for meaning in meanings}


def kinds(column: Column) -> list[str]:
    return list(describe(column)[column.name].kinds)


def count(knowledge: Knowledge) -> Counter[str]:
    tables = [known.table for known in load_knowledge().tables.values()]
    references = find_references(tables, knowledge)
    found: Counter[str] = Counter()
    for table in tables:
        mine = [reference for reference in references if reference.table == table.name]
        for meaning in describe_columns(table, knowledge, mine):
            found.update([*meaning.kinds, *(["patient data"] if meaning.patient_data else [])])
            found.update(["secret"] if meaning.secret else [])
    return found


def test_the_official_schema_is_described_in_full():
    """Every documented meaning of the 4,429 columns is there: the numbers are those of the knowledge."""
    assert count(load_knowledge()) == {
        "boolean": 342,
        "enum": 407,
        "ticks": 13,
        "interval": 11,
        "colour": 24,
        "sentinel_date": 344,
        "large_text": 30,
        "key": 424,
        "reference": 761,
        "patient data": 457,
        "secret": 41,
    }


def test_without_the_knowledge_only_what_is_proven_is_said():
    """Dates, sizes and keys show in the structure; no boolean, enum, duration or colour is guessed."""
    found = count(Knowledge.empty())
    assert {"boolean", "enum", "ticks", "interval", "colour"}.isdisjoint(found)
    assert (found["sentinel_date"], found["large_text"], found["key"]) == (344, 30, 424)


def test_columns_come_in_the_table_s_order():
    """One meaning for each column, also where there is nothing to say."""
    table = load_knowledge().table("patient").table
    assert tuple(m.name for m in describe_columns(table, load_knowledge(), [])) == table.column_names


@pytest.mark.parametrize(
    ("default", "type_", "expected"),
    [
        ("'0001-01-01'", "date", ["sentinel_date"]),
        ("'0001-01-01 00:00:00'", "datetime", ["sentinel_date"]),
        ("'0000-00-00 00:00:00.000000'", "timestamp(6)", ["sentinel_date"]),
        ("0000-00-00", "date", ["sentinel_date"]),
        ("'1900-01-01'", "date", []),
        ("'0001-01-01'", "varchar(10)", []),
        (None, "date", []),
        ("NULL", "datetime", []),
    ],
)
def test_a_sentinel_date_is_proven_by_its_default(default, type_, expected):
    """Only a date whose default is a date that nobody means; quoted or not, as servers differ."""
    assert kinds(Column("ADate", type_, default=default)) == expected


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("mediumtext", ["large_text"]),
        ("LONGBLOB", ["large_text"]),
        ("blob", ["large_text"]),
        ("json", ["large_text"]),
        ("text", []),
        ("varchar(4000)", []),
        ("tinyint(1)", []),
        ("enum('a','b')", ["enum"]),
        ("set('a','b')", ["enum"]),
    ],
)
def test_the_type_proves_size_and_lists_and_never_a_boolean(type_, expected):
    """tinyint(1) is a boolean, an enum or a number: nobody can tell by the type."""
    assert kinds(Column("IsSomething", type_)) == expected


def test_keys_are_told_from_parts_of_keys():
    """A primary key of two columns is one of two parts."""
    one, two = Column("A", "bigint(20)"), Column("B", "bigint(20)")
    assert describe(one, two, key=("A",))["A"].kinds == {"key": "primary key"}
    assert describe(one, two, key=("A", "B"))["B"].kinds == {"key": "part of the primary key"}


def test_a_reference_names_every_target():
    """A column with two documented targets says so, and references of other tables are not its own."""
    table = Table("ours", (Column("KeyNum", "bigint(20)"),))
    references = [
        Reference(owner, "KeyNum", to, column, "documented", 1.0, "test")
        for owner, to, column in (
            ("ours", "patient", "PatNum"),
            ("ours", "appointment", "AptNum"),
            ("theirs", "claim", "ClaimNum"),
        )
    ]
    (meaning,) = describe_columns(table, load_knowledge(), references)
    assert meaning.kinds == {"reference": "holds keys of patient.PatNum or appointment.AptNum"}


def test_secrets_say_why():
    """A reviewed secret, a copy's and one that looks like it each have their reason; an ordinary column has none."""
    columns = (Column("Password", "varchar(255)"), Column("UserName", "varchar(255)"))
    official = describe(*columns, name="userod")
    assert official["Password"].secret == "reviewed: opens something to whoever reads it"
    assert official["UserName"].secret is None
    assert describe(*columns, name="userod_bak")["Password"].secret == "named as in userod"
    assert describe(Column("VendorApiKey", "text"))["VendorApiKey"].secret == "looks like a secret"


def test_names_in_any_case_are_described_alike():
    """A server that lower-cases names gets the same meanings, under its own spelling."""
    meanings = describe(Column("ishidden", "tinyint(3) unsigned"), Column("PATNUM", "bigint(20)"), name="PROVIDER")
    assert list(meanings["ishidden"].kinds) == ["boolean"]


def test_patient_data_is_inherited_where_nobody_has_reviewed_a_column():
    """A copy keeps the classes of its original's columns, and a key that points at a patient is a record number."""
    columns = (Column("PatNum", "bigint(20)"), Column("LName", "varchar(100)"), Column("PatNumSponsor", "bigint(20)"))
    copy = Table("patient_bak", (*columns, Column("Own", "text")))
    patient = load_knowledge().table("patient").table
    references = [r for r in find_references([patient, copy], load_knowledge()) if r.table == "patient_bak"]
    found = {m.name: m.patient_data for m in describe_columns(copy, load_knowledge(), references)}
    assert "record_number" in found["PatNum"]
    assert "name" in found["LName"]
    assert found["PatNumSponsor"] == ("record_number",)
    assert found["Own"] == ()
    guessed = describe_columns(copy, Knowledge.empty(), references)
    assert {m.name: m.patient_data for m in guessed}["LName"] == ()
