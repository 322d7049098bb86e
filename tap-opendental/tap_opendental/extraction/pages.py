"""Pages: short, buffered SELECTs in the order of a key, so that no statement holds a table for long.

On MyISAM a long SELECT blocks every writer. Rows are therefore read in pages that end on their own, and where the
cursor column is not indexed, changed rows are looked for inside ranges of the primary key (48 of Open Dental's 67
incremental tables), never by a scan of the whole table.

A walk over a table has up to two stages, each in the order of a key, and can be taken up at any `Place` of them.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Row = tuple[Any, ...]
Statement = tuple[str, dict[str, Any]]
Stage = Literal["all", "changed", "unset"]
STAGES: tuple[Stage, ...] = ("all", "changed", "unset")

# Rows at or after a bookmark, and rows whose cursor no bookmark compares with.
_SINCE = "{0} >= %(since)s"
_UNSET = "{0} IS NULL OR {0} = 0"


@dataclass(frozen=True)
class PagePlan:
    """What to read of one table and in which order.

    `expressions` is the SELECT list; `key` the columns that order the pages. `since` limits the rows to those whose
    `cursor` is at or after it, or NULL or zero, which no comparison would find. A cursor that is the key itself finds
    the rows of an append-only table, and is never NULL. Columns in `keyed_by_number` continue from their number, since
    their text does not sort or compare as the column does. `read_key` reads the key out of a row's expressions, where
    it can be; else its values are selected in addition.
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
    """How far a walk has come: the stage, and the key of its last row or range; None before its first."""

    stage: Stage
    after: Row | None = None

    def to_state(self) -> dict[str, Any]:
        """Write for a stream's state: whole numbers and text as they are, other types as a pair of type and text."""
        return {
            "stage": self.stage,
            "after": None if self.after is None else [_to_state(value) for value in self.after],
        }

    @classmethod
    def from_state(cls, value: dict[str, Any]) -> Place:
        """Read what `to_state` wrote; ValueError, KeyError or TypeError of anything else."""
        stage, after = value["stage"], value["after"]
        if stage not in STAGES or not (after is None or (isinstance(after, list) and after)):
            raise ValueError(stage)
        return cls(stage, None if after is None else tuple(_from_state(item) for item in after))


def _to_state(value: Any) -> int | str | list[str]:  # noqa: ANN401 - whatever a key holds
    """A float in a state stops the SDK's targets, which cannot write the Decimal that they read it as."""
    if isinstance(value, bytes):
        return ["bytes", b64encode(value).decode("ascii")]
    if isinstance(value, float):
        return ["float", repr(value)]
    return ["decimal", str(value)] if isinstance(value, Decimal) else value


def _read_bytes(text: str) -> bytes:
    return b64decode(text, validate=True)


_READ: dict[str, Callable[[str], Any]] = {"bytes": _read_bytes, "float": float, "decimal": Decimal}


def _from_state(value: Any) -> Any:  # noqa: ANN401 - the way back
    """What is not exactly what was written would go on from another row, or find none: ValueError or TypeError."""
    if isinstance(value, list):
        kind, text = value
        try:
            found = _READ[kind](text)
        except InvalidOperation:
            raise ValueError(kind) from None
        if _to_state(found) != value or not (isinstance(found, bytes) or isfinite(found)):
            raise ValueError(kind)
        return found
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise TypeError(type(value).__name__)
    return value


@dataclass(frozen=True)
class Page:
    """Rows as the driver gave them, and the place behind them; `read_row_key` finds the key of each."""

    rows: Sequence[Row]
    place: Place


def read_row_key(plan: PagePlan, row: Row) -> Row:
    """Return the key of a row of any page of a table with a key, in the form in which pages go on from it."""
    return plan.read_key(row) if plan.read_key else tuple(row[-len(plan.key) :])


class Reader(Protocol):
    """Reads one page: calls `ask` with a statement runner and the number of rows to go for, again if need be."""

    def __call__(self, ask: Callable[[Callable[[Statement], Sequence[Row]], int], Answer]) -> Answer:
        """Return the answer; whatever the source raises once tries are used up."""


@dataclass(frozen=True)
class Answer:
    """The rows of a page, the key at its end, how many keys it examined, and whether it is the last of its stage."""

    rows: Sequence[Row]
    after: Row | None
    examined: int
    last: bool


def read_pages(read: Reader, plan: PagePlan, start: Place | None = None) -> Iterator[Page]:
    """Yield pages of rows, held whole; a row is the plan's expressions in order, then whatever the key needs.

    A page may be empty: the caller gets its turn after every range, also where nothing changed. `start` is where a
    walk that was cut short goes on: behind its place, in the order that it had.
    """
    if not plan.key:
        answer = read(lambda run, _rows: _read_whole(run, plan))
        yield Page(answer.rows, Place("all"))
        return
    stages = list_stages(plan)
    if start is not None:
        stages = stages[stages.index(start.stage) :]
    for stage in stages:
        after = start.after if start is not None and stage == start.stage else None
        yield from _walk(read, plan, stage, after)


def list_stages(plan: PagePlan) -> list[Stage]:
    """The stages of a walk: one over all rows or ranges, or the changed rows by index and then those without cursor."""
    if plan.since is None or not _goes_by_cursor(plan):
        return ["all"]
    return ["changed", "unset"]


