from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from tap_opendental.discovery.judgements import ImportanceChoice, Reference, UsagePattern
from tap_opendental.discovery.knowledge import Knowledge, load_knowledge
from tap_opendental.discovery.model import Column, Table
from tap_opendental.discovery.rules.importance import choose_importance
from tap_opendental.discovery.rules.relationships import find_references
from tap_opendental.discovery.rules.replication import choose_replication
from tap_opendental.discovery.rules.usage import choose_usage

CORE = ("patient", "procedurelog", "appointment", "claim", "claimproc", "payment", "paysplit", "adjustment")
STATIC = UsagePattern("static", "nothing moves")


def judge_all(knowledge: Knowledge, *, filled: bool = True) -> dict[str, ImportanceChoice]:
    """Judge the official schema as the engine does, with one practice's sizes or without a row."""
    official = load_knowledge().tables
    leaving, arriving = defaultdict(list), defaultdict(list)
    for reference in find_references([known.table for known in official.values()], knowledge):
        leaving[reference.table].append(reference)
        arriving[reference.to_table].append(reference)
    choices = {}
    for name, sized in official.items():
        rows, known = (sized.typical_rows or 0 if filled else 0), knowledge.table(name)
        usage = choose_usage(sized.table, rows, choose_replication(sized.table, known, random_keys=False), known)
        choices[name] = choose_importance(
            sized.table,
            rows=rows,
            megabytes=(sized.typical_megabytes or 0) if filled else 0,
            usage=usage,
            references=leaving[name],
            referenced_by=arriving[name],
            known=known,
        )
    return choices


def judge(table: Table, *, to: int = 0, by: int = 0, rows: int = 0, known: bool = False) -> ImportanceChoice:
    """Judge one table that refers to `to` tables and is referred to by `by`."""
    return choose_importance(
        table,
        rows=rows,
        megabytes=0,
        usage=STATIC,
        references=[a_reference(table.name, f"to{n}") for n in range(to)],
        referenced_by=[a_reference(f"by{n}", table.name) for n in range(by)],
        known=load_knowledge().table(table.name) if known else None,
    )


def a_reference(table: str, to_table: str) -> Reference:
    return Reference(table, "ANum", to_table, "ANum", "name", 0.9, "test")


def a_table(name: str) -> Table:
    return Table(name, (Column("ANum", "bigint(20)"),), ("ANum",))


def named(choices: dict[str, ImportanceChoice], importance: str) -> set[str]:
    return {name for name, choice in choices.items() if choice.importance == importance}


@pytest.mark.parametrize("filled", [True, False])
def test_what_a_practice_lives_on_is_critical_also_when_it_is_empty(filled):
    """The eight tables are critical in a practice of 35,000 patients and in one without a row."""
    choices = judge_all(load_knowledge(), filled=filled)
    assert set(CORE) <= named(choices, "critical")


@pytest.mark.parametrize("name", CORE)
def test_what_a_practice_lives_on_is_critical_also_alone(name):
    """The class of the eight does not hang on which other tables were asked for."""
    assert judge(load_knowledge().table(name).table, known=True).importance == "critical"


def test_classes_have_sizes_a_person_can_watch():
    """Of 424 tables a handful is critical, some dozens important, and most are neither."""
    counts = Counter(choice.importance for choice in judge_all(load_knowledge()).values())
    assert 8 <= counts["critical"] <= 15
    assert 25 <= counts["important"] <= 60
    assert 40 <= counts["reference"] <= 80
    assert 15 <= counts["audit"] <= 30


@pytest.mark.parametrize("knowledge", [load_knowledge(), Knowledge.empty()], ids=["known", "unknown"])
@pytest.mark.parametrize("filled", [True, False])
def test_trails_are_audit_and_daily_work_is_not(knowledge, filled):
    """Who did what is audit; treatment and conversations, named alike, never are, whatever is known."""
    audit = named(judge_all(knowledge, filled=filled), "audit")
    assert {"securitylog", "securityloghash", "entrylog", "inseditlog", "inseditpatlog", "histappointment"} <= audit
    assert not audit & {"procedurelog", "commlog", "claimvalcodelog", "procnote"}


def test_lists_are_reference_and_settings_standard():
    """What everything points to is a reference however much points to it; how the program looks is standard."""
    choices = judge_all(load_knowledge())
    lists = {"definition", "provider", "procedurecode", "feesched", "carrier", "clinic", "userod", "operatory"}
    assert lists <= named(choices, "reference")
    assert {"preference", "displayfield", "sheetdef", "signalod"} <= named(choices, "standard")


def test_references_alone_find_the_middle_of_the_schema():
    """Without the knowledge, what ties the most tables together is still seen, and so are the lists."""
    for filled in (True, False):
        choices = judge_all(Knowledge.empty(), filled=filled)
        assert {"patient", "procedurelog", "appointment", "claim"} <= named(choices, "critical")
        assert {"claimproc", "payment", "paysplit"} <= named(choices, "critical") | named(choices, "important")
        assert {"definition", "provider", "procedurecode", "feesched", "clinic", "userod"} <= named(
            choices, "reference"
        )
        assert len(named(choices, "critical") | named(choices, "important")) <= 20


