"""Three nights of the main job: a first run, a second with nothing changed, a third after a day at the practice.

Each night is run and compared once, when the first test asks for it; its findings are then shared. The pages are so
small that every night crosses their borders, and every table with a safe key is incremental, as it is in a real
practice from 1 MB on.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from tests.oracle import differing, read_columns, read_keys, read_raw, read_source
from tests.strategies import write_incremental

from opendental_analyze.sandbox.addresses import SOURCE, render_environment
from opendental_analyze.sandbox.day import play_day
from opendental_analyze.sandbox.filling import Wish, fill_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.oracle import Key

ROOT = Path(__file__).resolve().parents[2]
MELTANO = ROOT / ".tools/meltano/bin/meltano"
PATIENTS = 25
# Rows a page. Read whole: definition. Changed rows by an index that leads with the cursor: claimproc, paysplit,
# procedurelog; in ranges of the key: patient, commlog; by the key itself: securitylog.
PAGES = {
    "definition": 10,
    "securitylog": 20,
    "claimproc": 3,
    "paysplit": 2,
    "procedurelog": 7,
    "patient": 4,
    "commlog": 5,
}
# What a developer may have in the shell for another source, warehouse or project.
FOREIGN_SETTINGS = ("MELTANO_", "OPENDENTAL_", "TAP_OPENDENTAL_", "TARGET_OPENDENTAL_", "TARGET_POSTGRES_")


@dataclass(frozen=True)
class Night:
    """What one run left behind.

    `problems` maps tables to their differing keys, `moved` to the keys that this run wrote. `log` is all that the
    run printed or wrote into Meltano's logs.
    """

    returncode: int
    log: str
    problems: Mapping[str, Mapping[Key, str]]
    moved: Mapping[str, set[Key]]


@dataclass(frozen=True)
class Pipeline:
    """The servers and the settings that the main job runs with."""

    environment: Mapping[str, str]
    source: sa.Engine
    warehouse: sa.Engine
    admin: sa.Engine
    logs: Path

    def meltano(self, *arguments: str, **overrides: str) -> subprocess.CompletedProcess[str]:
        """Run Meltano in the project, in environment `test`, with a state database of this test run and no .env."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_SETTINGS)}
        return subprocess.run(
            [MELTANO, "--env-file", os.devnull, *arguments],
            cwd=ROOT,
            env={**inherited, **self.environment, **overrides},
            capture_output=True,
            text=True,
            check=False,
        )


def share_plugins(folder: Path) -> str:
    """Give runs the installed plugins, and a folder of their own for the catalogs and configs that Meltano writes."""
    for kind in ("extractors", "loaders", "utilities"):
        (folder / kind).symlink_to(ROOT / ".meltano" / kind)
    return str(folder)


def aim_at(warehouse: sa.Engine) -> dict[str, str]:
    """The settings that make another PostgreSQL database the one that a run loads."""
    url = warehouse.url
    address = {"USER": url.username, "PASSWORD": url.password, "DATABASE": url.database}
    return {f"TARGET_POSTGRES_{name}": str(value) for name, value in address.items()}


@pytest.fixture(scope="session")
def pipeline(sandbox, tmp_path_factory) -> Iterator[Pipeline]:
    """A filled practice, and a warehouse whose sessions are not in UTC, as a user's may be."""
    fill_source(sandbox, Wish(patients=PATIENTS, seed=5), lambda _table, _rows: None)
    logs = tmp_path_factory.mktemp("logs")
    environment = render_environment(sandbox.state) | {
        "XDG_STATE_HOME": str(logs),  # where Meltano 4.4 keeps its log files
        "MELTANO_SYS_DIR_ROOT": share_plugins(tmp_path_factory.mktemp("meltano")),
        "MELTANO_ENVIRONMENT": "test",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "NO_COLOR": "1",
    }
    engines = [
        sa.create_engine(environment[f"OPENDENTAL_{name}_URL"]) for name in ("SOURCE", "ANALYTICS", "SOURCE_ADMIN")
    ]
    config = write_incremental(tmp_path_factory.mktemp("config") / "tables.yml", engines[0], SOURCE, PAGES)
    environment["TAP_OPENDENTAL_TABLES_CONFIG"] = config
    with engines[1].begin() as connection:
        connection.exec_driver_sql("ALTER ROLE CURRENT_USER SET timezone TO 'America/New_York'")
    engines[1].dispose()
    yield Pipeline(environment, *engines, logs)
    for engine in engines:
        engine.dispose()


@pytest.fixture(scope="session")
def first_night(pipeline) -> Night:
    """The first run, into an empty warehouse."""
    return run_night(pipeline)


@pytest.fixture(scope="session")
def second_night(pipeline, first_night) -> Night:
    """The same again, with nothing changed."""
    assert first_night.returncode == 0
    return run_night(pipeline)


@pytest.fixture(scope="session")
def bookmarks(pipeline, second_night) -> Mapping[str, Any]:
    """What Meltano's state says of each stream after the second run."""
    assert second_night.returncode == 0
    state = pipeline.meltano("state", "get", "test:tap-opendental-to-target-postgres").stdout
    return json.loads(state)["singer_state"]["bookmarks"]


@pytest.fixture(scope="session")
def day(pipeline, bookmarks) -> Mapping[str, Any]:
    """A day at the practice between the second and the third run: the ground truth."""
    assert bookmarks
    return play_day(pipeline.admin, database=SOURCE, seed=11)


@pytest.fixture(scope="session")
def third_night(pipeline, day) -> Night:
    """The run after the day."""
    assert day["tables"]
    return run_night(pipeline)


def run_night(pipeline: Pipeline) -> Night:
    """Run the main job and compare every row of every stream."""
    with pipeline.warehouse.connect() as connection:
        begin = connection.exec_driver_sql("SELECT clock_timestamp() AT TIME ZONE 'UTC'").scalar_one()
    run = pipeline.meltano("run", "tap-opendental", "target-postgres")
    log = run.stdout + run.stderr + read_logs(pipeline.logs)
    problems, moved = {}, {}
    if run.returncode == 0:
        columns, keys = read_columns(pipeline.source, SOURCE), read_keys(pipeline.source, SOURCE)
        for table, key in keys.items():
            expected = read_source(pipeline.source, table, columns[table], key)
            found = read_raw(pipeline.warehouse, table, columns[table], key)
            moved[table] = read_moved(pipeline.warehouse, table, key, begin)
            problems[table] = differing(expected, found)
    return Night(run.returncode, log, problems, moved)


def read_moved(warehouse: sa.Engine, table: str, key: tuple[str, ...], begin: Any) -> set[Key]:
    """Keys of the rows that the run wrote."""
    names = ", ".join(f'"{name}"::text' for name in key)
    statement = sa.text(f'SELECT {names} FROM raw."{table}" WHERE _sdc_batched_at >= :begin')
    with warehouse.connect() as connection:
        return {tuple(row) for row in connection.execute(statement, {"begin": begin})}


def read_logs(folder: Path) -> str:
    """Everything that Meltano wrote into its log files, one of JSON for each run."""
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*.log"))
