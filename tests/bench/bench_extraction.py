# ruff: noqa: T201 - a program that a person starts and reads
"""How fast a table leaves the source, beside the server's own client and the SDK's SQL tap: `make bench-extraction`.

    .venv/bin/python tests/bench/bench_extraction.py [--rows 200000] [--runs 5] [--stock-runs 1] [--write]

Starts a sandbox of its own, fills one MyISAM database with the tables of `tables.py`, and lets every tool read every
table in turn, round by round, so that a busy moment hits all of them. All output, batches included, goes to files on
tmpfs. After each run the keys in the output are compared with the table's: a run that lost or doubled a row ends the
benchmark.

CPU per row is that of the tool's process, or of the server, less the same tool's run over an empty table (start-up,
printed apart). Rows a second are of the whole process, start-up included.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from contenders import CLIENT, CSV, JSONL, RECORD, STOCK, Contender, Job, read_client_version
from report import Goal, publish, render_goals, render_origin, render_table
from servers import filled_sandbox, read_pid
from tables import PROCEDURES, PROCEDURES_CUT, SHAPES, Shape, fill_table
from timing import Timing, medians, time_command

from opendental_analyze.sandbox.throw_away import mariadb_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Timings = Mapping[str, Timing]

CONTENDERS = (RECORD, CSV, JSONL, CLIENT, STOCK)
EMPTY = replace(PROCEDURES_CUT, name="procedurelog_none")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a private directory is made in it
PATIENTS = 60
MICROSECONDS = 1_000_000
# The promises: CPU of the tap's process to the client's, rows a second to the stock tap's, on these two tables.
RECORD_LIMIT, CSV_LIMIT, STOCK_LIMIT = 4.0, 1.5, 10.0
PROMISED = (PROCEDURES_CUT, PROCEDURES)


class WrongRowsError(Exception):
    """A tool did not deliver every row once."""


@dataclass(frozen=True)
class Place:
    """Where the rows are, which process serves them, and a folder for what the tools write."""

    url: sa.URL
    server: int
    folder: Path


def main() -> None:
    """Measure, print, and write if asked to."""
    options = read_options()
    contenders = [contender for contender in CONTENDERS if contender.name in options.only]
    shapes = [shape for shape in SHAPES if shape.name in options.tables]
    with filled_sandbox(PATIENTS) as state, mariadb_database(state, "bench") as database, scratch() as folder:
        print(f"Filling {len(shapes)} tables with {options.rows:,} rows each", flush=True)
        fill_table(database.engine, EMPTY, 0)
        for shape in shapes:
            fill_table(database.engine, shape, options.rows)
        place = Place(sa.make_url(database.reader_url), read_pid(state), folder)
        starts = measure(place, EMPTY, 0, dict.fromkeys(contenders, options.runs))
        runs = {contender: options.stock_runs if contender is STOCK else options.runs for contender in contenders}
        results = {shape: measure(place, shape, options.rows, runs) for shape in shapes}
    publish("extraction", render(options, starts, results), write=options.write)


def read_options() -> argparse.Namespace:
    """The command line; a trial may leave out tools and tables."""
    names, tables = [contender.name for contender in CONTENDERS], [shape.name for shape in SHAPES]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--stock-runs", type=int, default=1, help="runs of the stock tap, which is slow")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="TOOL")
    parser.add_argument("--tables", nargs="+", choices=tables, default=tables, metavar="TABLE")
    parser.add_argument("--write", action="store_true", help="write the results into docs/benchmarks.md")
    return parser.parse_args()


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory for the tools' output; in the directory for temporary files where there is no tmpfs."""
    parent = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="opendental-bench-", dir=parent) as directory:
        yield Path(directory)


def measure(place: Place, shape: Shape, rows: int, runs: Mapping[Contender, int]) -> Timings:
    """Medians by tool, of as many runs as each gets, on a table that holds the keys 1 to `rows`."""
    timings: dict[str, list[Timing]] = {contender.name: [] for contender in runs}
    for turn in range(max(runs.values())):
        print(f"{shape.name}: round {turn + 1}", flush=True)
        for contender, wanted in runs.items():
            if turn < wanted:
                timings[contender.name].append(run_once(place, contender, shape, rows))
    return {name: medians(measured) for name, measured in timings.items()}


