"""A table's configuration: every key follows from the judgement, and a person's word is held against the table."""

import pytest

from tap_opendental.discovery.judgements import Candidate, Reference, ReplicationChoice, UsagePattern
from tap_opendental.discovery.model import Column, Table, TableSize
from tap_opendental.discovery.rules.configuration import choose_configuration, choose_monitoring, explain_configuration
from tap_opendental.discovery.rules.validation import find_problems
from tap_opendental.discovery.table_config import ColumnOverride, Monitoring, TableConfig

TABLE = Table(
    "visit",
    (
        Column("VisitNum", "bigint(20)", nullable=False, auto_increment=True),
        Column("PatNum", "bigint(20)", nullable=False),
        Column("VisitDate", "datetime"),
        Column("Fee", "double"),
        Column("IsNew", "tinyint(4)"),
        Column("DateTStamp", "timestamp", nullable=False, on_update="current_timestamp()"),
    ),
    ("VisitNum",),
)
EVENT = Candidate("VisitDate", "event_time", "an edit need not move it")
STAMPED = ReplicationChoice("INCREMENTAL", "DateTStamp", "because", candidates=(EVENT,))
WHOLE = ReplicationChoice("FULL_TABLE", None, "full table: no column updates itself", candidates=(EVENT,))
TO_PATIENT = Reference("visit", "PatNum", "patient", "PatNum", "name", 0.9, "named so")
TO_ITSELF = Reference("visit", "PreviousNum", "visit", "VisitNum", "name", 0.9, "named so")
MEGABYTE = 1_048_576


def configure(megabytes, replication=STAMPED, importance="standard", frequency="low", previous=None):
    """The configuration of TABLE at a size."""
    return choose_configuration(
        TABLE,
        TableSize(int(megabytes * 1000), int(megabytes * MEGABYTE), 0, exact=True),
        replication=replication,
        usage=UsagePattern(frequency, "so"),
        importance=importance,
        references=(TO_PATIENT, TO_ITSELF),
        previous=previous,
    )


def test_a_small_table_is_read_whole_and_keeps_its_key_on_record():
    """Under 1 MB the strategy is full_table, and incremental_column is recorded all the same."""
    config = configure(0.5)
    assert (config.extraction_strategy, config.incremental_column) == ("full_table", "DateTStamp")
    assert config.dependencies == ("patient",)
    assert config.schema_hash == TABLE.schema_hash


def test_a_large_table_without_a_key_is_read_whole():
    """Size does not make an event time safe."""
    config = configure(5000, replication=WHOLE)
    assert (config.extraction_strategy, config.incremental_column, config.batch_size) == ("full_table", None, 1000)


@pytest.mark.parametrize(
    ("importance", "megabytes", "monitoring"),
    [
        ("critical", 0, Monitoring(alert_on_failure=True, max_extraction_time_minutes=5, data_quality_threshold=0.99)),
        (
            "important",
            499,
            Monitoring(alert_on_failure=True, max_extraction_time_minutes=50, data_quality_threshold=0.95),
        ),
        (
            "standard",
            1000,
            Monitoring(alert_on_failure=False, max_extraction_time_minutes=100, data_quality_threshold=0.95),
        ),
        (
            "audit",
            90_000,
            Monitoring(alert_on_failure=False, max_extraction_time_minutes=180, data_quality_threshold=0.95),
        ),
    ],
)
def test_monitoring_follows_importance_and_size(importance, megabytes, monitoring):
    """Alerts for critical and important; a minute for 10 MB between 5 and 180; 0.99 for critical."""
    assert choose_monitoring(importance, megabytes) == monitoring


@pytest.mark.parametrize(("importance", "modeled"), [("critical", True), ("important", True), ("reference", False)])
def test_critical_and_important_tables_are_modeled(importance, modeled):
    """is_modeled says what dbt should build on."""
    assert configure(1, importance=importance).is_modeled is modeled


def test_a_table_at_a_border_keeps_its_strategy():
    """Size class and estimates stay while the table has not clearly left them."""
    before = configure(95)
    after = configure(105, previous=before)
    assert (after.extraction_strategy, after.estimated_size_mb) == ("incremental", 95.0)
    assert configure(111, previous=before).extraction_strategy == "chunked_incremental"


def test_every_choice_has_its_reason():
    """The words name the size and the key; what a person set is the person's."""
    size = TableSize(10, 0, 0, exact=True)
    usage = UsagePattern("low", "so")
    reasons = explain_configuration(
        TableConfig(overrides={"batch_size": 7, "reason": "x"}), size, replication=STAMPED, usage=usage
    )
    assert "read whole" in reasons["extraction_strategy"]
    assert reasons["batch_size"] == "set by a person in tables.yml"
    assert explain_configuration(TableConfig(), size, replication=WHOLE, usage=usage)["extraction_strategy"] == (
        "full table: no column updates itself"
    )


def problems(replication=STAMPED, trusted=(), **keys):
    """Problems of TABLE with a configuration, as texts."""
    found = find_problems(TABLE, TableConfig(**keys), replication, trusted_keys=trusted, existing={"visit", "patient"})
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"incremental_column": "DateTStamp", "extraction_strategy": "incremental"},
        {"incremental_column": "DateTStamp"},
        {"dependencies": ("Patient",)},
        {
            "column_overrides": {
                "Fee": ColumnOverride("decimal_round", 2),
                "IsNew": ColumnOverride("tinyint_to_boolean"),
            }
        },
        {"column_overrides": {"PatNum": ColumnOverride("exclude")}},
    ],
)
def test_what_fits_is_no_problem(keys):
    """A configuration that loses nothing is accepted."""
    assert problems(**keys) == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"incremental_column": "Gone"}, "incremental_column: there is no column 'Gone'; use DateTStamp"),
        ({"incremental_column": "VisitDate"}, "VisitDate would lose changes: an edit need not move it; use DateTStamp"),
        ({"incremental_column": "VisitNum"}, "VisitNum would lose changes: it does not show edits; use DateTStamp"),
        ({"extraction_strategy": "incremental", "replication": WHOLE}, "incremental does not fit: full table: no"),
        ({"dependencies": ("moon",)}, "dependencies: not in the database: moon; remove them"),
        ({"column_overrides": {"Gone": ColumnOverride("exclude")}}, "column_overrides.Gone: there is no such column"),
        ({"column_overrides": {"VisitNum": ColumnOverride("exclude")}}, "a key cannot be left out"),
        ({"column_overrides": {"VisitNum": ColumnOverride("tinyint_to_boolean")}}, "a key cannot be converted"),
        (
            {"incremental_column": "DateTStamp", "column_overrides": {"DateTStamp": ColumnOverride("exclude")}},
            "a key cannot be left out",
        ),
        ({"column_overrides": {"Fee": ColumnOverride("tinyint_to_boolean")}}, "the column is double"),
        ({"column_overrides": {"IsNew": ColumnOverride("decimal_round", 1)}}, "the column is tinyint"),
    ],
)
def test_what_does_not_fit_is_named_with_the_way_out(keys, said):
    """One problem, with table, key and what to do."""
    (problem,) = problems(**keys)
    assert problem.startswith("table visit, ")
    assert said in problem


def test_a_person_may_vouch_for_a_growing_key():
    """Of a table that nobody has reviewed, its owner may know that rows are only added."""
    assert problems(WHOLE, ("VisitNum",), incremental_column="VisitNum", extraction_strategy="incremental") == []
