"""The whole pipeline on a synthetic practice: sandbox up, two runs, and a table of what landed (`make demo`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from tap_opendental.connector import SourceAddress, create_source_engine
from tap_opendental.discovery import SchemaDiscovery

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

ROOT = Path(__file__).resolve().parent.parent
OPENDENTAL = ROOT / ".venv/bin/opendental"
MELTANO = ROOT / ".tools/meltano/bin/meltano"
LOGS = ROOT / ".sandbox"
STATE_ID = "dev:tap-opendental-to-target-postgres"
PATIENTS = os.environ.get("PATIENTS", "60")
SHOWN_TABLES = 15

console = Console(highlight=False)


@dataclass(frozen=True)
class Counts:
    """Rows of one table in the source and in `raw`; `moved` are those that the second run wrote."""

    table: str
    method: str
    source: int
    raw: int | None
    moved: int


def main() -> int:
    """Play the demo; 0 when every table in `raw` holds what the source holds."""
    started = time.monotonic()
    step(f"Starting MariaDB and PostgreSQL, filling a practice of {PATIENTS} patients")
    subprocess.run([OPENDENTAL, "sandbox", "up", "--patients", PATIENTS], cwd=ROOT, check=True, stdout=sys.stderr)
    environment = json.loads(subprocess.check_output([OPENDENTAL, "sandbox", "env", "--json"], cwd=ROOT))
    source, warehouse = source_discovery(environment), sa.create_engine(environment["OPENDENTAL_ANALYTICS_URL"])

    step("First run: meltano run tap-opendental target-postgres")
    meltano_run(environment, warehouse, 1, len(source.discover_all_tables()))
    step("Second run: the same command, nothing changed")
    second = meltano_run(environment, warehouse, 2, len(source.discover_all_tables()))

    counts = count_rows(environment, source, warehouse, second)
    bookmark = state_of(environment, "procedurelog")
    warehouse.dispose()
    show(counts, bookmark, time.monotonic() - started)
    return 0 if all(count.source == count.raw for count in counts) else 1


def step(text: str) -> None:
    """Say what begins."""
    console.print(f"\n[bold cyan]>[/] [bold]{text}[/]")


def source_discovery(environment: Mapping[str, str]) -> SchemaDiscovery:
    """The source's schema, as the tap's own reader sees it."""
    address = SourceAddress(
        environment["TAP_OPENDENTAL_HOST"],
        int(environment["TAP_OPENDENTAL_PORT"]),
        environment["TAP_OPENDENTAL_USER"],
        environment["TAP_OPENDENTAL_PASSWORD"],
        environment["TAP_OPENDENTAL_DATABASE"],
    )
    return SchemaDiscovery(create_source_engine(address), address.database)


def meltano_run(environment: Mapping[str, str], warehouse: sa.Engine, number: int, tables: int) -> datetime:
    """Run the main job, its output in a log file, and show how far it is; return when it began, by the warehouse."""
    with warehouse.connect() as connection:
        begin = connection.scalar(sa.text("SELECT clock_timestamp() AT TIME ZONE 'UTC'"))
    log = LOGS / f"demo-run-{number}.log"
    began = time.monotonic()
    with log.open("w") as output, console.status("starting Meltano") as status:
        process = subprocess.Popen(
            [MELTANO, "run", "tap-opendental", "target-postgres"],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        while process.poll() is None:
            done = log.read_text(errors="replace").count("Beginning sync of")
            status.update(f"stream {done} of about {tables}, {time.monotonic() - began:.0f} s")
            time.sleep(0.5)
    if process.returncode:
        console.print(log.read_text(errors="replace")[-3000:])
        sys.exit(f"meltano run failed with exit code {process.returncode}; the whole log: {log}")
    console.print(f"  done in {time.monotonic() - began:.0f} s (log: {log.relative_to(ROOT)})")
    return begin


def count_rows(
    environment: Mapping[str, str],
    source: SchemaDiscovery,
    warehouse: sa.Engine,
    second_run: datetime,
) -> list[Counts]:
    """Count every stream's table in both databases."""
    engine = sa.create_engine(environment["OPENDENTAL_SOURCE_URL"])
    with engine.connect() as rows, warehouse.connect() as raw:
        existing = set(sa.inspect(warehouse).get_table_names("raw"))
        names = [name for name in source.discover_all_tables() if source.get_table_schema(name).primary_key]
        counts = [count_table(source, rows, raw, name, second_run, exists=name in existing) for name in names]
    engine.dispose()
    return counts


