"""sources.yml: what the pipeline loads, by its exact names, with tests that hold in Open Dental."""

import json

import pytest
import yaml
from click.testing import CliRunner
from tests.analyses import analyse, analysis_of, content_of

from opendental_analyze.explain.dbt_cli import dbt_sources
from opendental_analyze.explain.dbt_columns import find_raw_type
from opendental_analyze.explain.dbt_sources import Wish, render_sources
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Column, Table
from tap_opendental.discovery.table_config import ColumnOverride
from tap_opendental.errors import ConfigError, NothingSelectedError

KEY = Column("Id", "bigint(20)", nullable=False, auto_increment=True)
STAMP = Column("Changed", "timestamp", nullable=False, default="current_timestamp()", on_update="current_timestamp()")


def tables_of(analysis, *patterns):
    """The file's tables, as dbt reads them."""
    text = render_sources(analysis, load_knowledge(), Wish(patterns=patterns)).text
    return {table["name"]: table for table in yaml.load(text, yaml.CSafeLoader)["sources"][0]["tables"]}


def columns_of(table):
    return {column["name"]: column for column in table["columns"]}


def data_tests_of(table, column):
    """The data tests of a column; a relationship is told by its target."""
    tests = columns_of(table)[column].get("data_tests", [])
    return [test if isinstance(test, str) else test["relationships"]["arguments"]["to"] for test in tests]


def clinic_table(*columns, name="clinicnote", key=("Id",), **config):
    """An analysis of one table that the knowledge has not, with a key and a timestamp."""
    return content_of([analyse(Table(name, (KEY, STAMP, *columns), key), **config)])


def test_names_are_exact_and_quoted_and_types_are_those_of_raw():
    """PostgreSQL is asked for "PatNum", not for patnum; data_type is what target-postgres makes of it."""
    source = yaml.load(render_sources(analysis_of("recall"), load_knowledge(), Wish()).text, yaml.CSafeLoader)[
        "sources"
    ][0]
    assert (source["name"], source["schema"], source["quoting"]["identifier"]) == ("opendental", "raw", True)
    columns = columns_of(source["tables"][0])
    assert list(columns) == [column["name"] for column in analysis_of("recall")["tables"][0]["columns"]]
    assert all(column["quote"] is True for column in columns.values())
    types = {"PatNum": "bigint", "DateDue": "date", "IsDisabled": "boolean", "Priority": "smallint"}
    types |= {"DisableUntilBalance": "numeric", "DateTStamp": "timestamp without time zone", "Note": "text"}
    assert {name: columns[name]["data_type"] for name in types} == types


def test_the_same_analysis_gives_the_same_bytes():
    """Tables come sorted by name, so that neither the server's order nor a second run moves a line."""
    analysis = analysis_of("patient", "appointment", "fee")
    backwards = analysis | {"tables": analysis["tables"][::-1]}
    assert render_sources(analysis, load_knowledge(), Wish()) == render_sources(backwards, load_knowledge(), Wish())


def test_secrets_are_not_in_the_file():
    """No secret of Open Dental is a column of the file, in any table; each is named as not loaded."""
    tables = tables_of(analysis_of())
    secrets = load_knowledge().secrets()
    assert secrets
    for table, column in secrets:
        assert column not in columns_of(tables[table])
        assert column in tables[table]["config"]["meta"]["not_loaded"]


def test_what_a_person_excluded_is_left_out_and_what_is_converted_has_its_new_type():
    """column_overrides decide, whatever the case of their spelling."""
    overrides = {"note": ColumnOverride("exclude"), "Flag": ColumnOverride("tinyint_to_boolean")}
    columns = (Column("Note", "text"), Column("Flag", "tinyint(4)"), Column("Other", "tinyint(4)"))
    table = tables_of(clinic_table(*columns, column_overrides=overrides))["clinicnote"]
    assert list(columns_of(table)) == ["Id", "Changed", "Flag", "Other"]
    assert [columns_of(table)[name]["data_type"] for name in ("Flag", "Other")] == ["boolean", "smallint"]
    assert table["config"]["meta"]["not_loaded"] == ["Note"]


def test_a_single_key_is_tested_and_a_composite_one_is_told():
    """A test `unique` holds for a one-column key only; each column of a composite key may repeat."""
    single = tables_of(clinic_table())["clinicnote"]
    assert data_tests_of(single, "Id") == ["unique", "not_null"]
    double = tables_of(clinic_table(Column("Line", "int(11)", nullable=False), key=("Id", "Line")))["clinicnote"]
    assert (data_tests_of(double, "Id"), data_tests_of(double, "Line")) == ([], [])
    assert double["config"]["meta"]["primary_key"] == ["Id", "Line"]


def test_a_reference_is_tested_where_it_holds():
    """0 and -1 mean none; orphans warn, since Open Dental declares no foreign key."""
    tables = tables_of(analysis_of("recall", "patient"))
    (test,) = columns_of(tables["recall"])["PatNum"]["data_tests"]
    assert test["relationships"] == {
        "arguments": {"to": "source('opendental', 'patient')", "field": '"PatNum"'},
        "config": {"severity": "warn", "where": '"PatNum" not in (0, -1)'},
    }
    assert columns_of(tables["recall"])["PatNum"]["config"]["meta"]["references"] == ["patient.PatNum"]