def is_ordered_by_cursor(plan: PagePlan, stage: Stage) -> bool:
    """True when the rows of a stage come in the order of their cursors."""
    return stage == "changed" or plan.key == (plan.cursor,)


def _goes_by_cursor(plan: PagePlan) -> bool:
    """True where an index finds changed rows: pages go by (cursor, key) then."""
    return plan.cursor_indexed and plan.cursor not in plan.key


def _walk(read: Reader, plan: PagePlan, stage: Stage, after: Row | None) -> Iterator[Page]:
    step, ordered = _choose_step(plan, stage)
    while True:
        answer = read(lambda run, rows, after=after: step(run, ordered, after, rows))  # type: ignore[misc]
        after = answer.after if answer.after is not None else after
        yield Page(answer.rows, Place(stage, after))
        if answer.last:
            return


def _choose_step(plan: PagePlan, stage: Stage) -> tuple[Callable[..., Answer], _Order]:
    if stage == "changed":
        return _read_page, _Order(replace(plan, key=(str(plan.cursor), *plan.key), read_key=None), _SINCE)
    if stage == "unset":
        return _read_page, _Order(plan, _UNSET)
    if plan.since is None:
        return _read_page, _Order(plan, None)
    if plan.cursor in plan.key:
        return _read_page, _Order(plan, _SINCE)
    return _read_range, _Order(plan, f"{_SINCE} OR {_UNSET}")


@dataclass(frozen=True)
class _Order:
    """A plan in the order of its key, and the condition on its rows."""

    plan: PagePlan
    changed: str | None


def _read_whole(run: Callable[[Statement], Sequence[Row]], plan: PagePlan) -> Answer:
    rows = run((f"SELECT {', '.join(plan.expressions)} FROM {quote(plan.table)}", {}))
    return Answer(rows, None, len(rows), last=True)


def _read_page(run: Callable[[Statement], Sequence[Row]], order: _Order, after: Row | None, limit: int) -> Answer:
    """Read the next rows in the order of the key; its values end each row."""
    text, parameters = range_statement(order.plan, order.changed, after, None)
    rows = run((f"{text} LIMIT {limit}", parameters))
    return Answer(rows, _last_key(rows, order.plan), len(rows), last=len(rows) < limit)


def _read_range(run: Callable[[Statement], Sequence[Row]], order: _Order, after: Row | None, limit: int) -> Answer:
    """Find where the next range ends, by the index alone, and read the changed rows inside it."""
    end = run(range_end_statement(order.plan, after, limit))
    upto = tuple(end[0]) if end else None
    rows = run(range_statement(order.plan, order.changed, after, upto))
    return Answer(rows, upto or _last_key(rows, order.plan), limit, last=upto is None)


def range_end_statement(plan: PagePlan, after: Row | None, rows: int) -> Statement:
    """The key at which the next range ends; no row when the rest of the table is shorter than that."""
    order = ", ".join(quote(name) for name in plan.key)
    where = f" WHERE {_compare(plan.key, '>', 'a')}" if after is not None else ""
    values = ", ".join(_key_values(plan))
    text = f"SELECT {values} FROM {quote(plan.table)}{where} ORDER BY {order} LIMIT 1 OFFSET {rows - 1}"
    return text, _bind("a", after)


def range_statement(plan: PagePlan, changed: str | None, after: Row | None, upto: Row | None) -> Statement:
    """Rows, or changed rows, with a key beyond `after` and not beyond `upto`; None leaves that side open."""
    conditions = [
        *([f"({changed.replace('{0}', quote(str(plan.cursor)))})"] if changed else []),
        *([_compare(plan.key, ">", "a")] if after is not None else []),
        *([_compare(plan.key, "<=", "u")] if upto is not None else []),
    ]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = ", ".join(quote(name) for name in plan.key)
    columns = ", ".join(plan.expressions if plan.read_key else (*plan.expressions, *_key_values(plan)))
    since = {"since": plan.since} if changed and "since" in changed else {}
    return (
        f"SELECT {columns} FROM {quote(plan.table)}{where} ORDER BY {order}",
        since | _bind("a", after) | _bind("u", upto),
    )


def _key_values(plan: PagePlan) -> tuple[str, ...]:
    """The key as the next page starts from it."""
    return tuple(f"{quote(name)}+0" if name in plan.keyed_by_number else quote(name) for name in plan.key)


def _last_key(rows: Sequence[Row], plan: PagePlan) -> Row | None:
    return read_row_key(plan, rows[-1]) if rows else None


def _compare(key: Sequence[str], operator: str, prefix: str) -> str:
    """Lexicographic comparison of the key with values, in a form whose first column serves as an index range."""
    head, *rest = key
    column, value = quote(head), f"%({prefix}{len(rest)})s"
    if not rest:
        return f"({column} {operator} {value})"
    strict = operator[0]
    return f"({column} {strict}= {value} AND ({column} {strict} {value} OR {_compare(rest, operator, prefix)}))"


def _bind(prefix: str, values: Row | None) -> dict[str, Any]:
    return {f"{prefix}{len(values) - 1 - position}": value for position, value in enumerate(values)} if values else {}
