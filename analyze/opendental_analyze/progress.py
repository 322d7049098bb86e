"""How long work shows itself on stderr: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

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
