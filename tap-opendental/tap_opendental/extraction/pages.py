"""Pages: short, buffered SELECTs in the order of a key, so that no statement holds a table for long.

On MyISAM a long SELECT blocks every writer. Rows are therefore read in pages that end on their own, and no page sorts,
scans a table or goes again over what a page before it went over: a walk costs no more than the rows that it reads. Only
a table without a key is read whole.

Where an index leads with the cursor, changed rows are found by slices of it. The rows of one moment are in no order in
which a page could go on (on MyISAM, and where another column follows in the index), so a slice has each moment whole.
Where there is no such index (48 of Open Dental's 67 incremental tables), or one moment has more rows than a page can
take in its time, as a mass update leaves it, changed rows are looked for inside ranges of the primary key.

A walk goes through stages and can be taken up at any `Place` of them. It goes from slices to ranges once, and never
back, so that it costs one pass over the table at most, however many moments are crowded. A row that changes meanwhile
is not lost, wherever it moves: its new cursor is not before the watermark, which the bookmark never passes, so the next
run reads it if this one does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tap_opendental.errors import StateError
from tap_opendental.extraction.key_values import read_values, write_values
from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Run = Callable[["Statement"], Sequence["Row"]]
    Ask = Callable[["Run", "Bounds"], "Answer"]

Row = tuple[Any, ...]
Statement = tuple[str, dict[str, Any]]
Stage = Literal["all", "changed", "unset", "rest"]
STAGES: tuple[Stage, ...] = ("all", "changed", "unset", "rest")

# Rows at or after a bookmark, and rows whose cursor no bookmark compares with.
_SINCE = "{0} >= %(since)s"
_UNSET = "{0} IS NULL OR {0} = 0"
_EITHER = f"{_SINCE} OR {_UNSET}"

# Left to itself, MariaDB 10.11 sorts a whole MyISAM table of 500,000 rows for its first 50,000; and on InnoDB, for each
# range of the key, it goes by the cursor's index over all 300,000 rows without a cursor, where its statistics are older
# than these. A hint, so inside a comment that MySQL and MariaDB execute.
_IN_KEY_ORDER = " /*! FORCE INDEX (PRIMARY) */"


@dataclass(frozen=True)
class PagePlan:
    """What to read of one table and in which order.

    `expressions` is the SELECT list; `key` the primary key, in whose order pages come. `since` limits the rows to those
    whose `cursor` is at or after it, or NULL or zero, which no comparison would find. `cursor_indexed` says that an
    index leads with the cursor. A cursor that is the key itself finds the rows of an append-only table, and is never
    NULL. Columns in `keyed_by_number` continue from their number, since their text does not sort or compare as the
    column does. `read_key` reads the key out of a row's expressions, where it can be; else its values are selected in
    addition, at the end.
    """

    table: str
    expressions: tuple[str, ...]
    key: tuple[str, ...]
    cursor: str | None = None
    since: str | int | None = None
    cursor_indexed: bool = False
    keyed_by_number: frozenset[str] = frozenset()
    read_key: Callable[[Row], Row] | None = None


@dataclass(frozen=True)
class Place:
    """How far a walk has come: its stage, and what the stage goes on from; None where it begins.

    That is the key of the last row or range, behind which the stages "all" and "unset" go on; of "changed" the cursor
    with which the next slice begins; of "rest" the cursor from which rows are wanted, and the key of the last range.
    """

    stage: Stage
    after: Row | None = None

    def to_state(self) -> dict[str, Any]:
        """Write for a stream's state."""
        return {
            "stage": self.stage,
            "after": None if self.after is None else write_values(self.after),
        }

    @classmethod
    def from_state(cls, value: dict[str, Any]) -> Place:
        """Read what `to_state` wrote; ValueError, KeyError or TypeError of anything else."""
        stage, after = value["stage"], value["after"]
        if stage not in STAGES:
            raise ValueError(stage)
        return cls(stage, None if after is None else read_values(after))


@dataclass(frozen=True)
class Page:
    """Rows as the driver gave them, and the place behind them; `read_row_key` finds the key of each."""

    rows: Sequence[Row]
    place: Place


def read_row_key(plan: PagePlan, row: Row) -> Row:
    """Return the key of a row of any page of a table with a key, in the form in which pages go on from it."""
    return plan.read_key(row) if plan.read_key else tuple(row[-len(plan.key) :])


@dataclass(frozen=True)
class Bounds:
    """How many rows a page goes for, and up to how many it takes where they are of one moment and cannot be cut.

    Pages begin small, and a crowd that none can take makes the walk go over the whole table.
    """

    rows: int
    crowd: int = 0


class Reader(Protocol):
    """Reads one page: calls `ask` with a statement runner and the page's bounds, again if need be."""

    def __call__(self, ask: Ask) -> Answer:
        """Return the answer; whatever the source raises once tries are used up."""


@dataclass(frozen=True)
class Answer:
    """The rows of a page and what the walk goes on from behind it, where that moved.

    `examined` is how many rows of the table the server went over; entries of an index alone are none. `last` says that
    the page is the last of its stage, `stage` to which one the walk goes over, if it leaves its own.
    """

    rows: Sequence[Row]
    after: Row | None
    examined: int
    last: bool
    stage: Stage | None = None