def run_once(place: Place, contender: Contender, shape: Shape, rows: int) -> Timing:
    """One run of one tool, its output checked and deleted; WrongRowsError when it is not the table's rows."""
    with tempfile.TemporaryDirectory(dir=place.folder) as directory:
        job = Job(shape.name, shape.key, place.url, Path(directory))
        timing = time_command(contender.command(job), job.stdout, place.server, stderr=job.folder / "stderr")
        written = sum(file.stat().st_size for file in job.folder.rglob("*") if file.is_file())
        keys = sorted(contender.keys(job))
    if keys != list(range(1, rows + 1)):
        raise WrongRowsError(
            f"{contender.name} delivered {len(keys):,} rows of {shape.name} with {len(set(keys)):,} keys, not {rows:,}"
        )
    return replace(timing, written=written)


def render(options: argparse.Namespace, starts: Timings, results: Mapping[Shape, Timings]) -> str:
    """The whole section: where the figures come from, promises, one table for each table, start-up."""
    origin = render_origin(
        f"`make bench-extraction`: {options.rows:,} rows a table on MyISAM, medians of {options.runs} runs "
        f"(stock SDK tap: {options.stock_runs}), output to tmpfs, keys of every run checked.",
        f"client {read_client_version()}",
    )
    goals = choose_goals(options.rows, starts, results)
    parts = [origin, *([render_goals(goals)] if goals else [])]
    for shape, timings in results.items():
        width = next(iter(timings.values())) if CLIENT.name not in timings else timings[CLIENT.name]
        parts.append(f"**{shape.name}**, {width.written / options.rows:,.0f} bytes a row as the client prints it")
        parts.append(render_timings(options.rows, starts, timings))
    parts += ["Start-up: the same over an empty table of 45 columns", render_starts(starts)]
    return "\n\n".join(parts)


def choose_goals(rows: int, starts: Timings, results: Mapping[Shape, Timings]) -> list[Goal]:
    """The promises that this run can judge: those whose tools and tables took part."""
    goals: list[Goal] = []
    for shape in (shape for shape in PROMISED if shape in results):
        timings = results[shape]
        cost = {name: cpu_per_row(timing, starts[name], rows) for name, timing in timings.items()}
        limits = {RECORD.name: RECORD_LIMIT, CSV.name: CSV_LIMIT} if CLIENT.name in cost else {}
        goals += [
            Goal(f"{shape.name}: CPU per row of {name} to the client's", cost[name] / cost[CLIENT.name], limit, " x")
            for name, limit in limits.items()
            if name in cost
        ]
        if {RECORD.name, STOCK.name} <= timings.keys():
            took = {name: timings[name].seconds - starts[name].seconds for name in (STOCK.name, RECORD.name)}
            what = f"{shape.name}: rows/s of RECORD to the stock tap's, start-up aside"
            goals.append(Goal(what, took[STOCK.name] / took[RECORD.name], STOCK_LIMIT, " x", least=True))
    return goals


def render_timings(rows: int, starts: Timings, timings: Timings) -> str:
    """One line a tool, with its ratios to the client and to the stock tap where those took part."""
    client, stock = timings.get(CLIENT.name), timings.get(STOCK.name)
    base = cpu_per_row(client, starts[CLIENT.name], rows) if client else None
    lines = [
        (
            name,
            f"{rows / timing.seconds:,.0f}",
            _ratio(client.seconds / timing.seconds if client else None),
            _ratio(stock.seconds / timing.seconds if stock else None),
            f"{(cost := cpu_per_row(timing, starts[name], rows)):.1f}",
            _ratio(cost / base if base else None),
            f"{(timing.server_cpu - starts[name].server_cpu) / rows * MICROSECONDS:.1f}",
            f"{timing.megabytes:,.0f}",
            f"{timing.written / rows:,.0f}",
        )
        for name, timing in timings.items()
    ]
    headings = (
        "tool",
        "rows/s",
        "to client",
        "to stock",
        "CPU µs/row",
        "CPU to client",
        "server µs/row",
        "peak MB",
        "bytes/row",
    )
    return render_table(headings, lines)


def render_starts(starts: Timings) -> str:
    """What each tool costs before its first row."""
    lines = [
        (name, f"{timing.seconds:.2f}", f"{timing.cpu:.2f}", f"{timing.megabytes:,.0f}")
        for name, timing in starts.items()
    ]
    return render_table(("tool", "seconds", "CPU seconds", "peak MB"), lines)


def cpu_per_row(timing: Timing, start: Timing, rows: int) -> float:
    """Microseconds of a tool's own CPU for each row, start-up left out."""
    return (timing.cpu - start.cpu) / rows * MICROSECONDS


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} x"


if __name__ == "__main__":
    main()
