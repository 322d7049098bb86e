"""What is selected of a table and what becomes of it: the columns, their lines, and what a line tells of its row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from tap_opendental.extraction.cursors import choose_key_reader, read_cursors
from tap_opendental.extraction.lines import JSON, LineFinisher, lay_out, render_select
from tap_opendental.extraction.pages import PagePlan, read_row_key
from tap_opendental.extraction.witnesses import Witness, ask_for, digest_row
from tap_opendental.moments import parse_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from tap_opendental.extraction.lines import Column, Dialect, Layout
    from tap_opendental.extraction.pages import Row, Statement
    from tap_opendental.extraction.witnesses import Cursor
    from tap_opendental.plan import TablePlan
    from tap_opendental.types import NulInText


@dataclass(frozen=True)
class Projection:
    """The columns of one table that go out in one run, and how.

    `cursor` is the column that a pass goes by, None of a full table; `packet` the server's max_allowed_packet in bytes.
    `encoding` and `nul` are the settings binary_encoding and nul_in_text.
    """

    plan: TablePlan
    columns: tuple[Column, ...]
    dialect: Dialect
    cursor: Column | None
    packet: int
    encoding: str
    nul: NulInText

    @cached_property
    def layout(self) -> Layout:
        """Where each column stands; cursor and key in front, so that they can be read out of a line."""
        names = (self.cursor.name if self.cursor else None, *self.plan.primary_key)
        leading = [*dict.fromkeys(name for name in names if name)]
        return lay_out(self.columns, leading, packet=self.packet, mean_row=self.plan.mean_row_bytes)

    @property
    def fingerprinted(self) -> tuple[str, ...]:
        """The expressions by which a table is known again, whatever the dialect of its lines."""
        return render_select(self.layout, JSON)

    def page_plan(self, since: Cursor | None) -> PagePlan:
        """What a page selects, of the rows from `since` on."""
        plan = self.plan
        return PagePlan(
            table=plan.table,
            expressions=render_select(self.layout, self.dialect),
            key=plan.key,
            cursor=self.cursor.source if self.cursor else None,
            since=parse_moment(since).isoformat(" ") if isinstance(since, str) else since,
            cursor_indexed=plan.cursor_indexed,
            keyed_by_number=plan.keyed_by_number,
            read_key=choose_key_reader(self.dialect, self.layout.inline, plan.key),
        )

    def finisher(self, altered: Counter[str]) -> LineFinisher:
        """What makes finished lines of rows; `altered` counts what was mapped on the way."""
        return LineFinisher(
            self.layout, self.dialect, altered, encoding=self.encoding, nul=self.nul, table=self.plan.table
        )

    def cursors(self, lines: list[str]) -> list[Cursor | None]:
        """The cursors of lines; none has one in a full table."""
        return self._read_cursors(lines) if self._read_cursors else [None] * len(lines)

    @cached_property
    def _read_cursors(self) -> Callable[[list[str]], list[Cursor | None]] | None:
        return read_cursors(self.dialect, self.cursor.reading) if self.cursor else None

    def witness(self, key: Row, cursor: Cursor, line: str) -> Witness:
        """Remember a row; one of a log by what it holds, since its cursor is its key."""
        return Witness(key, cursor, digest_row(line, self._form) if self.plan.append_only else None)

    @cached_property
    def _form(self) -> str:
        """What a line is made of, in its order, which moves with the mean width of rows."""
        return sha256("\0".join(self._by_key.expressions).encode()).hexdigest()[:8]

    def ask_for(self, witnesses: Collection[Witness]) -> Statement:
        """The rows of witnesses, as they are now; `recognise` reads the answer."""
        return ask_for(witnesses, self._by_key)

    def recognise(self, rows: Sequence[Row]) -> dict[Row, Witness]:
        """Make witnesses of rows, by their keys; a row that lost its cursor is none."""
        lines = self.finisher(Counter()).finish(rows)
        seen = zip(rows, self.cursors(lines), lines, strict=True)
        witnesses = [
            self.witness(read_row_key(self._by_key, row), cursor, line)
            for row, cursor, line in seen
            if cursor is not None
        ]
        return {witness.key: witness for witness in witnesses}

    @cached_property
    def _by_key(self) -> PagePlan:
        return replace(self.page_plan(None), read_key=None)
