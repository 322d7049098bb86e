"""Source and replica, table by table: structure, count, and every row by ranges of the key.

The full `opendental verify` is to be built on this.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opendental_analyze.verify.digests import render_row_digest, render_sum
from tap_opendental.connector import SourceAddress, plain_errors
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from tap_opendental.discovery import SchemaDiscovery
    from tap_opendental.discovery.knowledge import Knowledge
    from tap_opendental.discovery.model import Table

Key = tuple[Any, ...]

# Rows whose digests are summed up by one statement: a quarter of a second on 45 columns, so that MyISAM keeps no writer
# of the source waiting for longer.
_RANGE_ROWS = 20_000


@dataclass(frozen=True)
class Side:
    """A database as one side of a comparison."""

    engine: Engine
    discovery: SchemaDiscovery
    database: str

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection whose clock is UTC and whose text is not converted; errors quote no row.

        Each statement is a transaction of its own: one over all tables would hold up whoever alters one that is done,
        keep InnoDB's old rows for as long as it lasts, and compare the last table with the rows of hours ago.
        """
        address = SourceAddress.from_url(self.engine.url, self.database)
        engine = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        with plain_errors(address), engine.connect() as connection:
            connection.exec_driver_sql("SET time_zone = '+00:00'")
            yield connection


@dataclass(frozen=True)
class TableComparison:
    """What differs in a table: keys of rows that only the source has (`lost`), only the replica (`extra`), or both.

    `left_out` are the columns that were not compared: secrets, which the replica has empty. Of a table without a key,
    only `counts` (source, replica) and `is_equal` are known.
    """

    table: str
    same_structure: bool
    counts: tuple[int, int]
    lost: tuple[Key, ...] = ()
    extra: tuple[Key, ...] = ()
    different: tuple[Key, ...] = ()
    left_out: tuple[str, ...] = ()
    is_missing: bool = False
    digests_differ: bool = False

    @property
    def is_equal(self) -> bool:
        """True when structure and every row are the same."""
        rows = self.lost or self.extra or self.different
        return self.same_structure and not (rows or self.is_missing or self.digests_differ)


def compare_all(
    source: Side, replica: Side, *, tables: Collection[str], knowledge: Knowledge | None = None
) -> list[TableComparison]:
    """Compare tables of the source with those of the replica, one after the other."""
    known = load_knowledge() if knowledge is None else knowledge
    with source.connect() as left, replica.connect() as right:
        sides = _Sides(source.discovery, replica.discovery, left, right)
        return [_compare(sides, table, known) for table in tables]


@dataclass(frozen=True)
class _Sides:
    """Both sides while they are compared: source left, replica right."""

    source: SchemaDiscovery
    replica: SchemaDiscovery
    left: Connection
    right: Connection


def _compare(sides: _Sides, name: str, known: Knowledge) -> TableComparison:
    table = sides.source.get_table_schema(name)
    if name not in sides.replica.discover_all_tables():
        return TableComparison(name, same_structure=False, counts=(_count(sides.left, table), 0), is_missing=True)
    there = sides.replica.get_table_schema(name)
    left_out = tuple(column for column in table.column_names if known.is_secret(name, column))
    compared = [c for c in table.columns if c.name not in left_out and c.name in there.column_names]
    digest = render_row_digest(compared)
    same = there.schema_hash == table.schema_hash
    counts = (_count(sides.left, table), _count(sides.right, table))
    if not table.primary_key:
        differs = _sum(sides.left, table, digest) != _sum(sides.right, table, digest)
        return TableComparison(name, same, counts, left_out=left_out, digests_differ=differs)
    lost, extra, different = _compare_rows(sides.left, sides.right, table, digest)
    return TableComparison(name, same, counts, lost, extra, different, left_out)


def _compare_rows(
    left: Connection, right: Connection, table: Table, digest: str
) -> tuple[tuple[Key, ...], tuple[Key, ...], tuple[Key, ...]]:
    """Keys of rows that are lost, extra and different, read one by one only where a range's sums differ."""
    lost: list[Key] = []
    extra: list[Key] = []
    different: list[Key] = []
    for begin, end in _ranges(left, table):
        if _sum(left, table, digest, begin, end) == _sum(right, table, digest, begin, end):
            continue
        ours, theirs = (_read(side, table, digest, begin, end) for side in (left, right))
        lost += ours.keys() - theirs.keys()
        extra += theirs.keys() - ours.keys()
        different += [key for key in ours.keys() & theirs.keys() if ours[key] != theirs[key]]
    return tuple(sorted(lost)), tuple(sorted(extra)), tuple(sorted(different))


def _ranges(connection: Connection, table: Table) -> Iterator[tuple[Key | None, Key | None]]:
    """Ranges of the source's keys, each (begin, end]; the first and the last are open, for keys of the replica only."""
    names = ", ".join(map(quote, table.primary_key))
    begin: Key | None = None
    while True:
        condition, values = _between(table.primary_key, begin, None)
        row = connection.exec_driver_sql(
            f"SELECT {names} FROM {quote(table.name)} WHERE {condition} ORDER BY {names} LIMIT {_RANGE_ROWS - 1}, 1",
            values,
        ).one_or_none()
        end = None if row is None else tuple(row)
        yield begin, end
        if end is None:
            return
        begin = end


def _count(connection: Connection, table: Table) -> int:
    return int(connection.exec_driver_sql(f"SELECT COUNT(*) FROM {quote(table.name)}").scalar_one())


def _sum(
    connection: Connection, table: Table, digest: str, begin: Key | None = None, end: Key | None = None
) -> tuple[int, ...]:
    condition, values = _between(table.primary_key, begin, end)
    statement = f"SELECT {render_sum(digest)} FROM {quote(table.name)} WHERE {condition}"
    return tuple(int(number) for number in connection.exec_driver_sql(statement, values).one())


def _read(connection: Connection, table: Table, digest: str, begin: Key | None, end: Key | None) -> Mapping[Key, str]:
    condition, values = _between(table.primary_key, begin, end)
    names = ", ".join(map(quote, table.primary_key))
    statement = f"SELECT {names}, {digest} FROM {quote(table.name)} WHERE {condition}"
    return {tuple(row[:-1]): row[-1] for row in connection.exec_driver_sql(statement, values)}


def _between(key: Sequence[str], begin: Key | None, end: Key | None) -> tuple[str, dict[str, Any]]:
    """The condition of a range, spelled out, since servers use no index for `(a, b) > (x, y)`."""
    parts: list[str] = []
    values: dict[str, Any] = {}
    if begin is not None:
        parts.append(_beyond(key, begin, "begin", values))
    if end is not None:
        parts.append(f"NOT {_beyond(key, end, 'end', values)}")
    return " AND ".join(parts) or "TRUE", values


def _beyond(key: Sequence[str], place: Key, name: str, values: dict[str, Any]) -> str:
    values |= {f"{name}{number}": value for number, value in enumerate(place)}
    terms = []
    for number in range(len(key)):
        equal = [f"{quote(key[other])} = %({name}{other})s" for other in range(number)]
        terms.append(" AND ".join([*equal, f"{quote(key[number])} > %({name}{number})s"]))
    return f"({' OR '.join(f'({term})' for term in terms)})"