def test_a_name_alone_makes_no_reference():
    """A list is what others point to: a table that only sounds like one is standard."""
    assert judge(a_table("goaltype")).importance == "standard"
    assert judge(a_table("goaltype"), by=1).importance == "reference"


def test_a_leftover_without_a_primary_key_is_standard():
    """A copy that nothing identifies is not important, even if its columns refer to thirty tables."""
    copy = Table("procedurelog2", (Column("ProcNum", "bigint(20)"),))
    assert judge(copy, to=30, by=30, rows=10**7).importance == "standard"
    assert "no primary key" in judge(copy).reasons[-1]


@pytest.mark.parametrize("name", ["patient_bak", "patient_copy", "claim_20200424", "tempschedule_x", "old_claim_2"])
def test_a_copy_with_a_key_is_standard_too(name):
    """CREATE TABLE ... LIKE keeps the key; the name tells."""
    choice = judge(a_table(name), to=30, by=30)
    assert (choice.importance, choice.reasons[-1].partition(":")[0]) == ("standard", "standard whatever it scores")


@pytest.mark.parametrize(
    "name", ["temporal", "backorders", "copyright_x", "holdings", "icd10", "goldcard", "templates"]
)
def test_a_name_that_only_sounds_like_a_copy_is_none(name):
    """A clinic's own table keeps the class that its references give."""
    assert judge(a_table(name), to=10, by=10).importance == "critical"


def test_official_tables_are_never_taken_for_copies():
    """No official table's name looks like a copy, although nobody says that it is official."""
    choices = judge_all(Knowledge.empty(), filled=False)
    assert [name for name, choice in choices.items() if any("copy" in reason for reason in choice.reasons)] == []


def test_the_score_is_the_sum_of_its_reasons():
    """Every point is accounted for, in words, and the sum stops at 100."""
    for knowledge in (load_knowledge(), Knowledge.empty()):
        for choice in judge_all(knowledge).values():
            points = [int(reason.split()[0]) for reason in choice.reasons if reason.startswith("+")]
            assert choice.score == min(100, sum(points))
            assert all(len(reason) > 8 for reason in choice.reasons)


def test_reasons_read_as_sentences_a_person_can_disagree_with():
    """The contributions of one table, in full."""
    usage = UsagePattern("high", "")
    known = load_knowledge().table("periomeasure")
    choice = choose_importance(
        known.table, rows=678_515, megabytes=50, usage=usage, references=[a_reference("periomeasure", "perioexam")],
        referenced_by=[], known=known,
    )  # fmt: skip
    assert choice == ImportanceChoice(
        "important",
        53,
        (
            "+30 clinical role: treatment and its record",
            "+3 refers to 1 table",
            "+10 edited all day",
            "+10 size: at least 100,000 rows or 100 MB",
        ),
    )


def test_references_to_itself_and_twice_to_one_table_count_once():
    """patient.Guarantor and patient.SuperFamily make patient no more important; ten provider columns are one tie."""
    table = a_table("t")
    itself = [a_reference("t", "t")] * 5 + [a_reference("t", "provider")] * 10
    choice = choose_importance(
        table, rows=0, megabytes=0, usage=STATIC, references=itself, referenced_by=itself[:5], known=None
    )
    assert choice.reasons == ("+3 refers to 1 table",)


@pytest.mark.parametrize(
    ("rows", "megabytes", "points"),
    [(0, 0.0, 0), (1, 0.0, 4), (999, 0.9, 4), (1_000, 0.0, 6), (0, 10.0, 8), (10**5, 0.1, 10), (5, 1_000.0, 12)],
)
def test_size_counts_a_little_by_rows_or_by_megabytes(rows, megabytes, points):
    """The larger of the two counts; an empty table gets nothing."""
    table = a_table("t")
    choice = choose_importance(
        table, rows=rows, megabytes=megabytes, usage=STATIC, references=[], referenced_by=[], known=None
    )
    assert choice.score == points
    assert len(choice.reasons) == (points > 0)


def test_a_clinics_own_table_is_no_copy_because_of_zz():
    """Practices put zz before a name to move it to the end of a list; such a table may be alive."""
    assert judge(a_table("zz_goals"), to=10, by=10).importance == "critical"


def test_edits_count_only_where_they_show():
    """A frequency that was guessed from the number of rows adds nothing."""
    silent = replace(a_table("t"), columns=(Column("ANum", "bigint(20)"),))
    usage = UsagePattern("moderate", "guessed")
    choice = choose_importance(silent, rows=0, megabytes=0, usage=usage, references=[], referenced_by=[], known=None)
    assert choice == ImportanceChoice("standard", 0, ())