def read_pages(read: Reader, plan: PagePlan, start: Place | None = None) -> Iterator[Page]:
    """Yield pages of rows, held whole; a row is the plan's expressions in order, then whatever the key needs.

    A page may be empty: the caller gets its turn after every range, also where nothing changed. `start` is where a
    walk that was cut short goes on: behind its place, in the order that it had; StateError if it has no such place.
    """
    if not plan.key:
        answer = read(lambda run, _bounds: _read_whole(run, plan))
        yield Page(answer.rows, Place("all"))
        return
    place: Place | None = _check(plan, start) if start else Place(list_stages(plan)[0])
    while place is not None:
        answer = read(partial(_STEPS[place.stage], plan, place.after))
        place = Place(answer.stage or place.stage, place.after if answer.after is None else answer.after)
        yield Page(answer.rows, place)
        if answer.last:
            place = Place("unset") if place.stage == "changed" else None


def list_stages(plan: PagePlan) -> list[Stage]:
    """The stages that a walk may come to: one over all rows or ranges, or those of the changed rows by index.

    "unset" follows "changed"; "rest" takes the place of all that is left of both.
    """
    if plan.since is None or not plan.cursor_indexed or plan.cursor in plan.key:
        return ["all"]
    return ["changed", "unset", "rest"]


def is_ordered_by_cursor(plan: PagePlan, stage: Stage) -> bool:
    """True when no row of a page has a smaller cursor than a row of the stage's pages before; inside it, any may."""
    return stage == "changed" or plan.key == (plan.cursor,)


def _check(plan: PagePlan, place: Place) -> Place:
    """Refuse a place of another order or another key: going on from there would pass over rows."""
    key = len(plan.key)
    lengths: dict[Stage, set[int]] = {"all": {key}, "changed": {1}, "unset": {key}, "rest": {1, 1 + key}}
    fits = place.after is None or len(place.after) in lengths[place.stage]
    if not fits or place.stage not in list_stages(plan):
        raise StateError(
            f"state: the position in table {plan.table} is none of the way that it is read; clear the state of its "
            "stream to read it again"
        )
    return place


def _read_whole(run: Run, plan: PagePlan) -> Answer:
    rows = run((_select(plan, plan.expressions), {}))
    return Answer(rows, None, len(rows), last=True)


def _read_all(plan: PagePlan, after: Row | None, run: Run, bounds: Bounds) -> Answer:
    """Read the next rows in the order of the key, or the next range of it where only changed rows are wanted."""
    if plan.since is None:
        return _read_page(plan, None, after, run, bounds.rows)
    if plan.cursor == plan.key[0]:
        return _read_page(plan, _SINCE, after, run, bounds.rows)
    return _read_range(plan, _EITHER, after, run, bounds.rows)


def _read_slice(plan: PagePlan, after: Row | None, run: Run, bounds: Bounds) -> Answer:
    """Find with which cursor the next slice begins, by the index alone, and read the rows before it: less than a page.

    Were the page cut off by a LIMIT instead, the rows of its last moment would have to be dropped and read again.
    """
    begin, limit = after[0] if after else plan.since, max(bounds.rows, 2)  # one row alone would always be a crowd
    end = _find_slice_end(plan, begin, run, limit)
    if end == begin and bounds.crowd > limit:
        limit = bounds.crowd
        end = _find_slice_end(plan, begin, run, limit)
    if end == begin:
        return Answer((), (end,), 0, last=False, stage="rest")
    rows = run(slice_statement(plan, begin, end, limit))
    if len(rows) == limit:  # a mass update came between the two statements: the slice has another end now
        return Answer((), None, limit, last=False)
    return Answer(rows, None if end is None else (end,), len(rows), last=end is None)


def _find_slice_end(plan: PagePlan, begin: Any, run: Run, limit: int) -> Any:  # noqa: ANN401 - whatever a cursor holds
    found = run(slice_end_statement(plan, begin, limit))
    return found[0][0] if found else None


def _read_unset(plan: PagePlan, after: Row | None, run: Run, bounds: Bounds) -> Answer:
    """Read the rows without a cursor at once; where they are more than a page, in ranges of the key."""
    limit = bounds.rows
    if after is not None:
        return _read_range(plan, _UNSET, after, run, limit)
    rows = run((f"{_select(plan, _columns(plan))} WHERE {_condition(plan, _UNSET)} LIMIT {limit}", {}))
    if len(rows) < limit:
        return Answer(rows, None, len(rows), last=True)
    answer = _read_range(plan, _UNSET, None, run, limit)
    return replace(answer, examined=limit + answer.examined)


def _read_rest(plan: PagePlan, after: Row | None, run: Run, bounds: Bounds) -> Answer:
    """Read the next range of what the slices left: rows at or after the cursor where they ended, or without one."""
    since, *key = after or (plan.since,)
    answer = _read_range(replace(plan, since=since), _EITHER, tuple(key) or None, run, bounds.rows)
    return answer if answer.after is None else replace(answer, after=(since, *answer.after))


