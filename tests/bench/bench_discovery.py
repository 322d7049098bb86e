# ruff: noqa: T201 - a program that a person starts and reads
"""What the complete analysis costs beside SQLAlchemy's inspector on the same database: `make bench-discovery`.

    .venv/bin/python tests/bench/bench_discovery.py [--patients 20] [--runs 5] [--storage MyISAM] [--write]

Starts a sandbox of its own in a temporary directory, measures each contender in processes of its own, prints medians,
and removes the sandbox. Statements are those that SQLAlchemy sends; times begin before the first connection and after
the imports.

- analysis: SchemaDiscovery.analyze_complete_schema(): facts, sizes, judgement, relationships, configuration.
- facts: SchemaDiscovery's reading alone, which gives each table's columns, keys, indexes, options and sizes.
- inspector: columns, primary key, indexes and options of each table, one table after the other, as tools do it.
- inspector, multi: the same through get_multi_columns and its sisters, the kinder way to ask.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import sqlalchemy as sa
from report import publish, render_origin, render_table
from servers import filled_sandbox

from opendental_analyze.sandbox.addresses import SOURCE, render_environment
from tap_opendental.discovery import SchemaDiscovery

if TYPE_CHECKING:
    from collections.abc import Callable

    Counts = tuple[int, int]

RUNS = 5


def analyse(engine: sa.Engine) -> Counts:
    """The complete analysis."""
    tables = SchemaDiscovery(engine, SOURCE).analyze_complete_schema().tables
    return len(tables), sum(len(table.columns) for table in tables)


def read_facts(engine: sa.Engine) -> Counts:
    """Facts without judgement: the first question reads the whole schema."""
    discovery = SchemaDiscovery(engine, SOURCE)
    tables = [discovery.get_table_schema(name) for name in discovery.discover_all_tables()]
    return len(tables), sum(len(table.columns) for table in tables)


def inspect_each(engine: sa.Engine) -> Counts:
    """The inspector, table by table."""
    inspector, columns = sa.inspect(engine), 0
    names = inspector.get_table_names()
    for name in names:
        columns += len(inspector.get_columns(name))
        inspector.get_pk_constraint(name)
        inspector.get_indexes(name)
        inspector.get_table_options(name)
    return len(names), columns


def inspect_multi(engine: sa.Engine) -> Counts:
    """The inspector, asked for all tables at once."""
    inspector = sa.inspect(engine)
    columns = inspector.get_multi_columns()
    inspector.get_multi_pk_constraint()
    inspector.get_multi_indexes()
    inspector.get_multi_table_options()
    return len(columns), sum(map(len, columns.values()))


CONTENDERS: dict[str, Callable[[sa.Engine], Counts]] = {
    "analysis": analyse,
    "facts": read_facts,
    "inspector": inspect_each,
    "inspector, multi": inspect_multi,
}


def measure(contender: str, url: str) -> dict[str, float]:
    """One run in this process: seconds, statements, peak memory in MB, and what was seen."""
    statements = 0

    def count(*_event: object) -> None:
        nonlocal statements
        statements += 1

    engine = sa.create_engine(url)
    sa.event.listen(engine, "before_cursor_execute", count)
    started = time.perf_counter()
    tables, columns = CONTENDERS[contender](engine)
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "statements": statements,
        "megabytes": read_peak(),
        "tables": tables,
        "columns": columns,
    }


def read_peak() -> float:
    """Peak memory of this program in MB; getrusage would count the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure_apart(contender: str, url: str) -> dict[str, float]:
    """One run in a process of its own, so that memory and caches are nobody else's."""
    command = [sys.executable, __file__, "--contender", contender, "--url", url]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run(url: str, runs: int) -> str:
    """Measure every contender in turn, so that a busy moment hits all of them: a table of the medians."""
    rounds = [{name: measure_apart(name, url) for name in CONTENDERS} for _ in range(runs)]
    medians = {
        name: {what: median(turn[name][what] for turn in rounds) for what in rounds[0][name]} for name in CONTENDERS
    }
    slowest = medians["inspector"]["seconds"]
    lines = [
        (
            name,
            *(f"{figures[what]:,.0f}" for what in ("tables", "columns", "statements")),
            f"{figures['seconds']:.2f}",
            f"{figures['megabytes']:.0f}",
            f"{slowest / figures['seconds']:.1f} x",
        )
        for name, figures in medians.items()
    ]
    return render_table(("", "tables", "columns", "statements", "seconds", "peak MB", "inspector takes"), lines)


def main() -> None:
    """Measure one contender for the program itself, or all of them for a person."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--storage", choices=("MyISAM", "InnoDB", "mixed"), default="MyISAM")
    parser.add_argument("--write", action="store_true", help="write the results into docs/benchmarks.md")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        print(json.dumps(measure(options.contender, options.url)))
        return
    origin = render_origin(
        f"`make bench-discovery`: {options.patients} patients on {options.storage}, medians of {options.runs} runs, "
        "each in its own process."
    )
    with filled_sandbox(options.patients, options.storage) as state:
        table = run(render_environment(state)["OPENDENTAL_SOURCE_URL"], options.runs)
    publish("discovery", f"{origin}\n\n{table}", write=options.write)


if __name__ == "__main__":
    main()
