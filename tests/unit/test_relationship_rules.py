from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tap_opendental.discovery.knowledge import Knowledge, load_knowledge
from tap_opendental.discovery.model import Column, Table
from tap_opendental.discovery.rules.relationships import CONFIDENCE, find_polymorphic, find_references

if TYPE_CHECKING:
    from tap_opendental.discovery.judgements import Reference


@pytest.fixture(scope="module")
def official() -> list[Table]:
    return [known.table for known in load_knowledge().tables.values()]


@pytest.fixture(scope="module")
def by_name(official) -> tuple[Reference, ...]:
    """What the names alone say of the official schema."""
    return find_references(official, Knowledge.empty())


def documented(reference: Reference) -> set[str]:
    return {text.lower() for text in load_knowledge().column(reference.table, reference.column).references}


def is_right(reference: Reference) -> bool:
    return f"{reference.to_table}.{reference.to_column}".lower() in documented(reference)


def a_table(name: str, key: str, *columns: str, type_: str = "bigint(20)") -> Table:
    names = (key, *columns) if key else columns
    return Table(name, tuple(Column(column, type_) for column in names), (key,) if key else ())


def found(tables: list[Table], knowledge: Knowledge | None = None) -> list[str]:
    references = find_references(tables, knowledge or Knowledge.empty())
    return [f"{r.table}.{r.column} {r.to_table}.{r.to_column} {r.source}" for r in references]


def test_names_alone_find_the_documented_references(by_name):
    """Without the knowledge: at least 95% of the 761 documented references found, 99% of the answers on them right."""
    answers = [reference for reference in by_name if documented(reference)]
    right = {(reference.table, reference.column) for reference in answers if is_right(reference)}
    assert len(right) / 761 >= 0.95
    assert len(right) / len(answers) >= 0.99


def test_names_stay_precise_when_everything_undocumented_counts_as_wrong(by_name):
    """The worst case: a documented reference stands behind at least 89% of all answers."""
    assert sum(map(is_right, by_name)) / len(by_name) >= 0.89


@pytest.mark.parametrize("source", ["name", "contained_name", "alias"])
def test_the_confidence_of_a_rule_is_its_measured_worst_case(by_name, source):
    """A reference's confidence is a measurement and not an opinion."""
    answers = [reference for reference in by_name if reference.source == source]
    assert sum(map(is_right, answers)) / len(answers) == pytest.approx(CONFIDENCE[source], abs=0.006)
    assert {reference.confidence for reference in answers} == {CONFIDENCE[source]}


def test_with_the_knowledge_the_documentation_is_the_answer(official):
    """Every documented reference is given, both of a column with two, and no other."""
    references = find_references(official, load_knowledge())
    given = {(r.table, r.column, f"{r.to_table}.{r.to_column}") for r in references}
    expected = {
        (name, column.name, text)
        for name, table in load_knowledge().tables.items()
        for column in table.columns.values()
        for text in column.references
    }
    assert given == expected
    assert len(references) == len(expected) == 763
    assert {r.source for r in references} == {"documented"}
    in_doubt = {(r.table, r.column) for r in references if not r.is_certain}
    assert in_doubt == {("task", "KeyNum")}  # ObjectType says whether it is a patient's or an appointment's


def test_a_known_column_without_a_reference_is_not_guessed_and_an_unknown_one_is():
    """Names speak only where the knowledge is silent: securitylog.DefNum is known and points nowhere."""
    tables = [
        a_table("definition", "DefNum"),
        a_table("securitylog", "SecurityLogNum", "DefNum", "OurDefNum"),
        a_table("our_table", "OurNum", "DefNum"),
    ]
    assert found(tables, load_knowledge()) == [
        "securitylog.OurDefNum definition.DefNum contained_name",
        "our_table.DefNum definition.DefNum name",
    ]


def test_each_rule_names_itself():
    """The same key, a key inside a name, a table's name and an alias are told apart."""
    tables = [
        a_table("payment", "PayNum"),
        a_table("provider", "ProvNum"),
        a_table("t", "TNum", "PAYNUM", "SecProvNumEntry", "prov_num", "PaymentNum", "ProvHyg"),
    ]
    assert found(tables) == [
        "t.PAYNUM payment.PayNum name",
        "t.SecProvNumEntry provider.ProvNum contained_name",
        "t.prov_num provider.ProvNum name",
        "t.PaymentNum payment.PayNum contained_name",
        "t.ProvHyg provider.ProvNum alias",
    ]


def test_the_longest_key_inside_a_name_wins():
    """SigElementDefNumUser is a signal element's and not a definition's."""
    tables = [a_table("definition", "DefNum"), a_table("sigelementdef", "SigElementDefNum")]
    tables.append(a_table("t", "TNum", "SigElementDefNumUser", "sigelementdefnum_user"))
    assert {line.split()[1] for line in found(tables)} == {"sigelementdef.SigElementDefNum"}


def test_only_references_to_tables_that_are_there():
    """A table that was not asked for, or that this version does not have, is nobody's target."""
    tables = [a_table("appointment", "AptNum", "PatNum", "ProvHyg")]
    assert found(tables) == []
    assert found(tables, load_knowledge()) == []
    assert found([*tables, a_table("famaging", "PatNum")]) == []


def test_names_come_back_as_this_database_spells_them():
    """A server that lower-cases table names gets references that can be used in SQL there."""
    tables = [a_table("Patient", "patnum"), a_table("APPOINTMENT", "AptNum", "PATNUM")]
    assert found(tables, load_knowledge()) == ["APPOINTMENT.PATNUM Patient.patnum documented"]
    assert found(tables) == ["APPOINTMENT.PATNUM Patient.patnum name"]


