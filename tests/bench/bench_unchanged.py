# ruff: noqa: T201 - a program that a person starts and reads
"""What a night costs in which nothing changed: `make bench-unchanged`.

    .venv/bin/python tests/bench/bench_unchanged.py [--patients 60] [--runs 5] [--write]

All tables of the sandbox's practice, the leftovers of a live database among them, on MyISAM and on InnoDB. The tap runs
once; its last STATE is given to the runs that are measured. Statements are those in the server's general log, all
connections of the tap together; CPU is that of its process less the start of an empty interpreter.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from contenders import TAP, tap_config, write_private
from report import Goal, publish, render_goals, render_origin, render_table
from servers import filled_sandbox, logged_statements, read_pid
from timing import Timing, medians, time_command

from opendental_analyze.sandbox.addresses import READER, render_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opendental_analyze.sandbox.state import State

ENGINES = ("MyISAM", "InnoDB")
# A table that changed in the last 2 s before a run is read again by the next: the practice was filled just now.
SETTLE_SECONDS = 5
STATEMENTS_LIMIT, CPU_LIMIT = 40, 3.0


@dataclass(frozen=True)
class Night:
    """The first run and a night in which nothing changed: costs, messages sent, statements by their first word."""

    first: Timing
    timing: Timing
    interpreter: float
    streams: int
    messages: Mapping[str, int]
    statements: Mapping[str, int]

    @property
    def total(self) -> int:
        """Statements of all kinds."""
        return sum(self.statements.values())

    @property
    def cpu(self) -> float:
        """CPU seconds beyond the interpreter's start."""
        return self.timing.cpu - self.interpreter


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the results into docs/benchmarks.md")
    options = parser.parse_args()
    nights: dict[str, Night] = {}
    for engine in ENGINES:
        print(f"Filling a practice of {options.patients} patients on {engine}", flush=True)
        with filled_sandbox(options.patients, engine) as state:
            nights[engine] = measure(state, options.runs)
    publish("unchanged", render(options, nights), write=options.write)


def measure(state: State, runs: int) -> Night:
    """A whole first run, then the same with its state: once under the general log, then for its costs."""
    time.sleep(SETTLE_SECONDS)
    url = sa.make_url(render_environment(state)["OPENDENTAL_SOURCE_URL"])
    server = read_pid(state)
    with tempfile.TemporaryDirectory(prefix="opendental-bench-") as directory:
        folder = Path(directory)
        stdout, stderr = folder / "stdout", folder / "stderr"
        command = [str(TAP), "--config", str(write_private(folder / "config.json", json.dumps(tap_config(url))))]
        first = time_command(command, stdout, server, stderr=stderr)
        command += ["--state", str(write_last_state(stdout, folder / "state.json"))]
        with logged_statements(state, READER) as statements:
            time_command(command, stdout, server, stderr=stderr)
        messages = count_messages(stdout)
        timing = medians([time_command(command, stdout, server, stderr=stderr) for _ in range(runs)])
        empty = medians([time_command([sys.executable, "-c", "pass"], stdout, stderr=stderr) for _ in range(runs)])
        streams = len(json.loads((folder / "state.json").read_text())["bookmarks"])
    return Night(first, timing, empty.cpu, streams, messages, Counter(map(first_word, statements)))


def write_last_state(stdout: Path, path: Path) -> Path:
    """The last STATE of an output, as the next run takes it."""
    with stdout.open("rb") as lines:
        states = [line for line in lines if line.startswith((b'{"type":"STATE"', b'{"type": "STATE"'))]
    path.write_text(json.dumps(json.loads(states[-1])["value"]))
    return path


def count_messages(stdout: Path) -> Mapping[str, int]:
    """How many messages of each type an output holds."""
    with stdout.open("rb") as lines:
        return Counter(str(json.loads(line)["type"]) for line in lines)


def first_word(statement: str) -> str:
    """What kind of statement it is; a function that takes a lock counts as its own kind."""
    word = statement.split(maxsplit=1)[0].upper()
    return f"{word} (lock)" if "_LOCK(" in statement.upper() else word


def render(options: argparse.Namespace, nights: Mapping[str, Night]) -> str:
    """The whole section: where the figures come from, promises, figures, statements by kind."""
    origin = render_origin(
        f"`make bench-unchanged`: a practice of {options.patients} patients, all tables, tap run with the state of a "
        f"run before; times are medians of {options.runs} runs, statements of one."
    )
    myisam = nights[ENGINES[0]]
    goals = [
        Goal("statements, MyISAM", myisam.total, STATEMENTS_LIMIT),
        *(Goal(f"CPU beyond interpreter start, {name}", night.cpu, CPU_LIMIT, " s") for name, night in nights.items()),
    ]
    return "\n\n".join((origin, render_goals(goals), render_nights(nights), render_kinds(nights)))


def render_nights(nights: Mapping[str, Night]) -> str:
    """One line a storage engine."""
    lines = [
        (
            name,
            f"{night.streams:,}",
            f"{night.total:,}",
            f"{night.messages.get('RECORD', 0):,}",
            f"{night.messages.get('SCHEMA', 0):,}",
            f"{night.timing.seconds:.2f}",
            f"{night.cpu:.2f}",
            f"{night.timing.server_cpu:.2f}",
            f"{night.timing.megabytes:,.0f}",
            f"{night.first.seconds:.1f}",
        )
        for name, night in nights.items()
    ]
    headings = (
        "engine", "streams", "statements", "RECORD", "SCHEMA", "seconds", "CPU s", "server CPU s", "peak MB",
        "first run s",
    )  # fmt: skip
    return render_table(headings, lines)


def render_kinds(nights: Mapping[str, Night]) -> str:
    """How many statements of which kind, so that one that goes out once a table is seen at once."""
    kinds = sorted({kind for night in nights.values() for kind in night.statements})
    lines = [(kind, *(str(night.statements.get(kind, 0)) for night in nights.values())) for kind in kinds]
    return render_table(("statements", *nights), lines)


if __name__ == "__main__":
    main()
