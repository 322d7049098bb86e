"""The whole pipeline on a synthetic practice: analysis, two runs, and a table of what landed (`make demo`).

It may be run again at any time, also after days at the practice: it brings over and counts what the sandbox holds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from tap_opendental.connector import SourceAddress, create_source_engine
from tap_opendental.discovery import SchemaDiscovery
from tap_opendental.discovery.tables_config import load_tables_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

ROOT = Path(__file__).resolve().parent.parent
OPENDENTAL = ROOT / ".venv/bin/opendental"
MELTANO = ROOT / ".tools/meltano/bin/meltano"
STATE_ID = "dev:tap-opendental-to-target-postgres"
PATIENTS = 150
SHOWN_TABLES = 15
INTERRUPTED = 130
SECONDS_TO_END = 10
OWN_SETTINGS = ("MELTANO_", "OPENDENTAL_", "TAP_OPENDENTAL_", "TARGET_OPENDENTAL_", "TARGET_POSTGRES_")

NEXT = """
[bold]Next[/]  (first: [cyan]eval "$(.venv/bin/opendental sandbox env)"[/] and \
[cyan]export PATH=$PWD/.tools/meltano/bin:$PWD/.venv/bin:$PATH TAP_OPENDENTAL_TABLES_CONFIG={tables}[/])
  opendental sandbox day                      # a day at the practice: edits, deletes, a merge, an upgrade
  opendental analyze --output {folder} --check  # what that would change in tables.yml (exit code 3)
  meltano run tap-opendental target-postgres  # bring it over
  psql "${{OPENDENTAL_ANALYTICS_URL/+psycopg/}}" -c 'SELECT count(*) FROM raw.procedurelog'"""

Key = tuple[Any, ...]
console = Console(highlight=False)


class ProgramError(Exception):
    """A program that the demo needs failed; `exit_code` is what the demo ends with."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Rows:
    """What one database holds of a table; `keys` of incremental tables only, `moved` are those of the second run."""

    count: int
    keys: frozenset[Key] = frozenset()
    moved: int = 0


@dataclass(frozen=True)
class Comparison:
    """One table in the source and in `raw`, where None means that it is not there.

    `missing` and `deleted` count keys that only the source or only `raw` has, in incremental tables: what is deleted at
    the source stays in `raw`, since a bookmark cannot see it. Full tables must have the same number of rows.
    """

    table: str
    method: str
    source: int
    raw: int | None
    moved: int = 0
    missing: int = 0
    deleted: int = 0

    @property
    def differs(self) -> bool:
        """True when `raw` lacks a row, or has one more than can be explained."""
        return self.missing > 0 or self.raw != self.source + self.deleted


def main() -> int:
    """Play the demo; a program that fails or Ctrl-C ends it with one line and an exit code of its own."""
    try:
        return play()
    except ProgramError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; `make down` stops the sandbox if it is up", file=sys.stderr)
        return INTERRUPTED


def play() -> int:
    """Start, run twice, compare; 0 when `raw` lacks nothing of the source and no table differs."""
    started = time.monotonic()
    logs, environment = start_sandbox()
    source, warehouse = open_source(environment), sa.create_engine(environment["OPENDENTAL_ANALYTICS_URL"])
    discovery = SchemaDiscovery(source, environment["TAP_OPENDENTAL_DATABASE"])
    streams = len(discovery.discover_all_tables())

    step("opendental analyze: judge every table, write tables.yml and a report")
    tables = analyze(environment, logs / "analysis")
    environment["TAP_OPENDENTAL_TABLES_CONFIG"] = str(tables)

    step("First run: meltano run tap-opendental target-postgres")
    run_pipeline(environment, warehouse, streams, logs / "demo-run-1.log")
    step("Second run: the same command, nothing changed")
    second = run_pipeline(environment, warehouse, streams, logs / "demo-run-2.log")

    comparisons = compare_tables(read_methods(discovery, tables), discovery, source, warehouse, second)
    bookmark = read_bookmark(environment, "procedurelog")
    source.dispose()
    warehouse.dispose()
    show(comparisons, bookmark, tables, time.monotonic() - started)
    return 1 if any(comparison.differs for comparison in comparisons) else 0


