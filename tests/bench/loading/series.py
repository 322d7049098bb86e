# ruff: noqa: T201 - a person watches a long run
"""One series: every tool loads the same rows in turn, round by round, and every result is compared with the source."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import sqlalchemy as sa

from loading.jobs import Item, Job, Tool
from loading.running import Run, run_command
from loading.sources import EDGES, EMPTY_SUFFIX, Loaded, add, change, change_all, fill, fill_edges, shrink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from loading.findings import Verdict
    from loading.places import Place

FULL, CHANGED, ALL, GROWN = "full", "changed", "all", "grown"
SHARE = 0.01


@dataclass(frozen=True)
class Lot:
    """What one run loads: tables, side by side where there are several, and the steps after the full load."""

    tables: tuple[Loaded, ...]
    steps: tuple[str, ...] = (FULL, CHANGED)

    @property
    def name(self) -> str:
        """The tables' names."""
        return " and ".join(loaded.name for loaded in self.tables)

    @property
    def items(self) -> tuple[Item, ...]:
        """The tables as tools see them."""
        return tuple(Item(loaded.name, loaded.key, loaded.cursor) for loaded in self.tables)


@dataclass(frozen=True)
class Measured:
    """One run of one step, and what the comparison of its tables said (None: not compared)."""

    run: Run
    wrong: str | None


@dataclass(frozen=True)
class Outcome:
    """What a series says of one tool and one step: medians, or the reason why there are none.

    `wrong` is None where every run that was compared was equal, else what differed. `cpu` are processor seconds of the
    tool, `servers` those of each server meanwhile; `memory` are peaks in MB.
    """

    rows: int
    runs: int
    seconds: float | None = None
    cpu: float | None = None
    servers: Mapping[str, float] = field(default_factory=dict)
    memory: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    wrong: str | None = None


