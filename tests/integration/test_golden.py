"""Golden folders: a schema goes in, tables.yml and analysis.json come out, byte for byte (tests/schemas/README.md)."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from opendental_analyze.sandbox.databases import run
from tap_opendental.discovery import SchemaDiscovery
from tap_opendental.discovery.knowledge import Knowledge, load_knowledge

SCHEMAS = Path(__file__).parent.parent / "schemas"
CASES = sorted(path.parent.name for path in SCHEMAS.glob("*/schema.sql"))
DAY = "2024-06-30"
WIDTH = 320


@pytest.mark.parametrize("case", CASES)
def test_a_schema_gives_the_reviewed_configuration_and_analysis(case, mariadb_database):
    """The case keeps the promise of its first line: both files have the bytes that a person reviewed."""
    script = (SCHEMAS / case / "schema.sql").read_text(encoding="utf-8")
    create(mariadb_database.engine, script)
    for name, text in analyse(mariadb_database, choose_knowledge(script)).items():
        expected = SCHEMAS / case / name
        if os.environ.get("UPDATE_GOLDEN") == "1":
            expected.write_text(text, encoding="utf-8")
        assert text == expected.read_text(encoding="utf-8"), f"{name} of {case}: see tests/schemas/README.md"


def test_every_case_states_its_promise():
    """There are cases, each begins with a promise that no other case makes, and none lacks its expected files."""
    promises = {case: (SCHEMAS / case / "schema.sql").read_text(encoding="utf-8").splitlines()[0] for case in CASES}
    assert len(CASES) >= 14
    assert len(set(promises.values())) == len(CASES)
    assert all(re.fullmatch(r"-- \S.{40,}\.", promise) for promise in promises.values())
    for case in CASES:
        assert {path.name for path in (SCHEMAS / case).iterdir()} == {"schema.sql", "tables.yml", "analysis.json"}


def create(engine: sa.Engine, script: str) -> None:
    """Run a case's statements; what they leave of InnoDB's statistics is brought up to date."""
    statements = [statement for statement in re.split(r";$", script, flags=re.MULTILINE) if statement.strip()]
    session = "SET SESSION sql_mode = '', time_zone = '+00:00'"
    run(engine.execution_options(isolation_level="AUTOCOMMIT"), [session, *statements])
    with engine.connect() as connection:
        innodb = connection.exec_driver_sql(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND ENGINE = 'InnoDB'"
        ).scalars()
        run(engine, [f"ANALYZE TABLE `{name}`" for name in innodb])


def choose_knowledge(script: str) -> Knowledge:
    """What the directive of a case asks for."""
    return Knowledge.empty() if "\n-- knowledge: off\n" in script else load_knowledge()


def analyse(database, knowledge: Knowledge) -> dict[str, str]:
    """Both files' texts, as the reader's analysis gives them, without what differs from server to server."""
    engine = sa.create_engine(database.reader_url)
    discovery = SchemaDiscovery(engine, database.name, knowledge=knowledge)
    analysis = discovery.analyze_complete_schema(analyzed_on=DAY).to_dict()
    configuration = discovery.generate_complete_configuration(analyzed_on=DAY)
    engine.dispose()
    analysis["server"]["version"] = "VERSION"
    analysis["missing"] = len(analysis["missing"])
    texts = {"tables.yml": configuration, "analysis.json": render(analysis) + "\n"}
    return {name: text.replace(database.name, "DATABASE") for name, text in texts.items()}


def render(value: object, depth: int = 0) -> str:
    """JSON as a person reads it: what fits on a line stands on one."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or depth * 2 + len(line) <= WIDTH:
        return line
    inner = "  " * (depth + 1)
    if isinstance(value, dict):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {render(item, depth + 1)}" for key, item in value.items()]
    else:
        parts = [render(item, depth + 1) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    body = f",\n{inner}".join(parts)
    return f"{opening}\n{inner}{body}\n{'  ' * depth}{closing}"
