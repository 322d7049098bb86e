"""tables.yml: what a person wrote is read exactly, mistakes are named with their line, and it is written sparingly."""

from dataclasses import replace

import pytest

from tap_opendental.discovery.table_config import ColumnOverride, Monitoring, TableConfig
from tap_opendental.discovery.tables_config import load_tables_file, parse_tables_file, render_tables_file
from tap_opendental.errors import ConfigError

SHORT = """\
defaults: {batch_size: 4000, monitoring: {alert_on_failure: true}}
tables:
  fee: {batch_size: 10, last_analyzed: 2026-11-22}
  Sheet:
    extraction_strategy: full_table
    overrides: {extraction_strategy: incremental, monitoring: {max_extraction_time_minutes: 90}, reason: it is large}
    column_overrides:
      ProcFee: {conversion_rule: decimal_round, precision: 2}
  'null': {}
"""


def test_a_table_takes_its_own_keys_then_the_defaults_then_the_rules():
    """What the file does not say is as the rules choose; overrides stand above all."""
    rules = TableConfig(extraction_strategy="incremental", estimated_rows=7)
    file = parse_tables_file(SHORT, "tables.yml")
    fee = file.config("fee", rules)
    assert (fee.batch_size, fee.extraction_strategy, fee.estimated_rows) == (10, "incremental", 7)
    assert fee.last_analyzed == "2026-11-22"
    sheet = file.config("Sheet", rules)
    assert (sheet.batch_size, sheet.extraction_strategy) == (4000, "incremental")
    assert sheet.monitoring == Monitoring(alert_on_failure=True, max_extraction_time_minutes=90)
    assert sheet.column_overrides == {"ProcFee": ColumnOverride("decimal_round", 2)}
    assert sheet.overrides["reason"] == "it is large"


def test_entries_take_the_databases_spelling():
    """A server may fold names: an entry finds its table where one only is meant. `null` is a name like any other."""
    file = parse_tables_file("tables: {Fee: {batch_size: 1}, Sheet: {}, null: {}, gone: {}}", "t")
    assert list(file.spelled_as(["fee", "sheet", "null"]).entries) == ["fee", "sheet", "null", "gone"]
    assert file.spelled_as(["fee"]).config("fee", TableConfig()).batch_size == 1
    assert file.spelled_as(["fee"]).config("patient", TableConfig()) is None


def test_tables_that_differ_in_case_share_nothing():
    """Where tables or entries differ in case only, an entry is of the table that is spelled so, or of none."""
    one = parse_tables_file("tables: {fee: {batch_size: 2}}", "t")
    assert one.spelled_as(["Fee", "fee"]).config("Fee", TableConfig()) is None
    assert list(one.spelled_as(["Fee", "FEE"]).entries) == ["fee"]
    two = parse_tables_file("tables: {Fee: {batch_size: 1}, fee: {batch_size: 2}}", "t")
    assert two.spelled_as(["Fee", "fee"]).config("fee", TableConfig()).batch_size == 2
    assert two.spelled_as(["fee"]).config("fee", TableConfig()).batch_size == 2
    assert set(two.spelled_as(["fee"]).entries) == {"Fee", "fee"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tables: [", r"t.yml line \d: not valid YAML"),
        ("", "t.yml: no mapping `tables:`"),
        ("fee: {}", "t.yml line 1: unknown key 'fee'; known keys: defaults, tables"),
        ("defaults: {}", "t.yml line 1: no mapping `tables:`"),
        ("tables:\n  fee: 3", "t.yml line 2, tables.fee: expected a mapping"),
        ("tables:\n  fee: {}\n  fee: {}", "t.yml line 3, tables: key 'fee' stands twice"),
        (
            "tables:\n  fee:\n    bach_size: 3",
            "line 3, tables.fee: unknown key 'bach_size'; did you mean 'batch_size'?",
        ),
        ("tables:\n  fee: {batch_size: 0}", "line 2, tables.fee.batch_size: must be a whole number of rows, from 1 to"),
        ("tables: {fee: {batch_size: '10'}}", "tables.fee.batch_size: must be a whole number of rows"),
        ("tables: {fee: {batch_size: true}}", "tables.fee.batch_size: must be a whole number of rows"),
        ("tables: {fee: {batch_size: !x 1}}", "tables.fee.batch_size: not a plain value"),
        (
            "tables: {fee: {extraction_strategy: incrementl}}",
            "must be one of full_table, .*; did you mean 'incremental'",
        ),
        ("tables: {fee: {table_importance: 3}}", "tables.fee.table_importance: must be one of critical, "),
        ("tables: {fee: {incremental_column: 3}}", "incremental_column: must be text"),
        ("tables: {fee: {is_modeled: 1}}", "is_modeled: must be true or false"),
        ("tables: {fee: {dependencies: patient}}", "dependencies: must be a list"),
        ("tables: {fee: {monitoring: {data_quality_threshold: 2}}}", "must be a number from 0 to 1"),
        ("defaults: {schema_hash: x}\ntables: {}", "defaults: unknown key 'schema_hash'"),
        ("tables: {fee: {overrides: {schema_hash: x}}}", "overrides: unknown key 'schema_hash'"),
        ("tables: {fee: {column_overrides: {A: {}}}}", "column_overrides.A: conversion_rule is missing"),
        ("tables: {fee: {column_overrides: {A: {conversion_rule: decimal_round}}}}", "decimal_round needs it"),
        ("tables: {fee: {column_overrides: {A: {conversion_rule: exclude, precision: 1}}}}", "precision belongs to"),
        ("tables: {[a]: {}}", "a key must be a plain word"),
        ("tables: {fee: {batch_size: !!int abc}}", "batch_size: not a plain value"),
        ("tables: {fee: {is_modeled: !!bool maybe}}", "is_modeled: not a plain value"),
        ("tables: {fee: {dependencies: [2024-99-99]}}", "dependencies: not a plain value"),
        ("tables: " + "[" * 200_000, "t.yml line 1: nested too deeply"),
        ("tables: " + "{a: " * 900 + "1" + "}" * 900, "t.yml line 1: nested too deeply"),
    ],
)
def test_mistakes_are_named(text, message):
    """One line says which file, which line, which table and key, and what to do."""
    with pytest.raises(ConfigError, match=message) as caught:
        parse_tables_file(text, "t.yml")
    assert "\n" not in str(caught.value)


