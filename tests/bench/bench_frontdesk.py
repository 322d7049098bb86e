# ruff: noqa: T201 - a program that a person starts and reads
"""What the front desk waits for while a large MyISAM table is loaded: `make bench-frontdesk`.

    .venv/bin/python tests/bench/bench_frontdesk.py [--rows 2000000] [--runs 3] [--write]

An application updates one row every 10 ms, in a process of its own, rows spread over the whole procedurelog. Its waits
are measured alone, while this tap loads the table as RECORD, and while the server's client reads it with one unbuffered
SELECT. Loads go to /dev/null; that all rows were read is told by the server's own count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from contenders import CLIENT, RECORD, Contender, Job, read_client_version
from report import Goal, publish, render_goals, render_origin, render_table
from servers import filled_sandbox, load_to_nowhere
from tables import PROCEDURES, fill_table

from opendental_analyze.sandbox.throw_away import mariadb_database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opendental_analyze.sandbox.state import State
    from opendental_analyze.sandbox.throw_away import ThrowAwaySource

APPLICATION = Path(__file__).parent / "application.py"
COUNTER = "UnitQty"
PATIENTS = 60
ALONE, SELECT = "nothing", "one unbuffered SELECT"
ALONE_SECONDS = 20.0
MILLISECONDS = 1000
# The promises, of the delay against the schedule: it counts those who wait behind a wait too.
P99_LIMIT, WORST_LIMIT = 300.0, 1000.0


@dataclass(frozen=True)
class Watch:
    """Every wait of the application while something else went on, in seconds, and how long that took."""

    statement: tuple[float, ...]
    delay: tuple[float, ...]
    seconds: float


def main() -> None:
    """Measure, print, and write if asked to."""
    options = read_options()
    with filled_sandbox(PATIENTS) as state, mariadb_database(state, "bench") as database:
        print(f"Filling procedurelog with {options.rows:,} rows", flush=True)
        fill_table(database.engine, PROCEDURES, options.rows)
        url = sa.make_url(database.reader_url)
        besides: dict[str, Callable[[], object]] = {
            ALONE: lambda: time.sleep(ALONE_SECONDS),
            RECORD.name: lambda: load(state, url, RECORD, options.rows),
            SELECT: lambda: load(state, url, CLIENT, options.rows),
        }
        watches: dict[str, list[Watch]] = {name: [] for name in besides}
        for turn in range(options.runs):
            for name, beside in besides.items():
                print(f"round {turn + 1}: beside {name}", flush=True)
                watches[name].append(watch(database, options.rows, beside))
    publish("frontdesk", render(options, watches), write=options.write)


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the results into docs/benchmarks.md")
    return parser.parse_args()


def load(state: State, url: sa.URL, contender: Contender, rows: int) -> None:
    """Read the whole table with one tool, to /dev/null."""
    with tempfile.TemporaryDirectory(prefix="opendental-bench-") as directory:
        load_to_nowhere(state, contender, Job(PROCEDURES.name, PROCEDURES.key, url, Path(directory)), rows)


def watch(database: ThrowAwaySource, rows: int, beside: Callable[[], object]) -> Watch:
    """What the application waits for while `beside` runs, from its first update to the end of that."""
    job = {"url": database.admin_url, "table": PROCEDURES.name, "key": PROCEDURES.key, "counter": COUNTER, "rows": rows}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, APPLICATION], stdin=pipe, stdout=pipe, text=True) as application:
        assert application.stdin
        assert application.stdout
        try:
            application.stdin.write(json.dumps(job) + "\n")
            application.stdin.flush()
            application.stdout.readline()
            started = time.perf_counter()
            beside()
            seconds = time.perf_counter() - started
        finally:
            application.terminate()
        figures = json.loads(application.stdout.read())
    return Watch(tuple(figures["statement"]), tuple(figures["delay"]), seconds)


def render(options: argparse.Namespace, watches: dict[str, list[Watch]]) -> str:
    """The whole section: where the figures come from, promises, waits."""
    origin = render_origin(
        f"`make bench-frontdesk`: procedurelog of {options.rows:,} rows and 67 columns on MyISAM, one UPDATE every "
        f"10 ms, the waits of {options.runs} runs together.",
        f"client {read_client_version()}",
    )
    delays = [wait for one in watches[RECORD.name] for wait in one.delay]
    goals = [
        Goal("p99 of the delay beside the tap", _percentile(delays, 0.99), P99_LIMIT, " ms"),
        Goal("worst delay beside the tap", _percentile(delays, 1.0), WORST_LIMIT, " ms"),
    ]
    lines = [_render_watches(name, measured) for name, measured in watches.items()]
    headings = (
        "beside", "load s", "updates", "delay p50", "p99", "worst", "statement p50", "p99", "worst",
    )  # fmt: skip
    note = (
        "Times in ms. A delay runs from the moment at which an update was due to its end, so that updates that queue "
        "behind one that waits count as well; a statement's time begins when it was sent."
    )
    return "\n\n".join((origin, render_goals(goals), render_table(headings, lines), note))


def _render_watches(name: str, watches: Sequence[Watch]) -> tuple[str, ...]:
    delays = [wait for one in watches for wait in one.delay]
    statements = [wait for one in watches for wait in one.statement]
    seconds = sum(one.seconds for one in watches) / len(watches)
    figures = [_percentile(waits, part) for waits in (delays, statements) for part in (0.5, 0.99, 1.0)]
    return name, f"{seconds:.1f}", f"{len(delays):,}", *(f"{figure:,.1f}" for figure in figures)


def _percentile(waits: Sequence[float], part: float) -> float:
    """The wait, in ms, that this part of all updates did not exceed."""
    return sorted(waits)[ceil(part * len(waits)) - 1] * MILLISECONDS


if __name__ == "__main__":
    main()
