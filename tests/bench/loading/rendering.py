"""Results as the section of docs/benchmarks.md: promises, a table for each lot, what each tool got wrong (pure)."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from report import Goal, render_goals, render_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from loading.results import Result

    Outcome = Mapping[str, Any]

KINDS = {"postgresql": "MySQL to PostgreSQL", "mysql": "MySQL to MySQL"}
YARDSTICKS = {"postgresql": "pipe", "mysql": "dump"}
OURS = {"postgresql": "raw", "mysql": "replica"}
# Not somebody's tool for this: ours, the limit, the server by itself, and the target that meltano.yml has beside ours.
NO_PEERS = frozenset({*OURS.values(), "pipe", "insert", "stock"})
LARGE, HALF = 2_000_000, 1_000_000
# Promises of the target, each against the yardstick of the same series, start-up taken off both.
FIRST, MERGE, TOGETHER, REPLICA, MEMORY = 0.8, 0.5, 1.1, 1.3, 300.0
PROGRAMS = ("meltano", "tap-opendental", "target-opendental-replica")
# Where the rows themselves take less than this share of the start-up, what is left is noise.
NOISE = 0.1
STEPS = {"full": "full load", "changed": "1% changed", "all": "every row changed", "grown": "as many new rows"}


def render(results: Sequence[Result]) -> str:
    """The whole section."""
    ordered = sorted(results, key=lambda result: (-list(KINDS)[::-1].index(result.kind), result.rows, _rank(result)))
    goals = [*choose_goals(results)]
    parts = [render_goals(goals)] if goals else []
    for (kind, rows), group in groupby(ordered, key=lambda result: (result.kind, result.rows)):
        parts += _render_group(kind, rows, list(group))
    return "\n\n".join(parts)


def _rank(result: Result) -> tuple[int, str]:
    first = (OURS[result.kind], "stock", YARDSTICKS[result.kind])
    return first.index(result.slug) if result.slug in first else len(first), result.slug


def choose_goals(results: Sequence[Result]) -> Iterator[Goal]:
    """The promises that the results can judge."""
    ours = {(result.kind, result.rows): result for result in results if result.slug == OURS[result.kind]}
    large, half, usual = (ours.get(key) for key in (("postgresql", LARGE), ("postgresql", HALF), ("mysql", 200_000)))
    if large:
        yield from _promise(large, "procedurelog", "full", FIRST, "first load of 2 million rows of procedurelog")
        yield from _promise(large, "procedurelog", "all", MERGE, "merge of 2 million changed rows, to the first load")
        yield from _promise(large, "procedurelog and securitylog", "full", TOGETHER, "two tables side by side")
    if half:
        yield from _promise(half, "procedurelog", "grown", MERGE, "merge of 1 million new rows, to the first load")
    if usual:
        yield from _promise(usual, "procedurelog", "full", REPLICA, "replica of procedurelog, to mariadb-dump")
    for (kind, rows), result in ours.items():
        peers = [one for one in results if (one.kind, one.rows) == (kind, rows) and one.slug not in NO_PEERS]
        yield from _compare_peers(result, peers)
        peak = max((max(_memory(step).values(), default=0.0) for step in _outcomes(result)), default=0.0)
        if peak:
            yield Goal(f"peak memory of a process, {KINDS[kind]}, {rows:,} rows", peak, MEMORY, " MB")


def _promise(result: Result, lot: str, step: str, limit: float, what: str) -> Iterator[Goal]:
    found = result.steps.get(lot, {}).get(step)
    ratio = _ratio(result.steps.get(lot, {}), step, "full") if found else None
    if ratio is not None:
        yield Goal(what, ratio, limit, " x", least=True)


def _compare_peers(result: Result, peers: Sequence[Result]) -> Iterator[Goal]:
    """Our first load of each table beside that of the fastest peer, right or wrong, in the peer's own series."""
    for lot in result.steps:
        rated = [(_ratio(peer.steps.get(lot, {}), "full", own="ours", other="own"), peer.name) for peer in peers]
        judged = [(ratio, name) for ratio, name in rated if ratio is not None]
        if judged:
            ratio, name = min(judged)
            what = f"{KINDS[result.kind]}, {result.rows:,} rows of {lot}, to the fastest peer ({name})"
            yield Goal(what, ratio, 1.0, " x", least=True)


def _outcomes(result: Result) -> Iterator[Outcome]:
    for steps in result.steps.values():
        for step in steps.values():
            if step["own"]:
                yield step["own"]


def _memory(outcome: Outcome) -> dict[str, float]:
    return {name: peak for name, peak in outcome["memory"].items() if name in PROGRAMS}


