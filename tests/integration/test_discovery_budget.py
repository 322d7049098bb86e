"""What the analysis may cost, and that it says the same twice: statements, memory, bytes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import sqlalchemy as sa
import yaml

from opendental_analyze.sandbox.day import play_day
from opendental_analyze.sandbox.throw_away import clone_source, mariadb_database
from tap_opendental.discovery import SchemaDiscovery
from tap_opendental.discovery.knowledge import Knowledge, load_knowledge
from tap_opendental.discovery.tables_config import load_tables_file

DAY, NEXT_DAY = "2024-06-30", "2024-07-01"
MOST_STATEMENTS = 15
MOST_MEGABYTES = 300

MEASURE = """
import json, pathlib, sys
import sqlalchemy as sa
from tap_opendental.discovery import SchemaDiscovery

discovery = SchemaDiscovery(sa.create_engine(sys.argv[1]), sys.argv[2])
analysis = discovery.analyze_complete_schema()
text = discovery.generate_complete_configuration()
tables = len(analysis.to_dict()["tables"])
status = pathlib.Path("/proc/self/status").read_text()  # getrusage would count the process that started this one
peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps({"tables": tables, "lines": text.count("\\n"), "megabytes": peak}))
"""


@pytest.fixture
def copy(sandbox, practice):
    """The practice's database once more, to change."""
    with mariadb_database(sandbox.state, "budget") as database:
        clone_source(sandbox.state, database.name)
        yield database


def discover(practice, knowledge=None):
    return SchemaDiscovery(practice.reader, practice.database, knowledge=knowledge or load_knowledge())


def read_file(folder):
    return load_tables_file(str(folder / "tables.yml"))


def test_the_complete_analysis_takes_at_most_15_statements(practice, general_log):
    """As the server counts them, for every official table and the leftovers, session settings included."""
    practice.reader.dispose()  # the connection's own statements count as well
    with general_log() as statements:
        analysis = discover(practice).analyze_complete_schema()
    assert len(analysis.tables) > 424
    assert 0 < len(statements) <= MOST_STATEMENTS, statements
    assert not [statement for statement in statements if "SHOW CREATE" in statement.upper()]


def test_a_create_statement_costs_one_statement_once(practice, general_log):
    """It is fetched when it is first asked for, for the table that was asked about, and never again."""
    discovery = discover(practice)
    discovery.discover_all_tables()
    with general_log() as statements:
        for table in ("patient", "patient", "recall"):
            assert discovery.get_table_schema(table).create_statement.startswith(f"CREATE TABLE `{table}`")
    assert [statement for statement in statements if statement.startswith("SHOW CREATE")] == [
        f"SHOW CREATE TABLE `{practice.database}`.`{table}`" for table in ("patient", "recall")
    ]


def test_dependencies_end_in_a_circle(practice):
    """Each table is named once at its shortest distance, never the table itself, and no deeper than asked for."""
    discovery = discover(practice)
    near = discovery.get_table_dependencies_recursive("procedurelog", depth=1)
    far = discovery.get_table_dependencies_recursive("procedurelog", depth=50)
    names = [dependency.table for dependency in far]
    assert "procedurelog" not in names
    assert len(set(names)) == len(names)
    assert far[: len(near)] == near
    assert {"patient", "provider", "appointment"} <= {dependency.table for dependency in near}
    assert len(far) > len(near) > 3
    assert discovery.get_table_dependencies_recursive("procedurelog", depth=0) == ()


def test_a_second_question_costs_no_statement(practice, general_log):
    """After the complete analysis every other question is answered from memory, for every table."""
    discovery = discover(practice)
    discovery.analyze_complete_schema()
    tables = discovery.discover_all_tables()
    with general_log() as statements:
        for table in tables:
            schema = discovery.get_table_schema(table)
            discovery.get_table_size_info(table)
            discovery.get_incremental_columns(table)
            discovery.get_table_dependencies_recursive(table)
            assert not discovery.has_schema_changed(table, schema.schema_hash)
            config = discovery.get_pipeline_configuration(table)
            assert discovery.validate_table_configuration(table, config) in ([], ())
        discovery.analyze_table_relationships(tables)
        discovery.analyze_table_usage_patterns(tables)
        discovery.determine_table_importance(tables)
        discovery.analyze_complete_schema()
        discovery.generate_complete_configuration()
    assert statements == []


