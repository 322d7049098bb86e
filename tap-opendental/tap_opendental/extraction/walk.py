"""One pass over a table: pages in, finished lines out, and at any time what it takes to go on from there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tap_opendental.extraction.overlap import UNSET, Overlap, Reach, find_largest
from tap_opendental.extraction.pages import is_ordered_by_cursor, read_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_opendental.bookmarks import Buckets, Cursor, Pass
    from tap_opendental.extraction.lines import LineFinisher
    from tap_opendental.extraction.pages import PagePlan, Reader, Stage

    CursorReader = Callable[[list[str]], list[Cursor | None]]


class Walk:
    """A pass that is being made; `pages` makes it.

    `begun` is where it begins, or goes on after a kill; `remembered` the digest of what is read again, empty where a
    pass goes on, since its buckets are not read whole. `cursors` reads the cursors of lines, None for a full table.
    """

    def __init__(
        self,
        read: Reader,
        plan: PagePlan,
        finisher: LineFinisher,
        begun: Pass,
        *,
        cursors: CursorReader | None = None,
        remembered: Buckets = (),
        reach: Reach | None = None,
    ) -> None:
        self._read = read
        self._plan = plan
        self._finisher = finisher
        self._cursors = cursors
        self._resumed = begun.place.after is not None
        self._overlap = Overlap(() if self._resumed else remembered)
        self._remembers = any(bucket != UNSET for bucket, _ in remembered)
        self._reach = reach or Reach()
        self.progress = begun

    def pages(self) -> Iterator[list[str]]:
        """Yield the lines that go out, page by page; `progress` then includes them, but for rows held back."""
        start = self.progress.place if self._resumed else None
        for page in read_pages(self._read, self._plan, start):
            lines = self._finisher.finish(page.rows)
            if self._cursors:
                lines = self._sift(lines, self._cursors(lines), page.place.stage)
            self.progress = replace(self.progress, place=page.place)
            yield lines
        if held := self._overlap.finish():
            yield held

    @property
    def may_pause(self) -> bool:
        """True when `progress` is worth writing: the rows that are held back would have to go out for it.

        Until it is known that the last run's rows are still there, it is not: a pass that goes on could not tell.
        """
        return not (self._overlap.holds_most or self.found_nothing)

    def release(self) -> list[str]:
        """Return the rows held back so far: they have to go out before `progress` may be written."""
        return self._overlap.release()

    def _sift(self, lines: list[str], cursors: list[Cursor | None], stage: Stage) -> list[str]:
        """Hold back what the last run sent, and return the rest, with what turned out to have changed."""
        last = find_largest(cursors)
        self.progress = replace(self.progress, largest=find_largest((self.progress.largest, last)))
        wanted = self._overlap.admit(lines, cursors, self._keep_from())
        return wanted + (self._overlap.settle(last) if is_ordered_by_cursor(self._plan, stage) else [])

    def _keep_from(self) -> Cursor | None:
        bookmark = self.bookmark
        return None if bookmark is None else self._reach.begin(bookmark)

    @property
    def bookmark(self) -> Cursor | None:
        """The smaller of the largest cursor and the watermark; None when no row has a cursor."""
        largest, watermark = self.progress.largest, self.progress.watermark
        if isinstance(largest, str) and watermark is not None:
            return min(largest, watermark)
        return largest

    @property
    def digest(self) -> Buckets:
        """Digest of what the next run reads again; empty after a pass that went on, which did not see it whole."""
        return () if self._resumed else self._overlap.digest(self._keep_from())

    @property
    def found_nothing(self) -> bool:
        """True when not one row is left of those that the last run saw last: was a backup restored?"""
        return self._remembers and not self._resumed and self._overlap.met == 0
