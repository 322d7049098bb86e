"""From stock target-postgres to target-opendental-raw and back: one warehouse, three runs, a day before each new one.

Beside it stands a warehouse that stock target-postgres alone loads, from the same states: what dbt models see must be
the same in both.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from tests.e2e.conftest import aim_at
from tests.e2e.stock_target import TARGET as STOCK
from tests.e2e.stock_target import start_stock_target
from tests.integration.conftest import clean_environment, config_of, start_command
from tests.reliability.conftest import Source
from tests.reliability.destinations import Destination
from tests.reliability.test_days import NO_REACH, Hidden
from tests.strategies import write_incremental

from opendental_analyze.sandbox.day import play_day
from opendental_analyze.sandbox.throw_away import clone_source, mariadb_database, postgres_database
from tap_opendental.discovery import SchemaDiscovery
from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.conftest import Pipeline

OURS = Path(sys.executable).with_name("target-opendental-replica")
# Beside all incremental tables with rows, some that are read whole.
WHOLE = (
    "definition",
    "preference",
    "sheet",
    "sheetfield",
    "etrans",
    "etransmessagetext",
    "payplan",
    "userod",
    "zipcode",
)
VIEWS = ("patient", "procedurelog", "referral", "recall", "securitylog", "definition", "sheet")
OF_STOCK, OF_OURS = "test:tap-opendental-to-target-postgres", "test:tap-opendental-bulk-to-target-opendental-raw"
BEHIND = 16

COLUMNS = """
SELECT table_name, ordinal_position, column_name, data_type, udt_name, is_nullable, column_default, numeric_precision,
  numeric_scale, datetime_precision, character_maximum_length