def test_a_reference_to_a_table_outside_the_file_is_told_only():
    """A test whose target is no source would not parse."""
    (recall,) = tables_of(analysis_of("recall", "patient"), "recall").values()
    assert data_tests_of(recall, "PatNum") == []
    assert columns_of(recall)["PatNum"]["config"]["meta"]["references"] == ["patient.PatNum"]


@pytest.mark.parametrize(
    "change",
    [{"source": "name"}, {"orphans": 3}, {"to_column": "LName"}],
    ids=["guessed by its name", "orphans were found", "not to a primary key"],
)
def test_a_reference_that_may_not_hold_is_told_only(change):
    """Only documented references to a key, without orphans as far as the probe looked, become tests."""
    analysis = analysis_of("recall", "patient")
    recall = next(table for table in analysis["tables"] if table["name"] == "recall")
    next(reference for reference in recall["references"] if reference["column"] == "PatNum").update(change)
    assert data_tests_of(tables_of(analysis)["recall"], "PatNum") == []


def test_an_enum_is_no_reference():
    """Column disease.ProbStatus is documented as both; a filled practice shows that it holds the enum."""
    tables = tables_of(analysis_of("disease", "icd9"))
    assert data_tests_of(tables["disease"], "ProbStatus") == []


def test_a_reference_that_another_column_decides_is_told_only():
    """A column with two targets is polymorphic: no single relationship holds for all its rows."""
    analysis = analysis_of()
    tables = tables_of(analysis)
    double = [
        (table["name"], reference["column"])
        for table in analysis["tables"]
        for reference in table["references"]
        if len([other for other in table["references"] if other["column"] == reference["column"]]) > 1
    ]
    assert double
    assert all(data_tests_of(tables[table], column) == [] for table, column in double)


def test_freshness_goes_by_the_replication_key_in_utc():
    """A modeled table that is written all day warns after a long weekend and fails after two weeks."""
    config = tables_of(analysis_of("appointment"))["appointment"]["config"]
    assert config["loaded_at_field"] == "\"DateTStamp\" at time zone 'UTC'"
    assert config["freshness"] == {
        "warn_after": {"count": 4, "period": "day"},
        "error_after": {"count": 14, "period": "day"},
        "filter": "\"DateTStamp\" at time zone 'UTC' <= now()",
    }


def test_freshness_of_a_table_that_is_not_modeled_never_fails():
    """A quiet table is no reason to stop a night's run."""
    freshness = tables_of(clinic_table())["clinicnote"]["config"]["freshness"]
    assert set(freshness) == {"warn_after", "filter"}


def test_a_table_that_is_read_whole_for_its_size_has_freshness_all_the_same():
    """The key tells when Open Dental last wrote a row, however the row came over."""
    config = tables_of(clinic_table(extraction_strategy="full_table"))["clinicnote"]["config"]
    assert config["loaded_at_field"] == "\"Changed\" at time zone 'UTC'"


def test_no_freshness_without_a_moment_in_utc():
    """Lists that hardly change, and tables by a wall clock, a number or nothing do not say how fresh they are."""
    clock = Column("Changed", "datetime", on_update="current_timestamp()")
    quiet = clinic_table()
    quiet["tables"][0]["usage"]["update_frequency"] = "static"
    analyses = [
        quiet,
        clinic_table(incremental_column=None),
        clinic_table(incremental_column="Id"),
        content_of([analyse(Table("clinicnote", (KEY, clock), ("Id",)))]),
    ]
    for analysis in analyses:
        config = tables_of(analysis)["clinicnote"]["config"]
        assert set(config) == {"meta"}


def test_patient_data_and_importance_are_meta():
    """Downstream can find every column that holds a patient's name, and the tables worth modelling."""
    patient = tables_of(analysis_of("patient"))["patient"]
    assert columns_of(patient)["LName"]["config"]["meta"]["patient_data"] == ["name"]
    assert patient["config"]["meta"]["importance"] == "critical"
    assert patient["config"]["meta"]["is_modeled"] is True
    assert "patient_data" not in columns_of(patient)["PatStatus"].get("config", {}).get("meta", {})


def test_descriptions_say_what_the_type_does_not():
    """Names of an enum in their order, sentinel dates, the clock of a time."""
    patient = columns_of(tables_of(analysis_of("patient"))["patient"])
    assert "PatientStatus: Patient, NonPatient, Inactive" in patient["PatStatus"]["description"]
    assert "0001-01-01 means no date" in patient["Birthdate"]["description"]
    assert "In UTC" in patient["DateTStamp"]["description"]
    assert "0 means none" in patient["PriProv"]["description"]