def step(text: str) -> None:
    """Say what begins."""
    console.print(f"\n[bold cyan]>[/] [bold]{text}[/]", soft_wrap=True)


# --- the sandbox and its settings ---------------------------------------------------------------------------------


def start_sandbox() -> tuple[Path, dict[str, str]]:
    """Bring the sandbox up, with the practice that it has or else a new one; return its directory and environment."""
    status = json.loads(run([OPENDENTAL, "sandbox", "status", "--json"], stdout=subprocess.PIPE))
    wanted = os.environ.get("PATIENTS")
    step(render_start(status["source"], wanted))
    size = [] if status["source"] else ["--patients", wanted or str(PATIENTS)]
    run([OPENDENTAL, "sandbox", "up", *size], stdout=sys.stderr)
    own = json.loads(run([OPENDENTAL, "sandbox", "env", "--json"], stdout=subprocess.PIPE))
    return Path(status["root"]), own


def render_start(source: Mapping[str, Any] | None, wanted: str | None) -> str:
    """What starting the sandbox means: a new practice, or the one that is there, whatever size was asked for."""
    if source is None:
        return f"Starting MariaDB and PostgreSQL, filling a practice of {wanted or PATIENTS} patients"
    text = f"Starting MariaDB and PostgreSQL with the practice of {source['patients']} patients that is there"
    if wanted in (None, str(source["patients"])):
        return text
    return f"{text} (for {wanted}: .venv/bin/opendental sandbox reset --patients {wanted})"


