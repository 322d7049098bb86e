# ruff: noqa: T201 - a program that a person starts and reads
"""How much memory the tap takes, however long the table: `make bench-memory`, which takes its time and 30 GB of disk.

    .venv/bin/python tests/bench/bench_memory.py [--rows 5000000] [--write]

A narrow table (securitylog) and one of wide text (etransmessagetext: messages of 1 to 4 KB, one in 20,000 of 1 to 4 MB,
and one of 16 MB, the longest that the column takes), each with 5 million rows, read as RECORD to /dev/null and as BATCH
into files. Batches and table share the disk of the directory for temporary files ($TMPDIR).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from contenders import CSV, JSONL, RECORD, Contender, Job
from report import Goal, publish, render_goals, render_origin, render_table
from servers import filled_sandbox, load_to_nowhere
from tables import AUDIT, MESSAGES, Shape, fill_table

from opendental_analyze.sandbox.databases import run
from opendental_analyze.sandbox.throw_away import mariadb_database

if TYPE_CHECKING:
    from collections.abc import Mapping

    from timing import Timing

    from opendental_analyze.sandbox.state import State

SHAPES, CONTENDERS = (AUDIT, MESSAGES), (RECORD, CSV, JSONL)
PATIENTS = 60
LIMIT = 250.0
# All of it quotes, newlines and backslashes, which grow when they are escaped.
LONGEST = r"REPEAT('\"\r\n\\', 16777212 DIV 4)"


def main() -> None:
    """Measure, print, and write if asked to."""
    options = read_options()
    contenders = [contender for contender in CONTENDERS if contender.name in options.only]
    figures: dict[str, dict[str, Timing]] = {}
    with filled_sandbox(PATIENTS) as state:
        for shape in (shape for shape in SHAPES if shape.name in options.tables):
            figures[shape.name] = measure(state, shape, options.rows, contenders)
    publish("memory", render(options.rows, figures), write=options.write)


def read_options() -> argparse.Namespace:
    """The command line; a trial may leave out ways and tables."""
    names, tables = [contender.name for contender in CONTENDERS], [shape.name for shape in SHAPES]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="WAY")
    parser.add_argument("--tables", nargs="+", choices=tables, default=tables, metavar="TABLE")
    parser.add_argument("--write", action="store_true", help="write the results into docs/benchmarks.md")
    return parser.parse_args()


def measure(state: State, shape: Shape, rows: int, contenders: list[Contender]) -> dict[str, Timing]:
    """One run each of a table that is there only as long."""
    with mariadb_database(state, "bench") as database:
        print(f"Filling {shape.name} with {rows:,} rows", flush=True)
        fill_table(database.engine, shape, rows)
        if shape is MESSAGES:
            run(database.engine, (f"UPDATE {shape.name} SET MessageText = {LONGEST} WHERE {shape.key} = {rows // 2}",))
        url = sa.make_url(database.reader_url)
        return {contender.name: load(state, url, contender, shape, rows) for contender in contenders}


def load(state: State, url: sa.URL, contender: Contender, shape: Shape, rows: int) -> Timing:
    """One run, all that it wrote deleted."""
    print(f"{shape.name}: {contender.name}", flush=True)
    with tempfile.TemporaryDirectory(prefix="opendental-bench-") as directory:
        return load_to_nowhere(state, contender, Job(shape.name, shape.key, url, Path(directory)), rows)


def render(rows: int, figures: Mapping[str, Mapping[str, Timing]]) -> str:
    """The whole section: where the figures come from, promises, figures."""
    origin = render_origin(
        f"`make bench-memory`: {rows:,} rows a table on MyISAM, one run each. securitylog is narrow; etransmessagetext "
        "has messages of 1 to 4 KB, some of MBs, and one of 16 MB."
    )
    goals = [
        Goal(f"peak memory, {table}, {name}", timing.megabytes, LIMIT, " MB")
        for table, timings in figures.items()
        for name, timing in timings.items()
    ]
    lines = [
        (f"{table}, {name}", f"{timing.megabytes:,.0f}", f"{timing.seconds:,.0f}", f"{rows / timing.seconds:,.0f}")
        for table, timings in figures.items()
        for name, timing in timings.items()
    ]
    table = render_table(("table and way", "peak MB", "seconds", "rows/s"), lines)
    return "\n\n".join((origin, render_goals(goals), table))


if __name__ == "__main__":
    main()
