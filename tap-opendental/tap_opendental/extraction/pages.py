"""Pages: short, buffered SELECTs in the order of a key, so that no statement holds a table for long.

On MyISAM a long SELECT blocks every writer. Rows are therefore read in pages that end on their own, and where the
cursor column is not indexed, changed rows are looked for inside ranges of the primary key (48 of Open Dental's 67
incremental tables), never by a scan of the whole table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

Row = tuple[Any, ...]
Statement = tuple[str, dict[str, Any]]

# Rows at or after a bookmark, and rows whose cursor no bookmark compares with.
SINCE = "{cursor} >= %(since)s"
UNSET = "{cursor} IS NULL OR {cursor} = 0"
CHANGED = f"{SINCE} OR {UNSET}"


@dataclass(frozen=True)
class PagePlan:
    """What to read of one table and in which order.

    `expressions` is the SELECT list; `key` the columns that order the pages. `since` limits the rows to those whose
    `cursor` is at or after it, or NULL or zero, which no comparison would find; `changed` is that condition. A cursor
    that is the key itself finds the rows of an append-only table, and is never NULL. Columns in `keyed_by_number`
    continue from their number, since their text does not sort or compare as the column does.
    """

    table: str
    expressions: tuple[str, ...]
    key: tuple[str, ...]
    page_rows: int
    cursor: str | None = None
    since: str | int | None = None
    cursor_indexed: bool = False
    changed: str = CHANGED
    keyed_by_number: frozenset[str] = frozenset()


def read_pages(connection: Connection, plan: PagePlan) -> Iterator[Sequence[Row]]:
    """Yield pages of rows, held whole; a row is the plan's expressions in order.

    A page may be empty: the caller gets its turn after every range, also where nothing changed.
    """
    if not plan.key:
        yield _run(connection, (f"SELECT {_list(plan.expressions)} FROM {quote(plan.table)}", {}))
    elif plan.since is None:
        yield from _by_key(connection, plan)
    elif plan.cursor in plan.key:
        yield from _by_key(connection, replace(plan, changed=SINCE))
    elif plan.cursor_indexed:
        yield from _by_cursor(connection, plan)
    else:
        yield from _by_ranges(connection, plan)


def _by_key(connection: Connection, plan: PagePlan) -> Iterator[Sequence[Row]]:
    """All rows, in the order of the key."""
    after: Row | None = None
    while True:
        page = _run(connection, page_statement(plan, after))
        rows, after = _split(page, plan)
        yield rows
        if len(page) < plan.page_rows:
            return


def _by_cursor(connection: Connection, plan: PagePlan) -> Iterator[Sequence[Row]]:
    """Changed rows in the order of (cursor, key), then those without a cursor: an index leads with the cursor."""
    yield from _by_key(connection, replace(plan, changed=SINCE, key=(str(plan.cursor), *plan.key)))
    yield from _by_key(connection, replace(plan, changed=UNSET))


def _by_ranges(connection: Connection, plan: PagePlan) -> Iterator[Sequence[Row]]:
    """Changed rows in ranges of the key: first the range's last key, by index alone, then the rows inside it."""
    after: Row | None = None
    while True:
        last = _run(connection, range_end_statement(plan, after))
        upto = tuple(last[0]) if last else None
        yield _split(_run(connection, range_statement(plan, after, upto)), plan)[0]
        if upto is None:
            return
        after = upto


def read_largest_key(connection: Connection, table: str, key: str) -> int | None:
    """Return the largest value of an integer key, at the cost of one look into its index; None of an empty table."""
    (row,) = _run(connection, (f"SELECT MAX({quote(key)}) FROM {quote(table)}", {}))
    return None if row[0] is None else int(row[0])


def page_statement(plan: PagePlan, after: Row | None) -> Statement:
    """The next page after a key, in the order of the key; its last columns are the key."""
    text, parameters = range_statement(plan, after, None)
    return f"{text} LIMIT {plan.page_rows}", parameters


def range_end_statement(plan: PagePlan, after: Row | None) -> Statement:
    """The key at which the next range ends; no row when the rest of the table is shorter than a page."""
    order = _list(quote(name) for name in plan.key)
    where = f" WHERE {_compare(plan.key, '>', 'a')}" if after is not None else ""
    text = (
        f"SELECT {_list(_key_values(plan))} FROM {quote(plan.table)}{where} "
        f"ORDER BY {order} LIMIT 1 OFFSET {plan.page_rows - 1}"
    )
    return text, _bind("a", after)


def range_statement(plan: PagePlan, after: Row | None, upto: Row | None) -> Statement:
    """Rows, or changed rows, with a key beyond `after` and not beyond `upto`; None leaves that side open."""
    conditions = [
        *([_changed(plan)] if plan.since is not None else []),
        *([_compare(plan.key, ">", "a")] if after is not None else []),
        *([_compare(plan.key, "<=", "u")] if upto is not None else []),
    ]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = _list(quote(name) for name in plan.key)
    columns = _list((*plan.expressions, *_key_values(plan)))
    parameters = {"since": plan.since} | _bind("a", after) | _bind("u", upto)
    return f"SELECT {columns} FROM {quote(plan.table)}{where} ORDER BY {order}", parameters


def _key_values(plan: PagePlan) -> tuple[str, ...]:
    """The key as the next page starts from it."""
    return tuple(f"{quote(name)}+0" if name in plan.keyed_by_number else quote(name) for name in plan.key)


def _changed(plan: PagePlan) -> str:
    return f"({plan.changed.format(cursor=quote(str(plan.cursor)))})"


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


def _list(items: Any) -> str:  # noqa: ANN401 - any iterable of text
    return ", ".join(items)


def _split(page: Sequence[Row], plan: PagePlan) -> tuple[Sequence[Row], Row | None]:
    """Rows without the key columns at their end, and the last row's key."""
    width = len(plan.expressions)
    return [row[:width] for row in page], tuple(page[-1][width:]) if page else None


def _run(connection: Connection, statement: Statement) -> Sequence[Row]:
    return connection.exec_driver_sql(*statement).fetchall()