def meltano_environment(inherited: Mapping[str, str], sandbox: Mapping[str, str]) -> dict[str, str]:
    """The sandbox's settings alone: those of another source, warehouse or project in the user's shell stay out."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(OWN_SETTINGS)}
    return {**kept, **sandbox, "MELTANO_ENVIRONMENT": "dev", "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false"}


def open_source(environment: Mapping[str, str]) -> sa.Engine:
    """The source, as the tap connects to it."""
    settings = ("HOST", "PORT", "USER", "PASSWORD", "DATABASE")
    host, port, user, password, database = (environment[f"TAP_OPENDENTAL_{name}"] for name in settings)
    return create_source_engine(SourceAddress(host, int(port), user, password, database))


def analyze(environment: Mapping[str, str], folder: Path) -> Path:
    """Let `opendental analyze` judge the source, and return the tables.yml that the tap shall obey."""
    run([OPENDENTAL, "analyze", "--output", folder], env={**os.environ, **environment})
    return folder / "tables.yml"


# --- programs -----------------------------------------------------------------------------------------------------


def meltano(*arguments: str) -> list[str | Path]:
    """A command of Meltano that reads no .env: a file for another source stays out of the demo."""
    return [MELTANO, "--env-file", os.devnull, *arguments]


def run(command: Sequence[str | Path], **options: Any) -> str:  # noqa: ANN401  # Popen's own options
    """Run a program to its end and return its output, if that is piped."""
    with program(command, "its own message is above", **options) as process:
        output, _ = process.communicate()
    return output or ""


@contextmanager
def program(
    command: Sequence[str | Path],
    see: str,
    **options: Any,  # noqa: ANN401  # Popen's own options
) -> Iterator[subprocess.Popen[str]]:
    """Start a program that has ended when the block has, also after Ctrl-C; ProgramError when it fails."""
    name = " ".join([Path(command[0]).name, *map(str, command[1:])])
    try:
        process = subprocess.Popen(command, cwd=ROOT, text=True, **options)
    except OSError as error:
        raise ProgramError(f"cannot start {command[0]} ({error.strerror}): run `make install plugins`", 1) from None
    try:
        yield process
        process.wait()
    except KeyboardInterrupt:
        end(process)
        raise
    if process.returncode:
        code = process.returncode if process.returncode > 0 else 128 - process.returncode
        raise ProgramError(f"`{name}` ended with exit code {code}: {see}", code)


def end(process: subprocess.Popen[str]) -> None:
    """Let a program end by itself, as Ctrl-C reached it too; tell it to if it does not."""
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()


def run_pipeline(environment: Mapping[str, str], warehouse: sa.Engine, streams: int, log: Path) -> datetime:
    """Run the main job, its output in a log file, and show how far it is; return when it began, by the warehouse."""
    with warehouse.connect() as connection:
        begin: datetime = connection.execute(sa.text("SELECT clock_timestamp() AT TIME ZONE 'UTC'")).scalar_one()
    began = time.monotonic()
    shown = os.path.relpath(log, ROOT)
    options = {"env": meltano_environment(os.environ, environment), "stderr": subprocess.STDOUT}
    command = meltano("run", "tap-opendental", "target-postgres")
    with (
        log.open("w") as output,
        program(command, f"its output is in {shown}", stdout=output, **options) as process,
        console.status("starting Meltano") as status,
    ):
        while process.poll() is None:
            done = log.read_text(errors="replace").count("Beginning sync of")
            status.update(f"stream {done} of about {streams}, {time.monotonic() - began:.0f} s")
            time.sleep(0.5)
    console.print(f"  done in {time.monotonic() - began:.0f} s (log: {shown})")
    return begin


def read_bookmark(environment: Mapping[str, str], stream: str) -> str:
    """A stream's bookmark, of what `meltano state get` prints; what else the state remembers of it is long."""
    command = meltano("--log-level", "error", "state", "get", STATE_ID)
    state = json.loads(run(command, stdout=subprocess.PIPE, env=meltano_environment(os.environ, environment)))
    bookmark = state["singer_state"]["bookmarks"].get(stream, {})
    return json.dumps({key: value for key, value in bookmark.items() if key.startswith("replication_key")})


# --- both databases -----------------------------------------------------------------------------------------------


def read_methods(discovery: SchemaDiscovery, tables: Path) -> dict[str, str]:
    """How each table with a primary key is read, as tables.yml says; the others are left out by the tap too."""
    reviewed = load_tables_file(str(tables))
    methods = {}
    for name in discovery.discover_all_tables():
        if discovery.get_table_schema(name).primary_key:
            rules = discovery.get_pipeline_configuration(name)
            config = reviewed.config(name, rules) or rules
            methods[name] = "INCREMENTAL" if config.is_incremental else "FULL_TABLE"
    return methods


def compare_tables(
    methods: Mapping[str, str],
    discovery: SchemaDiscovery,
    source: sa.Engine,
    warehouse: sa.Engine,
    second_run: datetime,
) -> list[Comparison]:
    """Compare every stream's table, by the method that it is read with."""
    existing = set(sa.inspect(warehouse).get_table_names("raw"))
    comparisons = []
    with source.connect() as there, warehouse.connect() as here:
        for name, method in methods.items():
            columns = discovery.get_table_schema(name).primary_key if method == "INCREMENTAL" else ()
            rows = read_source(there, name, columns)
            found = read_raw(here, name, columns, second_run) if name in existing else None
            comparisons.append(compare(name, method, rows, found))
    return comparisons


def read_source(source: sa.Connection, table: str, key: Sequence[str]) -> Rows:
    """A source table's number of rows, and their keys if a key is given."""
    count = source.execute(sa.select(sa.func.count()).select_from(sa.table(table))).scalar_one()
    return Rows(count, read_keys(source, sa.table(table, *map(sa.column, key)), key))


