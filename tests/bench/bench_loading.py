# ruff: noqa: T201 - a program that a person starts and reads
"""How fast tools load tables, and whether what they wrote is the source: `make bench-loading` and its sisters.

    .venv/bin/python tests/bench/bench_loading.py postgresql [--only TOOL...] [--rows 200000] [--runs 3] [--write]
    .venv/bin/python tests/bench/bench_loading.py mysql ...

Starts a sandbox of its own. For each table: fill it, let every tool load it in turn, compare each result with the
source, change 1% of the rows, let every tool load the change, compare again; round by round, the order rotated, so that
a busy moment hits all. The yardstick (`pipe`, or `dump` for a replica) and our target are in every series, and ratios
are of one series. A tool that does not end within five minutes is stopped and reported so.

An empty table of the same columns is loaded before and after each round: start-up, which ratios leave out. Results are
kept as JSON in tests/bench/results/loading, one file a tool, and docs/benchmarks.md is written from all of them.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loading import rendering, results
from loading.dumps import DUMP, INSERT, MYDUMPER
from loading.findings import Verdict
from loading.meltano import RAW, REPLICA, STOCK
from loading.peers import PEERS
from loading.pipes import PIPE
from loading.places import postgres_place, replica_place
from loading.series import ALL, CHANGED, FULL, GROWN, Lot, Series
from loading.sources import LOADED, PROCEDURE, SECURITY, carry_preferences
from report import publish
from servers import filled_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from loading.jobs import Tool
    from loading.results import Result
    from loading.series import Outcome

PATIENTS = 60
TOOLS = {"postgresql": (PIPE, RAW, STOCK, *PEERS), "mysql": (DUMP, REPLICA, INSERT, MYDUMPER)}
PLACES = {"postgresql": postgres_place, "mysql": replica_place}
LIMIT = 300.0


def main() -> None:
    """Measure, print, keep and write if asked to."""
    options = read_options()
    if options.missing:
        keep_missing(options)
    elif not options.render:
        measure(options)
    publish("loading", rendering.render(list(results.read_all())), write=options.write or options.render)


def read_options() -> argparse.Namespace:
    """The command line."""
    tables = [loaded.name for loaded in LOADED]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kind", choices=TOOLS)
    parser.add_argument("--only", nargs="*", metavar="TOOL", help="tools beside the yardstick")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tables", nargs="*", choices=tables, default=tables, metavar="TABLE")
    parser.add_argument("--together", action="store_true", help="procedurelog and securitylog in one run as well")
    parser.add_argument(
        "--then",
        choices=(CHANGED, ALL, GROWN),
        default=CHANGED,
        help="what follows: 1%% changed, all, or as many new rows",
    )
    parser.add_argument("--first-only", action="store_true", help="compare the first round only: large tables")
    parser.add_argument("--no-edges", action="store_true", help="leave out the hard values")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds after which a run is stopped")
    parser.add_argument("--missing", metavar="REASON", help="note that the tools of --only cannot be measured")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the document anew")
    parser.add_argument("--write", action="store_true", help="keep the results and write docs/benchmarks.md")
    return parser.parse_args()


def choose_tools(options: argparse.Namespace) -> list[Tool]:
    """The yardstick first, our target, which every tool is beside, then those that were asked for."""
    yardstick, ours, *others = TOOLS[options.kind]
    unknown = set(options.only or ()) - {tool.slug for tool in TOOLS[options.kind]}
    if unknown:
        raise SystemExit(f"no such tool: {', '.join(sorted(unknown))}")
    return [yardstick, ours, *(tool for tool in others if options.only is None or tool.slug in options.only)]


def measure(options: argparse.Namespace) -> None:
    """One series of all tools that were chosen."""
    tools = choose_tools(options)
    lots = [Lot((loaded,), (FULL, options.then)) for loaded in LOADED if loaded.name in options.tables]
    lots += [Lot((PROCEDURE, SECURITY), (FULL,))] if options.together else []
    with filled_sandbox(PATIENTS) as state, PLACES[options.kind](state) as place, scratch() as folder:
        carry_preferences(place.admin)
        series = Series(place, tools, options.rows, options.runs, options.limit, folder, not options.first_only)
        edges = {} if options.no_edges else series.try_edges()
        for lot in lots:
            series.load(lot)
    is_ours = options.only is None or rendering.OURS[options.kind] in options.only
    beside = {tool.slug for tool in TOOLS[options.kind][:2]}  # of a peer alone: they are in its result
    for result in collect(options, series, lots, edges):
        show(result)
        if options.write and (is_ours or result.slug not in beside):
            results.save(result)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for what tools write."""
    return _Folder(prefix="opendental-bench-")


class _Folder(tempfile.TemporaryDirectory[str]):
    """A temporary directory that enters as a path."""

    def __enter__(self) -> Path:  # type: ignore[override]
        return Path(super().__enter__())


def collect(
    options: argparse.Namespace, series: Series, lots: Iterable[Lot], edges: Mapping[str, Mapping[str, Verdict | str]]
) -> Iterable[Result]:
    """The series as results, one a tool, each with the outcomes of the yardstick and of our target beside its own."""
    yardstick, ours, origin = *series.tools[:2], results.read_origin()
    for tool in series.tools:
        beside = {"own": tool, "yardstick": yardstick, "ours": ours}
        steps: dict[str, dict[str, Any]] = {}
        for lot in lots:
            for step in ("start", *lot.steps):
                outcomes = {name: _as_facts(series.outcome(one, lot, step)) for name, one in beside.items()}
                if tool.takes_many or len(lot.tables) == 1:
                    steps.setdefault(lot.name, {})[step] = outcomes
        wrong = {table: render_edge(found) for table, found in edges.get(tool.slug, {}).items()}
        yield results.Result(
            tool.slug, tool.name, options.kind, options.rows, tool.version(), tool.note, origin, steps, wrong
        )


def _as_facts(outcome: Outcome | None) -> dict[str, Any] | None:
    return asdict(outcome) if outcome else None


def render_edge(found: Verdict | str) -> str | None:
    """What was wrong, None for nothing."""
    if isinstance(found, Verdict):
        return None if found.is_equal else found.render()
    return found


def show(result: Result) -> None:
    """A summary for a trial run."""
    print(f"{result.name}: {result.version}")
    for table, wrong in result.edges.items():
        print(f"  {table}: {wrong or 'equal'}")
    for lot, steps in result.steps.items():
        for step, pair in steps.items():
            own = pair["own"] or {}
            print(f"  {lot}, {step}: {own.get('seconds')} s, {own.get('reason') or own.get('wrong') or 'equal'}")


def keep_missing(options: argparse.Namespace) -> None:
    """Note that a tool could not be installed, in place of its results."""
    for tool in choose_tools(options)[2:]:
        results.save(
            results.Result(tool.slug, tool.name, options.kind, options.rows, note=tool.note, missing=options.missing)
        )


if __name__ == "__main__":
    if shutil.which("psql") is None:
        raise SystemExit("psql is missing: make servers installs it")
    main()