@pytest.mark.parametrize(
    ("mysql", "raw"),
    [
        ("int(10) unsigned", "bigint"),
        ("bigint(20) unsigned", "numeric"),
        ("mediumint(9)", "integer"),
        ("decimal(10,2)", "numeric"),
        ("float", "numeric"),
        ("bit(8)", "smallint"),
        ("datetime", "timestamp without time zone"),
        ("time", "text"),
        ("longblob", "text"),
        ("year(4)", "smallint"),
        ("no_such_type", None),
    ],
)
def test_the_type_in_raw_follows_the_tap_s_reading(mysql, raw):
    """Types are the tap's decision, turned into target-postgres's columns; a type that it cannot read has none."""
    assert find_raw_type("clinicnote", {"name": "X", "type": mysql, "nullable": True}, None) == raw


def test_tables_that_the_tap_leaves_out_are_left_out_with_the_reason():
    """Without a primary key, or with a key that is a secret, nothing arrives in raw."""
    keyless = Table("copy_bak", (KEY,))
    locked = Table("clinictoken", (Column("ApiToken", "varchar(64)", nullable=False),), ("ApiToken",))
    kept = Table("clinicnote", (KEY,), ("Id",))
    sources = render_sources(content_of([analyse(t) for t in (keyless, locked, kept)]), load_knowledge(), Wish())
    assert sources.not_loaded == {"clinictoken": "its key is withheld", "copy_bak": "no primary key"}
    assert sources.tables == 1
    assert "copy_bak" not in sources.text


@pytest.mark.parametrize("patterns", [("nothing*",), ("copy_bak",)])
def test_a_file_without_tables_is_refused(patterns):
    """An empty sources.yml would look like success."""
    analysis = content_of([analyse(Table("copy_bak", (KEY,)))])
    with pytest.raises(NothingSelectedError):
        render_sources(analysis, load_knowledge(), Wish(patterns=patterns))


def test_hostile_names_stay_names():
    """Braces are no template, a quote is doubled, what precedes a hyphen is lost on the way to raw; none is tested."""
    names = ("{{ evil }}", 'a"b', "my-table", "null", "a b")
    tables = tables_of(content_of([analyse(Table(name, (KEY, Column(name, "int(11)")), ("Id",))) for name in names]))
    assert set(tables) == {"{{ '{' }}{ evil }}", 'a"b', "my-table", "null", "a b"}
    assert (tables['a"b']["identifier"], tables["my-table"]["identifier"]) == ('a""b', "table")
    assert data_tests_of(tables["a b"], "Id") == []
    assert data_tests_of(tables["null"], "Id") == ["unique", "not_null"]


def test_the_command_writes_the_file_and_says_what_is_missing(tmp_path):
    """The file goes where it is wanted, words go to stderr, and stdout stays empty."""
    analysis = content_of([analyse(Table("copy_bak", (KEY,))), analyse(Table("clinicnote", (KEY,), ("Id",)))])
    (tmp_path / "analysis.json").write_text(json.dumps(analysis))
    output = tmp_path / "sources.yml"
    arguments = ["--analysis", str(tmp_path), "--output", str(output), "--schema", "other", "--source-name", "od"]
    run = CliRunner().invoke(dbt_sources, arguments)
    assert (run.exit_code, run.stdout) == (0, "")
    assert "copy_bak: no primary key" in run.stderr
    source = yaml.load(output.read_text(), yaml.CSafeLoader)["sources"][0]
    assert (source["schema"], source["name"]) == ("other", "od")


def test_the_command_prints_without_a_file(tmp_path):
    """The file's text goes to stdout, for a pipe."""
    (tmp_path / "analysis.json").write_text(json.dumps(clinic_table()))
    run = CliRunner().invoke(dbt_sources, ["--analysis", str(tmp_path / "analysis.json")])
    assert run.exit_code == 0
    assert run.stdout == render_sources(clinic_table(), load_knowledge(), Wish()).text


def test_a_source_s_name_that_would_break_a_test_is_refused():
    """Tests say source('NAME', 'patient'): a quote in it would be code."""
    with pytest.raises(ConfigError, match="--source-name"):
        render_sources(clinic_table(), load_knowledge(), Wish(source_name="it's"))


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    """The command ends with the error of a setting, and leaves nothing behind."""
    (tmp_path / "analysis.json").write_text(json.dumps(clinic_table()))
    output = tmp_path / "analysis.json/sources.yml"
    run = CliRunner().invoke(dbt_sources, ["--analysis", str(tmp_path), "--output", str(output)])
    assert isinstance(run.exception, ConfigError)
    assert "analysis.json" in str(run.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["analysis.json"]


@pytest.mark.parametrize(("complete", "warned"), [(True, 0), (False, 1)])
def test_a_partial_analysis_is_told_to_be_one(tmp_path, complete, warned):
    """A sources.yml of one table is what was asked for, or a surprise in dbt: stderr says how to get all."""
    (tmp_path / "analysis.json").write_text(json.dumps(clinic_table() | {"complete": complete}))
    run = CliRunner().invoke(dbt_sources, ["--analysis", str(tmp_path)])
    assert run.exit_code == 0
    told = [line for line in run.stderr.splitlines() if line.startswith("warning: the analysis holds 1 table only")]
    assert len(told) == warned
    assert all("without --tables" in line for line in told)