def read_raw(warehouse: sa.Connection, table: str, key: Sequence[str], second_run: datetime) -> Rows:
    """The same of a table in `raw`, and how many of its rows the second run wrote."""
    batched = sa.column("_sdc_batched_at", sa.DateTime)
    found = sa.table(table, batched, *map(sa.column, key), schema="raw")
    counts = sa.select(sa.func.count(), sa.func.count().filter(batched >= second_run)).select_from(found)
    count, moved = warehouse.execute(counts).one()
    return Rows(count, read_keys(warehouse, found, key), moved)


def read_keys(connection: sa.Connection, table: sa.TableClause, key: Sequence[str]) -> frozenset[Key]:
    """The keys of a table's rows."""
    if not key:
        return frozenset()
    return frozenset(map(tuple, connection.execute(sa.select(*(table.c[name] for name in key)))))


# --- what landed --------------------------------------------------------------------------------------------------


def compare(table: str, method: str, source: Rows, raw: Rows | None) -> Comparison:
    """Set what `raw` holds against what the source holds."""
    if raw is None:
        return Comparison(table, method, source.count, None)
    missing, deleted = len(source.keys - raw.keys), len(raw.keys - source.keys)
    return Comparison(table, method, source.count, raw.count, raw.moved, missing, deleted)


def show(comparisons: Sequence[Comparison], bookmark: str, tables: Path, seconds: float) -> None:
    """Print what landed and what to do next."""
    console.print("", render_table(comparisons))
    console.print(render_summary(comparisons))
    console.print(f"\nBookmark (meltano state get {STATE_ID}):\n  procedurelog: {bookmark}", soft_wrap=True)
    end = f"All in {seconds:.0f} s. The sandbox stays up; stop it with [cyan]make down[/]."
    shown = os.path.relpath(tables, ROOT)
    following = NEXT.format(tables=shown, folder=Path(shown).parent)
    console.print(following, end, sep="\n\n", soft_wrap=True)


def render_table(comparisons: Sequence[Comparison]) -> Table:
    """The largest tables, every one that is not equal, and the sums of all."""
    table = Table(title="What landed", title_justify="left")
    for heading in ("table", "read as"):
        table.add_column(heading, no_wrap=True)
    for heading in ("source", "raw"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("second run moved", justify="right")
    largest = sorted(comparisons, key=lambda comparison: -comparison.source)
    shown = [*largest[:SHOWN_TABLES], *(one for one in largest[SHOWN_TABLES:] if one.differs or one.deleted)]
    for one in shown:
        table.add_row(one.table, one.method.lower(), f"{one.source:,}", render_raw(one), f"{one.moved:,}")
    table.add_section()
    table.add_row(f"... and {len(comparisons) - len(shown)} more tables")
    sums = (sum(getattr(one, count) or 0 for one in comparisons) for count in ("source", "raw", "moved"))
    table.add_row(f"[bold]all {len(comparisons)} tables[/]", "", *(f"{total:,}" for total in sums))
    return table


def render_raw(one: Comparison) -> str:
    """The number of rows in `raw`, behind whatever sets it apart from the source's."""
    count = "no table" if one.raw is None else f"{one.raw:,}"
    if one.differs:
        lacking = f"{one.missing:,} missing" if one.missing else "differs"
        return f"[red]{lacking}[/] {count}"
    return f"[yellow]{one.deleted:,} deleted[/] {count}" if one.deleted else count


def render_summary(comparisons: Sequence[Comparison]) -> str:
    """How many tables differ, what a bookmark cannot see, and what the second run moved."""
    different = sum(one.differs for one in comparisons)
    deleted = sum(one.deleted for one in comparisons)
    moved = sum(one.moved for one in comparisons)
    lines = [f"Tables that differ: {different}. Rows that the second run moved: {moved:,} (nothing had changed)."]
    if deleted:
        lines.append(f"Still in raw: {deleted:,} rows deleted at the source, which no bookmark can see.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
