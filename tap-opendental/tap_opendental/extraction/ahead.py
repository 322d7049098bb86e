"""The next page is asked for while the one before it is worked on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


@contextmanager
def read_ahead(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """Yield `items`, taken one ahead by a thread: the server works while the item before goes out.

    An error of `items` comes out in its turn. At the end of the block nothing is read any more: what was under way is
    waited for, so that nobody else finds the connection in the middle of an answer.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as thread:
        yield _take(items, thread)


def _take(items: Iterator[T], thread: ThreadPoolExecutor) -> Iterator[T]:
    upcoming = thread.submit(_next, items)
    while found := upcoming.result():
        upcoming = thread.submit(_next, items)
        yield from found


def _next(items: Iterator[T]) -> tuple[T, ...]:
    """The next item alone, or nothing: StopIteration does not pass through a future."""
    return tuple(islice(items, 1))