@pytest.mark.parametrize("type_", ["tinyint(4)", "varchar(255)", "double", "smallint(6)", "date"])
def test_a_column_that_cannot_hold_the_key_refers_to_nothing(type_):
    """Types count: a tinyint PayType is an enum, a text PatNum somebody else's number."""
    tables = [a_table("patient", "PatNum"), a_table("definition", "DefNum")]
    assert found([*tables, a_table("t", "", "PatNum", "PatNumOld", "PayType", type_=type_)]) == []


def test_an_exact_name_may_be_narrower():
    """The oldest tables hold keys as int; an alias or a part of a name needs the key's own type."""
    tables = [a_table("patient", "PatNum"), a_table("t", "", "PatNum", "PatNumOld", "Guarantor", type_="int(11)")]
    assert found(tables) == ["t.PatNum patient.PatNum name"]


def test_patnum_means_patient_wherever_it_stands():
    """Of the tables with the key PatNum only patient is meant; the others refer to it, row by row."""
    tables = [a_table(name, "PatNum") for name in ("ehrpatient", "famaging", "pat", "patient", "patientnote")]
    assert {line.split()[1] for line in found(tables)} == {"patient.PatNum"}
    assert len(found(tables)) == 4


@pytest.mark.parametrize(
    ("key", "names", "owner"),
    [
        ("DocNum", ("files", "document"), "document"),
        ("AptNum", ("appointment_bak_2020", "appointment"), "appointment"),
        ("AptNum", ("appointment", "zz_appointment", "old_appointment"), "appointment"),
        ("ProcNum", ("procedurelogcopy", "procedurelog"), "procedurelog"),
        ("WikiPageNum", ("wikipagehist", "wikipage"), "wikipage"),
    ],
)
def test_a_key_of_several_tables_belongs_to_the_original(key, names, owner):
    """Copies and histories carry the original's key; what refers to it refers to the original."""
    tables = [a_table(name, key) for name in names]
    assert f"t.{key} {owner}.{key} name" in found([*tables, a_table("t", "", key)])


def test_the_official_table_owns_the_key():
    """A clinic's own table with a shorter name does not take over the references to an official one."""
    tables = [a_table("prov", "ProvNum"), a_table("provider", "ProvNum"), a_table("t", "", "ProvNum")]
    assert "t.ProvNum provider.ProvNum name" in found(tables, load_knowledge())


def test_a_key_that_could_be_anybodys_is_not_guessed():
    """Two unrelated tables with one key name, or a key that is called id: no answer rather than a wrong one."""
    tables = [a_table("anesthmedsgiven", "MedNum"), a_table("inventory", "MedNum"), a_table("x", "id")]
    assert found([*tables, a_table("t", "", "MedNum", "id", "other_id")]) == []


def test_a_foreign_style_of_names_works_too():
    """A clinic's own tables, with id as key and table_id as reference."""
    tables = [a_table("customers", "id"), a_table("orders", "id", "customers_id")]
    assert found(tables) == ["orders.customers_id customers.id contained_name"]


def test_polymorphic_keys_are_found_and_left_out():
    """A key whose table another column decides is no reference; the same name without such a column is no such key."""
    table = Table(
        "stmtlink",
        (Column("StmtLinkNum", "bigint(20)"), Column("StmtLinkType", "tinyint(4)"), Column("FKey", "bigint(20)")),
        ("StmtLinkNum",),
    )
    assert find_polymorphic(table) == ("FKey",)
    assert find_polymorphic(a_table("t", "TNum", "FKey")) == ()
    assert found([table, a_table("x", "FKey")]) == []
    assert find_polymorphic(load_knowledge().table("task").table) == ("KeyNum",)
    polymorphic = [name for name, known in load_knowledge().tables.items() if find_polymorphic(known.table)]
    assert len(polymorphic) == 40


def test_text_codes_point_at_the_table_they_are_named_after(official):
    """ProcCode, Icd10Code and County are keys in practice, although no table has them as primary key."""
    tables = [*official, a_table("t", "", "ProcCode", "Icd10Code", "county", "OtherCode", type_="varchar(255)")]
    assert [line for line in found(tables) if line.startswith("t.")] == [
        "t.ProcCode procedurecode.ProcCode alias",
        "t.Icd10Code icd10.Icd10Code name",
        "t.county county.CountyName name",
    ]


@pytest.mark.parametrize(
    "name", ["", "_", "`", "a'b\"c", "%s", "日本", "Größe", "select", "_PatNum_", "1", "x" * 64, "\n"]
)
def test_hostile_names_are_names_like_others(name):
    """Quotes, percent signs, reserved words, unicode and names without a letter are compared, never interpreted."""
    tables = [a_table("patient", "PatNum"), a_table(name, f"{name}Num", name, "PatNum"), a_table("t", "", name)]
    assert f"{name}.PatNum patient.PatNum name" in found(tables)
    assert find_polymorphic(tables[1]) == ()


def test_every_reference_has_its_reason(by_name):
    """A reader can disagree, because each answer says what it rests on."""
    assert all(reference.to_table in reference.reason for reference in by_name)


def test_five_thousand_tables_take_seconds():
    """Time grows with the number of columns and not with its square (20 seconds are ten times the measurement)."""
    tables = [
        a_table(f"mine{n}", f"Mine{n}Num", f"Mine{n // 2}Num", *(f"Thing{n}Value{k}Some" for k in range(18)))
        for n in range(5000)
    ]
    started = time.process_time()
    references = find_references(tables, Knowledge.empty())
    assert len(references) == 4999
    assert time.process_time() - started < 20