def test_an_unreadable_file_is_a_config_error(tmp_path):
    """A path that cannot be read is named with the reason."""
    with pytest.raises(ConfigError, match=r"nowhere.yml: cannot be read \(No such file or directory\)"):
        load_tables_file(str(tmp_path / "nowhere.yml"))


PLAIN = TableConfig(schema_hash="a" * 64, last_analyzed="2026-11-22")
CONFIGS = {
    'zz `odd` %s "name": {x}': replace(PLAIN, dependencies=("null", "patient")),
    "procedurelog": replace(
        PLAIN,
        incremental_column="DateTStamp",
        batch_size=300,
        extraction_strategy="incremental",
        table_importance="critical",
        estimated_size_mb=1.5,
        is_modeled=True,
        monitoring=Monitoring(alert_on_failure=True, data_quality_threshold=0.99, max_extraction_time_minutes=50),
        column_overrides={"Note": ColumnOverride("exclude"), "Fee %": ColumnOverride("decimal_round", 2)},
        overrides={"batch_size": 300, "monitoring": {"max_extraction_time_minutes": 50}, "reason": "long: notes"},
    ),
    "yes": replace(PLAIN, last_analyzed="2026-11-20"),
    "undated": TableConfig(overrides={"incremental_column": None}),
    "naïve 表": PLAIN,
}  # fmt: skip


def test_what_is_written_reads_the_same():
    """Names that YAML would take for something else, overrides and nested values survive the way out and back."""
    file = parse_tables_file(render_tables_file(CONFIGS), "t.yml")
    dated = {
        name: replace(config, last_analyzed=config.last_analyzed or "2026-11-22") for name, config in CONFIGS.items()
    }
    assert {name: file.config(name, TableConfig()) for name in file.entries} == dated
    alone = {"undated": CONFIGS["undated"]}
    assert parse_tables_file(render_tables_file(alone), "t").config("undated", TableConfig()) == alone["undated"]


def test_only_what_differs_is_written():
    """Defaults stand once at the top; most tables take a line or two, an overridden value stands once."""
    lines = render_tables_file(CONFIGS).splitlines()
    start = lines.index("  procedurelog:")
    assert "    batch_size: 300" not in lines
    assert lines[start + 1] == "    incremental_column: DateTStamp"
    assert "    monitoring: {alert_on_failure: true, data_quality_threshold: 0.99}" in lines
    assert (
        "    overrides: {batch_size: 300, monitoring: {max_extraction_time_minutes: 50}, reason: 'long: notes'}"
        in lines
    )
    assert lines[lines.index("  naïve 表:") + 1].startswith("    schema_hash: ")
    assert [line for line in lines if "2026-11-22" in line] == ["  last_analyzed: '2026-11-22'"]


def test_the_same_configurations_give_the_same_bytes():
    """The order in which tables are given does not show."""
    assert render_tables_file(dict(reversed(CONFIGS.items()))) == render_tables_file(CONFIGS)