def count_table(
    source: SchemaDiscovery,
    rows: sa.Connection,
    raw: sa.Connection,
    name: str,
    second_run: datetime,
    *,
    exists: bool,
) -> Counts:
    """Count one table in both databases."""
    there = rows.scalar(sa.text(f"SELECT COUNT(*) FROM `{name}`"))
    here, moved = None, 0
    if exists:
        statement = sa.text(f'SELECT COUNT(*), COUNT(*) FILTER (WHERE _sdc_batched_at >= :begin) FROM raw."{name}"')
        here, moved = raw.execute(statement, {"begin": second_run}).one()
    return Counts(name, source.get_replication_choice(name).method, there, here, moved)


def state_of(environment: Mapping[str, str], stream: str) -> str:
    """A stream's bookmark, as `meltano state get` prints it."""
    command = [MELTANO, "--no-environment", "--log-level", "error", "state", "get", STATE_ID]
    state = json.loads(subprocess.check_output(command, cwd=ROOT, env={**os.environ, **environment}))
    return json.dumps(state["singer_state"]["bookmarks"][stream])


def show(counts: list[Counts], bookmark: str, seconds: float) -> None:
    """Print what landed and what to do next."""
    table = Table(title="What landed", title_justify="left", caption_justify="left")
    for heading in ("table", "read as"):
        table.add_column(heading)
    for heading in ("source", "raw", "second run moved"):
        table.add_column(heading, justify="right")
    different = [count for count in counts if count.source != count.raw]
    largest = sorted(counts, key=lambda count: -count.source)[:SHOWN_TABLES]
    for count in [*largest, *(count for count in different if count not in largest)]:
        equal = "" if count.source == count.raw else " [red]differs[/]"
        table.add_row(
            count.table, count.method.lower(), f"{count.source:,}", f"{count.raw or 0:,}{equal}", f"{count.moved:,}"
        )
    table.add_section()
    others = len(counts) - len(largest)
    table.add_row(f"... and {others} more tables", "", "", "", "")
    table.add_row(
        f"[bold]all {len(counts)} tables[/]",
        "",
        f"{sum(count.source for count in counts):,}",
        f"{sum(count.raw or 0 for count in counts):,}",
        f"{sum(count.moved for count in counts):,}",
    )
    console.print("", table)
    moved = sum(count.moved for count in counts if count.method == "INCREMENTAL")
    console.print(
        f"Tables that differ: {len(different)}. Rows of incremental tables that the second run moved: {moved:,}"
    )
    console.print("(those of each bookmark's own second; full tables are read whole).")
    console.print(f"\nBookmark (meltano state get {STATE_ID}):\n  procedurelog: {bookmark}", soft_wrap=True)
    console.print(
        '\n[bold]Next[/]  (first: [cyan]eval "$(.venv/bin/opendental sandbox env)"[/] and '
        "[cyan]export PATH=$PWD/.tools/meltano/bin:$PWD/.venv/bin:$PATH[/])"
        "\n  opendental sandbox day                      # a day at the practice: edits, deletes, a merge, an upgrade"
        "\n  meltano run tap-opendental target-postgres  # bring it over"
        "\n  psql \"${OPENDENTAL_ANALYTICS_URL/+psycopg/}\" -c 'SELECT count(*) FROM raw.procedurelog'"
        f"\n\nAll in {seconds:.0f} s. The sandbox stays up; stop it with [cyan]make down[/].",
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main())