def test_constructing_asks_nothing():
    """No I/O before the first question: an address that leads nowhere is no error yet."""
    SchemaDiscovery(sa.create_engine("mysql+pymysql://nobody@127.0.0.1:1/nowhere"), "nowhere")


def test_memory_stays_under_300_mb(practice):
    """Peak memory of a process that does the complete analysis and renders both results."""
    url = practice.reader.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", MEASURE, url, practice.database]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    assert measured["tables"] > 424
    assert measured["lines"] > 424
    assert measured["megabytes"] < MOST_MEGABYTES


def test_two_runs_give_the_same_bytes(practice):
    """Two analyses that know nothing of each other agree in every byte of tables.yml."""
    first, second = (discover(practice).generate_complete_configuration(analyzed_on=DAY) for _ in range(2))
    assert first == second
    assert first.count("\n") > 424


def test_a_run_on_the_next_day_gives_the_same_bytes(practice, tmp_path):
    """With the previous file as its input a later run changes nothing, not even the day of a table's last analysis."""
    before = discover(practice).generate_complete_configuration(tmp_path, analyzed_on=DAY)
    assert (tmp_path / "tables.yml").read_bytes() == before.encode()
    after = discover(practice).generate_complete_configuration(previous=read_file(tmp_path), analyzed_on=NEXT_DAY)
    assert after == before


def test_a_day_at_the_practice_without_an_upgrade_changes_no_byte(copy, tmp_path):
    """Inserts, edits, deletes and a merge move rows, not the reviewed file: estimates give way to 25% and no less."""
    engine = sa.create_engine(copy.reader_url)
    before = SchemaDiscovery(engine, copy.name).generate_complete_configuration(tmp_path, analyzed_on=DAY)
    told = play_day(copy.engine, database=copy.name, seed=1, with_upgrade=False)
    assert told["tables"]
    assert told["added_columns"] == {}
    later = SchemaDiscovery(engine, copy.name)
    after = later.generate_complete_configuration(previous=read_file(tmp_path), analyzed_on=NEXT_DAY)
    engine.dispose()
    assert after == before


def test_a_day_with_an_upgrade_moves_the_altered_tables_alone(copy, tmp_path):
    """The tables that got a column have another hash and the new day, and no other entry changes by a byte."""
    engine = sa.create_engine(copy.reader_url)
    before = SchemaDiscovery(engine, copy.name).generate_complete_configuration(tmp_path, analyzed_on=DAY)
    altered = set(play_day(copy.engine, database=copy.name, seed=1)["added_columns"])
    later = SchemaDiscovery(engine, copy.name)
    after = later.generate_complete_configuration(previous=read_file(tmp_path), analyzed_on=NEXT_DAY)
    engine.dispose()
    old, new = (yaml.safe_load(text)["tables"] for text in (before, after))
    assert old.keys() == new.keys()
    assert {name for name in new if new[name] != old[name]} == altered != set()
    assert {new[name]["last_analyzed"] for name in altered} == {NEXT_DAY}
    assert all(new[name]["schema_hash"] != old[name]["schema_hash"] for name in altered)


@pytest.mark.parametrize("knowledge", ["on", "off"])
def test_the_67_self_updating_columns_and_the_7_growing_keys(practice, knowledge):
    """On the filled practice the keys are the reviewed ones and nothing else; without knowledge the 67 remain."""
    known = load_knowledge()
    discovery = discover(practice, None if knowledge == "on" else Knowledge.empty())
    trackings = {"safe_timestamp", "append_only"} if knowledge == "on" else {"safe_timestamp"}
    expected = {name: table.change_column for name, table in known.tables.items() if table.change_tracking in trackings}
    analysis = discovery.analyze_complete_schema()
    found = {table.table.name: table.replication.key for table in analysis.tables if table.replication.key}
    assert {name: key for name, key in found.items() if name in known.tables} == expected
    assert len(expected) == (74 if knowledge == "on" else 67)
    assert set(found) - set(known.tables) == {"zz_alltypes"}
