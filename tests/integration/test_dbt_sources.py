"""sources.yml with dbt itself: it parses without a warning, and its tests and freshness run on a PostgreSQL `raw`."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import yaml
from tests.analyses import analyse, analysis_of, content_of

from opendental_analyze.explain.dbt_sources import Wish, render_sources
from opendental_analyze.sandbox.throw_away import postgres_database
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

DBT = Path(__file__).resolve().parents[2] / ".tools/dbt/bin/dbt"
PROJECT = "name: clinic\nversion: '1.0'\nprofile: clinic\nflags: {send_anonymous_usage_stats: false}\n"
NOWHERE = {"type": "postgres", "host": "127.0.0.1", "port": 1, "user": "u", "password": "p", "dbname": "d"}
HOSTILE = ("{{ evil }}", "{% if %}", "{# c #}", 'a"b', "it's", "a b", "my-table", "null", "per%cent", "ümlaut")


@dataclass(frozen=True)
class Project:
    """A dbt project with one file of sources."""

    folder: Path

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run dbt in the project; what it writes stays there."""
        assert DBT.exists(), "dbt is not installed: run `make test-integration`, which installs it"
        return subprocess.run(
            [DBT, "--no-use-colors", *arguments, "--project-dir", self.folder, "--profiles-dir", self.folder],
            env={**os.environ, "DO_NOT_TRACK": "1", "HOME": str(self.folder)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def results(self, name: str) -> list[dict[str, Any]]:
        """What dbt wrote of its last run: run_results.json or sources.json."""
        return json.loads((self.folder / "target" / name).read_text())["results"]


def make_project(folder: Path, sources: str, address: Mapping[str, Any]) -> Project:
    """Write a project of nothing but sources."""
    output = {**NOWHERE, **address, "schema": "staging", "threads": 2}
    (folder / "models").mkdir()
    (folder / "models/sources.yml").write_text(sources, encoding="utf-8")
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(json.dumps({"clinic": {"target": "t", "outputs": {"t": output}}}))
    return Project(folder)


def test_dbt_parses_all_of_open_dental_without_a_warning(tmp_path):
    """Every table of Open Dental and names that break templates, with each warning and deprecation an error."""
    analysis = analysis_of()
    hostile = [analyse(Table(name, (key(f"Id{name}"), Column(name, "text")), (f"Id{name}",))) for name in HOSTILE]
    analysis["tables"] += content_of(hostile)["tables"]
    project = make_project(tmp_path, render_sources(analysis, load_knowledge(), Wish()).text, {})
    run = project.dbt("--warn-error", "parse", "--show-all-deprecations")
    assert run.returncode == 0, run.stdout
    manifest = json.loads((tmp_path / "target/manifest.json").read_text())
    sources = {source["name"]: source for source in manifest["sources"].values()}
    assert set(sources) == {table["name"] for table in analysis["tables"]}
    assert sources["{{ evil }}"]["relation_name"] == '"d"."raw"."{{ evil }}"'
    assert sources['a"b']["relation_name"] == '"d"."raw"."a""b"'
    assert sources["patient"]["columns"]["LName"]["config"]["meta"] == {"patient_data": ["name"]}
    assert sources["appointment"]["freshness"]["error_after"] == {"count": 14, "period": "day"}


def test_what_is_deprecated_does_not_parse(tmp_path):
    """The test above can fail: arguments of a test beside its name are refused by the same command."""
    text = render_sources(analysis_of("patient", "recall"), load_knowledge(), Wish()).text
    document = yaml.safe_load(text)
    recall = next(table for table in document["sources"][0]["tables"] if table["name"] == "recall")
    patnum = next(column for column in recall["columns"] if column["name"] == "PatNum")
    patnum["data_tests"] = [{"relationships": patnum["data_tests"][0]["relationships"]["arguments"]}]
    project = make_project(tmp_path, yaml.safe_dump(document), {})
    run = project.dbt("--warn-error", "parse", "--show-all-deprecations")
    assert run.returncode != 0
    assert "Deprecat" in run.stdout


def key(name: str) -> Column:
    return Column(name, "bigint(20)", nullable=False, auto_increment=True)


@pytest.fixture(scope="module")
def warehouse(sandbox, tmp_path_factory):
    """A `raw` with tables as the file describes them, sessions that are not in UTC, and the project that reads it."""
    tables = ("patient", "appointment", "claim", "payment", "adjustment")
    text = render_sources(analysis_of(*tables), load_knowledge(), Wish()).text
    with postgres_database(sandbox.state) as database:
        with database.engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE \"{database.name}\" SET timezone TO 'America/New_York'")
            for table in yaml.load(text, yaml.CSafeLoader)["sources"][0]["tables"]:
                columns = ", ".join(f'"{column["name"]}" {column["data_type"]}' for column in table["columns"])
                connection.exec_driver_sql(f'CREATE TABLE raw."{table["name"]}" ({columns})')
        database.engine.dispose()  # the next session has the new time zone
        url = sa.make_url(database.admin_url)
        address = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
        project = make_project(tmp_path_factory.mktemp("dbt"), text, {**address, "dbname": url.database})
        yield project, database.engine


def load(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_dbt_tests_keys_and_references(warehouse):
    """A key that is there twice or NULL fails, an orphan warns; 0, -1 and a row that is there pass."""
    project, engine = warehouse
    load(
        engine,
        'INSERT INTO raw.patient ("PatNum", "Guarantor") VALUES (1, 1), (2, 1), (NULL, 0)',
        'INSERT INTO raw.appointment ("AptNum", "PatNum", "NextAptNum") VALUES (7, 1, 0), (8, 2, -1), (8, 99, 7)',
    )
    run = project.dbt("test")
    found = {result["unique_id"].split(".")[2]: result for result in project.results("run_results.json")}
    assert run.returncode == 1, run.stdout
    assert {name.partition("__")[0]: told(one) for name, one in found.items() if one["status"] != "pass"} == {
        "source_unique_opendental_appointment": "fail 1",
        "source_not_null_opendental_patient": "fail 1",
        "source_relationships_opendental_appointment": "warn 1",
    }
    passed = {name.split("__")[1] for name, one in found.items() if one["status"] == "pass"}
    assert {"PatNum_", "Guarantor", "NextAptNum"} <= passed


def told(result: Mapping[str, Any]) -> str:
    return f"{result['status']} {result['failures']}"


def test_dbt_reads_freshness_in_utc(warehouse):
    """A row of a minute ago passes, one of 5 days warns, one of 20 fails; a row of next year does not hide it."""
    project, engine = warehouse
    fresh, late, old, future = (
        f"timezone('UTC', now()) - interval '{ago}'" for ago in ("1 minute", "5 days", "20 days", "-1 year")
    )
    load(
        engine,
        f'INSERT INTO raw.payment ("SecDateTEdit") VALUES ({fresh})',
        f'INSERT INTO raw.adjustment ("SecDateTEdit") VALUES ({late})',
        f'INSERT INTO raw.claim ("SecDateTEdit") VALUES ({old}), ({future})',
    )
    tables = ("payment", "adjustment", "claim")
    run = project.dbt("source", "freshness", "--select", *(f"source:opendental.{table}" for table in tables))
    results = {result["unique_id"].split(".")[-1]: result for result in project.results("sources.json")}
    statuses = {name: result["status"] for name, result in results.items()}
    assert statuses == {"payment": "pass", "adjustment": "warn", "claim": "error"}, run.stdout
    assert 0 < results["payment"]["max_loaded_at_time_ago_in_s"] < 600
