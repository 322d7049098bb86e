"""How long work shows itself on stderr: a live line on a terminal, a plain line now and then elsewhere.

Work that fills something counts rows (`show_progress`), work that asks something counts steps (`show_steps`).
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from opendental_analyze.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

EVERY = 5.0


@contextmanager
def show_progress(console: Console, *, every: float = EVERY) -> Iterator[Callable[[str, int], None]]:
    """Give a function that is told "this step added so many rows"; what it is told appears on the console."""
    if console.is_terminal:
        with _live(console) as tell:
            yield tell
    else:
        yield PlainProgress(console, every)


class PlainProgress:
    """One line at the first step and then one every few seconds, for logs and pipes."""

    def __init__(self, console: Console, every: float) -> None:
        self._console = console
        self._every = every
        self._started = time.monotonic()
        self._next = self._started
        self._count = 0

    def __call__(self, step: str, count: int) -> None:
        """Take note of a step, and say so if it is time."""
        self._count += count
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._every
            self._console.print(f"{now - self._started:5.0f} s  {self._count:>11,} rows  {step}", highlight=False)


@contextmanager
def _live(console: Console) -> Iterator[Callable[[str, int], None]]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f} rows"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda step, count: progress.update(task, description=f"{step:<28}", advance=count)


class Steps(Protocol):
    """Is told each step of a work, and how far it is: so many of so many, where that can be counted."""

    def __call__(self, step: str, done: int = 0, total: int = 0, /) -> None:
        """Take note of a step; 0 of 0 where there is nothing to count."""


@contextmanager
def show_steps(console: Console, *, every: float = EVERY) -> Iterator[Steps]:
    """Give a function that is told each step; what it is told appears on the console."""
    if console.is_terminal:
        with _live_steps(console) as tell:
            yield tell
    else:
        yield PlainSteps(console, every)


class PlainSteps:
    """A line for each kind of step, which its first word names, and one every few seconds."""

    def __init__(self, console: Console, every: float) -> None:
        self._console = console
        self._every = every
        self._started = time.monotonic()
        self._next = self._started
        self._kind = ""

    def __call__(self, step: str, done: int = 0, total: int = 0, /) -> None:
        """Take note of a step, and say so if it is of a new kind or if it is time."""
        now, kind = time.monotonic(), step.partition(" ")[0]
        if kind == self._kind and now < self._next:
            return
        self._kind, self._next = kind, now + self._every
        how_far = f" ({done:,}/{total:,})" if total else ""
        line = f"{now - self._started:5.0f} s  {printable(step)}{how_far}"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _live_steps(console: Console) -> Iterator[Steps]:
    text = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), text, BarColumn(), TextColumn("{task.fields[how_far]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None, how_far="")
        shown = progress.tasks[0]

        def tell(step: str, done: int = 0, total: int = 0, /) -> None:
            how_far = f"{done:,}/{total:,}" if total else ""
            shown.total = total or None  # update() takes None for "as it was"
            progress.update(task, description=f"{printable(step):<28}", completed=done, how_far=how_far)

        yield tell
