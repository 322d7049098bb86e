"""One pass over a table: pages in, finished lines out, and at any time what it takes to go on from there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tap_opendental.extraction.ahead import read_ahead
from tap_opendental.extraction.overlap import Overlap, Reach, find_largest
from tap_opendental.extraction.pages import is_ordered_by_cursor, read_pages, read_row_key
from tap_opendental.extraction.witnesses import gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_opendental.bookmarks import Buckets, Cursor, Pass
    from tap_opendental.extraction.lines import LineFinisher
    from tap_opendental.extraction.pages import Page, PagePlan, Reader, Row, Stage
    from tap_opendental.extraction.witnesses import Witness

    CursorReader = Callable[[list[str]], list[Cursor | None]]


class Walk:
    """A pass that is being made; `pages` makes it.

    `begun` is where it begins, or goes on after a kill (`resumed`); `remembered` the digest of what is read again,
    empty where a pass goes on, since its buckets are not read whole. `cursors` reads the cursors of lines, None for a
    full table; `witness` remembers a row by its key, cursor and line, and `settled` is the key from which on rows are
    new since the last run.
    """

    def __init__(
        self,
        read: Reader,
        plan: PagePlan,
        finisher: LineFinisher,
        begun: Pass,
        *,
        cursors: CursorReader | None = None,
        witness: Callable[[Row, Cursor, str], Witness] | None = None,
        settled: int | None = None,
        remembered: Buckets = (),
        reach: Reach | None = None,
    ) -> None:
        self._read = read
        self._plan = plan
        self._finisher = finisher
        self._cursors = cursors
        self._witness = witness
        self._settled = settled
        self.resumed = begun.place.after is not None
        self._overlap = Overlap(() if self.resumed else remembered)
        self._reach = reach or Reach()
        self.progress = begun

    def pages(self) -> Iterator[list[str]]:
        """Yield the lines that go out, page by page; `progress` then includes them, but for rows held back."""
        start = self.progress.place if self.resumed else None
        with read_ahead(read_pages(self._read, self._plan, start)) as pages:
            for page in pages:
                yield self._take(page)
        if held := self._overlap.finish():
            yield held

    def _take(self, page: Page) -> list[str]:
        """Finish a page, and come to its place."""
        lines = self._finisher.finish(page.rows)
        if self._cursors:
            cursors = self._cursors(lines)
            self._gather(page.rows, cursors, lines)
            lines = self._sift(lines, cursors, page.place.stage)
        self.progress = replace(self.progress, place=page.place)
        return lines

    @property
    def may_pause(self) -> bool:
        """True when `progress` is worth writing: the rows that are held back would have to go out for it."""
        return not self._overlap.holds_most

    def release(self) -> list[str]:
        """Return the rows held back so far: they have to go out before `progress` may be written."""
        return self._overlap.release()

    def _sift(self, lines: list[str], cursors: list[Cursor | None], stage: Stage) -> list[str]:
        """Hold back what the last run sent, and return the rest, with what turned out to have changed."""
        last = find_largest(cursors)
        self.progress = replace(self.progress, largest=find_largest((self.progress.largest, last)))
        wanted = self._overlap.admit(lines, cursors, self._keep_from())
        return wanted + (self._overlap.settle(last) if is_ordered_by_cursor(self._plan, stage) else [])

    def _gather(self, rows: Sequence[Row], cursors: list[Cursor | None], lines: list[str]) -> None:
        """Remember the newest rows."""
        witness = self._witness
        if witness is None:
            return

        def remember(place: int, cursor: Cursor) -> Witness:
            return witness(read_row_key(self._plan, rows[place]), cursor, lines[place])

        known, upto = self.progress.witnesses, self.progress.watermark
        witnesses = gather(known, cursors, remember, upto=upto, settled=self._settled)
        self.progress = replace(self.progress, witnesses=witnesses)

    def _keep_from(self) -> Cursor | None:
        reached = self.progress.reached
        return None if reached is None else self._reach.begin(reached)

    @property
    def digest(self) -> Buckets:
        """Digest of what the next run reads again; empty after a pass that went on, which did not see it whole."""
        return () if self.resumed else self._overlap.digest(self._keep_from())