FROM information_schema.columns WHERE table_schema = 'raw' AND table_name NOT LIKE '\\_od\\_%%' ORDER BY 1, 2
"""
KEYS = """
SELECT c.relname, i.indkey::text, i.indisprimary FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'raw'::regnamespace AND c.relname NOT LIKE '\\_od\\_%%' ORDER BY 1, 2
"""


@dataclass(frozen=True)
class After:
    """What a run left: what differs and what should, the structure here and where only stock loads, the views' rows."""

    differing: Mapping[str, Any]
    hidden: Mapping[str, Any]
    structure: tuple[Any, ...]
    stocks_structure: tuple[Any, ...]
    views: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Story:
    """All that happened: after stock, ours and stock again; and what ours said when it was not told to adopt."""

    after: Mapping[str, After]
    refusal: subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Switch:
    """The source, the warehouse that both load, the one that only stock loads, and the programs."""

    pipeline: Pipeline
    source: Source
    tables: tuple[str, ...]
    warehouse: sa.Engine
    stocks: sa.Engine

    def tap(self, number: int, state: Mapping[str, Any] | None) -> Path:
        """Let the tap write its lines into a file."""
        folder = self._folder(f"tap{number}")
        config = config_of(self.source.reader, tables=[*self.tables], **NO_REACH, tables_config=self.tables_config)
        command = start_command(folder, config, **({"state": state} if state else {}))
        with (folder / "lines").open("w") as lines:
            run = subprocess.run(
                command, stdout=lines, stderr=subprocess.PIPE, text=True, check=False, env=clean_environment()
            )
        assert run.returncode == 0, run.stderr[-3000:]
        return folder / "lines"

    def load_both(self, lines: Path) -> dict[str, Any]:
        """Load the lines into both warehouses by stock; the state that it leaves."""
        with ThreadPoolExecutor(2) as both:
            runs = [*both.map(lambda engine: self.load_stock(lines, engine), (self.warehouse, self.stocks))]
        return runs[0]

    def load_stock(self, lines: Path, warehouse: sa.Engine) -> dict[str, Any]:
        """Load the lines by stock; the state that it leaves."""
        stock = start_stock_target(self._folder(str(warehouse.url.database)), warehouse)
        run = self._feed(lines, [STOCK, "--config", stock.config], stock.environment)
        assert run.returncode == 0, run.stderr[-3000:]
        return json.loads(run.stdout.splitlines()[-1])

    def load_ours(self, lines: Path) -> subprocess.CompletedProcess[str]:
        """Load the lines by ours, without a word about what is there already."""
        folder = self._folder("ours")
        raw = Destination("postgresql", self.warehouse.url, self.warehouse)
        environment = {**clean_environment(), "MELTANO_PROJECT_ROOT": str(folder)}
        (folder / ".meltano").mkdir()
        return self._feed(lines, [OURS, "--config", raw.write_config(folder)], environment)

    def run_ours_in_meltano(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Go on with ours by Meltano's own means, as docs/operations.md says; the state that it leaves."""
        reader = self.source.reader
        settings = {
            "TAP_OPENDENTAL_USER": str(reader.username),
            "TAP_OPENDENTAL_PASSWORD": str(reader.password),
            "TAP_OPENDENTAL_DATABASE": str(reader.database),
            "TAP_OPENDENTAL_TABLES": json.dumps(self.tables),
            "TAP_OPENDENTAL_TABLES_CONFIG": self.tables_config,
            "TARGET_OPENDENTAL_RAW_ON_MISSING_ROWS": "adopt",
            **{f"TAP_OPENDENTAL_{name.upper()}": str(value) for name, value in NO_REACH.items()},
            **aim_at(self.warehouse),
        }
        path = self._folder("meltano") / "state.json"
        path.write_text(json.dumps({"singer_state": state}))
        self._meltano("state", "set", "--force", "--input-file", str(path), f"{OF_STOCK}:switching")
        self._meltano("state", "copy", "--force", f"{OF_STOCK}:switching", f"{OF_OURS}:switching")
        job = ("tap-opendental-bulk", "target-opendental-raw")
        self._meltano("run", "--state-id-suffix=switching", *job, **settings)
        return json.loads(self._meltano("state", "get", f"{OF_OURS}:switching"))["singer_state"]

    def look(self, hidden: Hidden) -> After:
        """Compare everything."""
        raw = Destination("postgresql", self.warehouse.url, self.warehouse)
        structures = (self._structure(engine) for engine in (self.warehouse, self.stocks))
        return After(raw.differing_keys(self.source, self.tables), dict(hidden.found), *structures, self._views())

    def make_views(self) -> None:
        """What dbt makes of raw's tables."""
        with self.warehouse.begin() as connection:
            for table in VIEWS:
                connection.exec_driver_sql(f'CREATE VIEW staging."stg_{table}" AS SELECT * FROM raw."{table}"')

    @property
    def tables_config(self) -> str:
        """The path of tables.yml."""
        return str(self.source.folder / "tables.yml")

    def _views(self) -> dict[str, tuple[int, int]]:
        statement = 'SELECT (SELECT count(*) FROM staging."stg_{0}"), (SELECT count(*) FROM raw."{0}")'
        with self.warehouse.connect() as connection:
            found = {table: connection.exec_driver_sql(statement.format(table)).one() for table in VIEWS}
        return {table: tuple(counts) for table, counts in found.items()}

    def _structure(self, engine: sa.Engine) -> tuple[Any, ...]:
        with engine.connect() as connection:
            return tuple(connection.exec_driver_sql(statement).fetchall() for statement in (COLUMNS, KEYS))

    def _feed(self, lines: Path, command: list[Any], environment: Mapping[str, str]) -> Any:
        with lines.open() as given:
            return subprocess.run(
                command, stdin=given, capture_output=True, text=True, check=False, env={**environment}
            )

    def _meltano(self, *arguments: str, **settings: str) -> str:
        run = self.pipeline.meltano(*arguments, **settings)
        assert run.returncode == 0, run.stderr[-3000:]
        return run.stdout

    def _folder(self, name: str) -> Path:
        folder = self.source.folder / name
        folder.mkdir(exist_ok=True)
        return folder


@contextmanager
def open_switch(pipeline: Pipeline, sandbox: Any, folder: Path) -> Iterator[Switch]:
    """A practice of its own, and two empty warehouses."""
    state = sandbox.state
    with mariadb_database(state) as database, postgres_database(state) as both, postgres_database(state) as stocks:
        clone_source(state, database.name)
        source = Source(database.name, database.engine, sa.make_url(database.reader_url), folder)
        write_incremental(folder / "tables.yml", source.engine, source.name)
        yield Switch(pipeline, source, choose_tables(source), both.engine, stocks.engine)


def choose_tables(source: Source) -> tuple[str, ...]:
    """All incremental tables with rows, and some that are read whole."""
    discovery = SchemaDiscovery(source.engine, source.name)
    moving = [name for name in discovery.discover_all_tables() if discovery.get_replication_choice(name).key]
    with source.engine.connect() as connection:
        statement = "SELECT EXISTS (SELECT 1 FROM {})"
        filled = [t for t in moving if connection.exec_driver_sql(statement.format(quote(t))).scalar_one()]
    return tuple(sorted({*filled, *WHOLE}))


@pytest.fixture(scope="module")
def story(pipeline, sandbox, tmp_path_factory) -> Iterator[Story]:
    """Stock, a day, ours through Meltano, a day, stock again."""
    with open_switch(pipeline, sandbox, tmp_path_factory.mktemp("switch")) as switch:
        hidden, after = Hidden(switch.source), {}
        state = switch.load_both(switch.tap(1, None))
        switch.make_views()
        after["stock"] = switch.look(hidden)

        play(switch, hidden, state, seed=31)
        lines = switch.tap(2, state)
        refusal = switch.load_ours(lines)
        switch.load_stock(lines, switch.stocks)
        state = switch.run_ours_in_meltano(state)
        after["ours"] = switch.look(hidden)

        play(switch, hidden, state, seed=32)
        switch.load_both(switch.tap(3, state))
        after["stock again"] = switch.look(hidden)
        yield Story(after, refusal)


def play(switch: Switch, hidden: Hidden, state: Mapping[str, Any], seed: int) -> None:
    """A day with an upgrade, of which the run from this state will see what bookmarks can see."""
    day = play_day(switch.source.engine, database=switch.source.name, seed=seed)
    kinds = ("invisible", "invisible_append_only")
    ours = {kind: {table: day[kind][table] for table in day[kind] if table in switch.tables} for kind in kinds}
    hidden.add({**day, **ours}, state["bookmarks"])


@pytest.mark.parametrize("run", ["stock", "ours", "stock again"])
def test_raw_is_the_source_whoever_loads(story, run):
    """After each run raw equals the source, but for exactly the keys that no bookmark can see."""
    after = story.after[run]
    assert after.differing == after.hidden
    assert (sum(map(len, after.hidden.values())) > 10) == (run != "stock")


@pytest.mark.parametrize("run", ["stock", "ours", "stock again"])
def test_structure_is_as_if_stock_had_loaded_alone(story, run):
    """Tables, columns, their order, types and nullability, and primary keys, after columns were added twice."""
    after = story.after[run]
    for found, wanted in zip(after.structure, after.stocks_structure, strict=True):
        assert found == wanted
    added = {row[2] for row in after.structure[0] if row[2].startswith("ZyxAdded")}
    assert len(added) >= {"stock": 0, "ours": 1, "stock again": 2}[run]


@pytest.mark.parametrize("run", ["stock", "ours", "stock again"])
def test_views_survive(story, run):
    """What dbt made of raw's tables is still there, and shows every row."""
    views = story.after[run].views
    assert [table for table, (seen, rows) in views.items() if seen != rows or not rows] == []


def test_a_state_of_another_loader_is_refused(story):
    """The control: without on_missing_rows: adopt, ours refuses what it has not loaded, with the way to go on."""
    assert story.refusal.returncode == BEHIND
    assert "on_missing_rows: adopt" in story.refusal.stderr