@dataclass
class Series:
    """Tools side by side at one place. `limit` seconds a run; a tool that failed a step is not asked for it again.

    `compares_all` is false where only the first round is compared (large tables).
    """

    place: Place
    tools: Sequence[Tool]
    rows: int
    runs: int
    limit: float
    folder: Path
    compares_all: bool = True
    measured: dict[tuple[str, str, str], list[Measured]] = field(default_factory=lambda: defaultdict(list))
    number: int = 0

    def load(self, lot: Lot) -> None:
        """All rounds of a lot, its tables filled before and dropped after."""
        admin = self.place.admin
        for loaded in lot.tables:
            print(f"Filling {loaded.name} with {self.rows:,} rows", flush=True)
            fill(admin, loaded, self.rows, self.place.storage)
        for turn in range(self.runs):
            self._round(lot, turn)
        for loaded in lot.tables:
            for name in (loaded.name, loaded.name + EMPTY_SUFFIX):
                with admin.connect() as connection:
                    connection.exec_driver_sql(f"DROP TABLE `{name}`")

    def _round(self, lot: Lot, turn: int) -> None:
        order = [*self.tools[turn % len(self.tools) :], *self.tools[: turn % len(self.tools)]]
        tools = [tool for tool in order if tool.takes_many or len(lot.tables) == 1]
        compares = self.compares_all or turn == 0
        self._measure_starts(lot, tools)
        with self._jobs(lot, tools) as jobs:
            for step in lot.steps:
                rows = self._move(lot, step)
                if compares:
                    for item in lot.items:
                        self.place.refer(item.table)
                    self._find_stale(lot, jobs, step)
                print(f"{lot.name}: round {turn + 1}, {step}: {rows:,} rows", flush=True)
                for tool in tools:
                    self._run_step(lot, tool, jobs, step, compares=compares)
                if step == FULL and turn == 0:
                    self._prove(lot, jobs)
        self._measure_starts(lot, tools)
        for loaded in lot.tables:
            shrink(self.place.admin, loaded, self.rows)

    def _move(self, lot: Lot, step: str) -> int:
        """Change the source as a step wants it; how many rows there are to load."""
        admin = self.place.admin
        if step == CHANGED:
            return sum(change(admin, loaded, self.rows, SHARE) for loaded in lot.tables)
        if step == ALL:
            for loaded in lot.tables:
                change_all(admin, loaded)
        if step == GROWN:
            for loaded in lot.tables:
                add(admin, loaded, self.rows, self.rows)
        return self.rows * len(lot.tables)

    @contextmanager
    def _jobs(self, lot: Lot, tools: Sequence[Tool]) -> Iterator[dict[str, Job]]:
        """A job for each tool, with an empty destination and a folder; all gone at the end."""
        spaces: list[str] = []
        with tempfile.TemporaryDirectory(dir=self.folder) as directory:
            try:
                jobs = {}
                for tool in tools:
                    job = self._job(tool, lot.items, Path(directory))
                    spaces.append(job.space)
                    jobs[tool.slug] = job
                yield jobs
            finally:
                for space in spaces:
                    self.place.drop_space(space)

    def _job(self, tool: Tool, items: tuple[Item, ...], parent: Path) -> Job:
        self.number += 1
        space = f"{tool.slug.replace('-', '_')}_{self.number}"
        source = sa.make_url(
            self.place.source.reader_url if self.place.kind == "postgresql" else self.place.source.admin_url
        )
        destination = self.place.open_space(space)
        return Job(space, source, destination, space, items, parent, environment=self.place.environment)

    def _run_step(self, lot: Lot, tool: Tool, jobs: dict[str, Job], step: str, *, compares: bool) -> None:
        """One run, unless the tool cannot do this step or failed before."""
        done = self.measured[tool.slug, lot.name, step]
        cannot = step != FULL and not tool.loads_changes
        if cannot or tool.slug not in jobs or any(measured.run.reason for measured in done):
            return
        job = jobs[tool.slug]
        run = self.start(tool, job)
        wrong = self._compare(job) if compares and run.reason is None else None
        done.append(Measured(run, wrong))
        print(f"  {tool.slug}: {run.seconds:.1f} s, {run.reason or wrong or 'equal'}", flush=True)
        if run.reason:  # nothing follows a load that failed
            del jobs[tool.slug]
        else:
            jobs[tool.slug] = replace(job, is_first=False)

    def start(self, tool: Tool, job: Job) -> Run:
        """Run a tool once, in a folder of its own."""
        self.place.calm()
        with tempfile.TemporaryDirectory(dir=job.folder) as directory:
            own = replace(job, folder=Path(directory))
            tool.prepare(own)
            return run_command(tool.command(own), own.folder, self.limit, self.place.servers)

    def _compare(self, job: Job) -> str | None:
        verdicts = {item.table: self.place.compare(job.space, item) for item in job.items}
        wrong = [verdict.render(briefly=True) for verdict in verdicts.values() if not verdict.is_equal]
        return "; ".join(wrong) or None

    def _prove(self, lot: Lot, jobs: Mapping[str, Job]) -> None:
        """Differences that are planted in what the yardstick loaded must be seen."""
        job = jobs.get(self.tools[0].slug)
        for loaded, item in zip(lot.tables, lot.items, strict=True):
            if job:
                self.place.prove(job.space, item, loaded.changed)

    def _find_stale(self, lot: Lot, jobs: Mapping[str, Job], step: str) -> None:
        """Before a step, what the yardstick loaded earlier, or nothing, must not pass for the source."""
        job = jobs.get(self.tools[0].slug)
        stale = [item.table for item in lot.items if job and self.place.compare(job.space, item).is_equal]
        if stale:
            raise AssertionError(f"{', '.join(stale)}: equal before step {step} was loaded")

    def _measure_starts(self, lot: Lot, tools: Sequence[Tool]) -> None:
        """The same over an empty table: what a tool takes before its first row.

        Before and after each round, since a start of Meltano takes 4.4 to 6 s on a shared machine, and what is left of
        200,000 rows without it is 1 to 6 s.
        """
        first = lot.items[0]
        empty = replace(lot, tables=lot.tables[:1])
        with self._jobs(empty, tools) as jobs:
            for tool in tools:
                job = replace(jobs[tool.slug], items=(replace(first, table=first.table + EMPTY_SUFFIX),))
                run = self.start(tool, job)
                self.measured[tool.slug, lot.name, "start"].append(Measured(run, None))

    def try_edges(self) -> dict[str, dict[str, Verdict | str]]:
        """What each tool makes of each table of hard values: a verdict, or why there is none."""
        fill_edges(self.place.admin, self.place.storage)
        found: dict[str, dict[str, Verdict | str]] = {tool.slug: {} for tool in self.tools}
        for table in EDGES:
            self.place.refer(table)
            lot_items = (Item(table, "id", None),)
            for tool in self.tools:
                with tempfile.TemporaryDirectory(dir=self.folder) as directory:
                    job = self._job(tool, lot_items, Path(directory))
                    run = self.start(tool, job)
                    verdict = self.place.compare(job.space, lot_items[0])
                    if not verdict.expected:
                        raise AssertionError(f"{table} has no rows")
                    found[tool.slug][table] = _judge_edge(run, verdict)
                    self.place.drop_space(job.space)
        return found

    def outcome(self, tool: Tool, lot: Lot, step: str) -> Outcome | None:
        """Medians of a tool's runs; None where it made none."""
        done = self.measured.get((tool.slug, lot.name, step), [])
        if not done:
            return None
        rows = self._changed_rows(lot) if step == CHANGED else self.rows * len(lot.tables)
        return summarize(done, rows)

    def _changed_rows(self, lot: Lot) -> int:
        return max(2, round(self.rows * SHARE)) * len(lot.tables)


def summarize(done: Sequence[Measured], rows: int) -> Outcome:
    """Medians; the first failure, and the first difference, are those that are told."""
    reason = next((measured.run.reason for measured in done if measured.run.reason), None)
    wrong = next((measured.wrong for measured in done if measured.wrong), None)
    runs = [measured.run for measured in done]
    names = {name for run in runs for name in run.memory}
    memory = {name: max(run.memory.get(name, 0.0) for run in runs) for name in sorted(names)}
    if reason:
        return Outcome(rows, len(runs), memory=memory, reason=reason, wrong=wrong)
    seconds, cpu = median(run.seconds for run in runs), median(run.cpu for run in runs)
    servers = {name: median(run.servers[name] for run in runs) for name in runs[0].servers}
    return Outcome(rows, len(runs), seconds, cpu, servers, memory, None, wrong)


def _judge_edge(run: Run, verdict: Verdict) -> Verdict | str:
    if run.reason and not verdict.found:
        return f"ends with an error ({run.reason})"
    return f"{verdict.render()}, and {run.reason}" if run.reason else verdict