_STEPS: dict[Stage, Callable[[PagePlan, Row | None, Run, Bounds], Answer]] = {
    "all": _read_all,
    "changed": _read_slice,
    "unset": _read_unset,
    "rest": _read_rest,
}


def _read_page(plan: PagePlan, changed: str | None, after: Row | None, run: Run, limit: int) -> Answer:
    """Read the next rows in the order of the key."""
    text, parameters = range_statement(plan, changed, after, None)
    rows = run((f"{text} LIMIT {limit}", parameters))
    return Answer(rows, _last_key(rows, plan), len(rows), last=len(rows) < limit)


def _read_range(plan: PagePlan, changed: str, after: Row | None, run: Run, limit: int) -> Answer:
    """Find where the next range ends, by the index alone, and read the changed rows inside it.

    A range that has grown since is read up to a page; the next one begins behind that.
    """
    end = run(range_end_statement(plan, after, limit))
    upto = tuple(end[0]) if end else None
    text, parameters = range_statement(plan, changed, after, upto)
    rows = run((f"{text} LIMIT {limit}", parameters))
    if len(rows) == limit or upto is None:
        return Answer(rows, _last_key(rows, plan), limit, last=len(rows) < limit)
    return Answer(rows, upto, limit, last=False)


def slice_end_statement(plan: PagePlan, begin: Any, rows: int) -> Statement:  # noqa: ANN401 - whatever a cursor holds
    """The cursor of the row that is one too many for a slice; no row when all that is left makes no page."""
    cursor = quote(str(plan.cursor))
    text = f"{_select(plan, (cursor,))} WHERE {_condition(plan, _SINCE)} ORDER BY {cursor}"
    return f"{text} LIMIT 1 OFFSET {rows - 1}", {"since": begin}


def slice_statement(plan: PagePlan, begin: Any, end: Any, limit: int) -> Statement:  # noqa: ANN401 - as above
    """Rows with a cursor from `begin` on and before `end`, None for all, in any order; at most `limit` of them."""
    before = "" if end is None else f" AND {quote(str(plan.cursor))} < %(end)s"
    text = f"{_select(plan, _columns(plan))} WHERE {_condition(plan, _SINCE)}{before} LIMIT {limit}"
    return text, {"since": begin} | ({} if end is None else {"end": end})


def range_end_statement(plan: PagePlan, after: Row | None, rows: int) -> Statement:
    """The key at which the next range ends; no row when the rest of the table is shorter than that."""
    where = f" WHERE {_compare(plan.key, '>', 'a')}" if after is not None else ""
    text = f"{_select(plan, render_key(plan))}{_IN_KEY_ORDER}{where} ORDER BY {_key_order(plan)}"
    return f"{text} LIMIT 1 OFFSET {rows - 1}", _bind("a", after)


def range_statement(plan: PagePlan, changed: str | None, after: Row | None, upto: Row | None) -> Statement:
    """Rows, or changed rows, with a key beyond `after` and not beyond `upto`; None leaves that side open."""
    conditions = [
        *([_condition(plan, changed)] if changed else []),
        *([_compare(plan.key, ">", "a")] if after is not None else []),
        *([_compare(plan.key, "<=", "u")] if upto is not None else []),
    ]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    since = {"since": plan.since} if changed and "since" in changed else {}
    return (
        f"{_select(plan, _columns(plan))}{_IN_KEY_ORDER}{where} ORDER BY {_key_order(plan)}",
        since | _bind("a", after) | _bind("u", upto),
    )


def _select(plan: PagePlan, columns: Sequence[str]) -> str:
    return f"SELECT {', '.join(columns)} FROM {quote(plan.table)}"


def _columns(plan: PagePlan) -> tuple[str, ...]:
    return plan.expressions if plan.read_key else (*plan.expressions, *render_key(plan))


def _condition(plan: PagePlan, changed: str) -> str:
    return f"({changed.replace('{0}', quote(str(plan.cursor)))})"


def _key_order(plan: PagePlan) -> str:
    return ", ".join(quote(name) for name in plan.key)


def render_key(plan: PagePlan) -> tuple[str, ...]:
    """The key as the next page starts from it."""
    return tuple(f"{quote(name)}+0" if name in plan.keyed_by_number else quote(name) for name in plan.key)


def _last_key(rows: Sequence[Row], plan: PagePlan) -> Row | None:
    return read_row_key(plan, rows[-1]) if rows else None


def _compare(key: Sequence[str], operator: str, prefix: str) -> str:
    """Lexicographic comparison of the key with values, in a form that is a range of the index in all its columns.

    `a >= 1 AND (a > 1 OR b > 2)` says the same and begins at a = 1: each page goes again over the pages before it.
    """
    head, *rest = key
    column, value = quote(head), f"%({prefix}{len(rest)})s"
    if not rest:
        return f"({column} {operator} {value})"
    return f"({column} {operator[0]} {value} OR ({column} = {value} AND {_compare(rest, operator, prefix)}))"


def _bind(prefix: str, values: Row | None) -> dict[str, Any]:
    return {f"{prefix}{len(values) - 1 - position}": value for position, value in enumerate(values)} if values else {}