def _net(steps: Mapping[str, Any], step: str, whose: str) -> float | None:
    """Seconds without start-up; None where the step failed, or took hardly longer than the start-up alone."""
    outcome, start = steps.get(step, {}).get(whose), steps.get("start", {}).get(whose)
    if not outcome or outcome["seconds"] is None:
        return None
    before = float((start or {}).get("seconds") or 0.0)
    net = float(outcome["seconds"]) - before
    return net if net > before * NOISE else None


def _ratio(
    steps: Mapping[str, Any], step: str, against: str | None = None, *, own: str = "own", other: str = "yardstick"
) -> float | None:
    """How many times as fast `own` is as the `other` of the same series, in the same step or `against` another."""
    taken, beside = _net(steps, step, own), _net(steps, against or step, other)
    return beside / taken if taken and beside else None


def _render_group(kind: str, rows: int, results: list[Result]) -> Iterator[str]:
    yield f"### {KINDS[kind]}, {rows:,} rows a table"
    lots = dict.fromkeys(lot for result in results for lot in result.steps)
    for lot in lots:
        steps = [step for step in STEPS if any(step in result.steps.get(lot, {}) for result in results)]
        for step in steps:
            yield f"**{lot}**, {STEPS[step]}"
            yield _render_step(lot, step, [result for result in results if lot in result.steps], YARDSTICKS[kind])
    if any(result.edges for result in results):
        yield "What each made of hard values, each kind in a table of its own"
        yield "\n".join(line for result in results if result.edges for line in _render_edges(result))
    wrong = [line for result in results for line in _render_wrong(result)]
    if wrong:
        yield "What was not as the source in the timed tables"
        yield "\n".join(wrong)
    yield "\n".join(_render_origin(result) for result in results)


def _render_step(lot: str, step: str, results: Sequence[Result], yardstick: str) -> str:
    found = [result.steps[lot].get(step, {}).get("own") or {} for result in results]
    servers = tuple(dict.fromkeys(name for outcome in found for name in outcome.get("servers", ())))
    cpu = ("CPU µs/row", *(f"of {name}" for name in servers))
    headings = ("tool", "seconds", "start-up", "rows/s", f"to {yardstick}", *cpu, "peak MB", "result")
    return render_table(headings, [_render_line(result, result.steps[lot], step, servers) for result in results])


def _render_line(result: Result, steps: Mapping[str, Any], step: str, servers: Sequence[str]) -> tuple[str, ...]:
    outcome = steps.get(step, {}).get("own")
    empty = ("",) * (6 + len(servers))
    if not outcome:
        return result.name, *empty, "cannot"
    if outcome["seconds"] is None:
        stopped = str(outcome["reason"]).startswith("stopped")
        return result.name, *empty, str(outcome["reason"]) if stopped else "failed"
    before = steps.get("start", {}).get("own") or {}
    start = before.get("seconds")
    net, ratio = _net(steps, step, "own"), _ratio(steps, step)
    return (
        result.name,
        f"{outcome['seconds']:.2f}",
        "" if start is None else f"{start:.2f}",
        f"{outcome['rows'] / net:,.0f}" if net else "in the noise",
        "" if ratio is None else f"{ratio:.2f} x",
        *_render_cpu(outcome, before, servers, is_noise=net is None),
        f"{max(outcome['memory'].values(), default=0.0):,.0f}",
        "wrong" if outcome["wrong"] else "equal",
    )


def _render_cpu(outcome: Outcome, before: Outcome, servers: Sequence[str], *, is_noise: bool) -> Iterator[str]:
    """Microseconds a row of the tool and of each server, without those of a run over an empty table."""
    spent = {"": outcome["cpu"], **outcome.get("servers", {})}
    idle = {"": before.get("cpu") or 0.0, **before.get("servers", {})}
    for name in ("", *servers):
        is_known = name in spent and not is_noise
        yield f"{(spent[name] - idle.get(name, 0.0)) / outcome['rows'] * 1e6:,.1f}" if is_known else ""


def _render_edges(result: Result) -> Iterator[str]:
    yield f"- {result.name}"
    for table, wrong in result.edges.items():
        yield f"  - {table.removeprefix('edge_').replace('_', ' ')}: {wrong or 'equal'}"


def _render_wrong(result: Result) -> Iterator[str]:
    told: set[str] = set()
    for lot, steps in result.steps.items():
        for step, found in steps.items():
            outcome = found["own"] or {}
            for text in (outcome.get("reason"), outcome.get("wrong")):
                if text and text not in told:
                    told.add(text)
                    yield f"- {result.name}, {lot}, {STEPS.get(step, 'empty table')}: {text}"


def _render_origin(result: Result) -> str:
    if result.missing:
        return f"- {result.name}: not measured. {result.missing}"
    return f"- {result.name} ({result.version}). {result.note} {result.origin}".replace("  ", " ")
