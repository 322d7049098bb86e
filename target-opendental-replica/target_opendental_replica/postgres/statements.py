"""SQL text, composed of identifiers and literals: nothing of a stream ever becomes SQL by itself (pure).

Values are literals that psycopg writes, since DEFAULT and COMMENT take no parameters; rows travel by COPY alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from target_opendental_replica.postgres.model import DELETED_AT
from target_opendental_replica.postgres.types import (
    BOOLEAN,
    DATE,
    FLOATS,
    INTEGERS,
    NUMERIC,
    TEXT,
    TIME,
    TIMESTAMP,
    UUID,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from target_opendental_replica.postgres.model import Wanted

# Types whose equal values are the same bytes: 1.0 and 1.00 are equal numbers, and not the same.
_BITWISE = frozenset({*INTEGERS, BOOLEAN, DATE, TIMESTAMP, TIME, UUID})
_ORDERED = frozenset({*INTEGERS, DATE, TIMESTAMP})


def qualify(schema: str, table: str) -> Composed:
    """A table with its schema."""
    return Composed([Identifier(schema, table)])


def list_names(names: Iterable[str]) -> Composed:
    """Quoted names, joined by commas."""
    return SQL(", ").join(map(Identifier, names))


def convert(value: Composable, old: str, kind: str) -> Composable:
    """An expression of one type as another that holds all its values (`types.unify`)."""
    if old == kind:
        return value
    if old == BOOLEAN and kind != "text":
        return SQL("{}::integer::{}").format(value, SQL(kind))
    if old in FLOATS and kind == NUMERIC:  # a double becomes numeric with 15 digits, text has all 17
        return SQL("{}::text::numeric").format(value)
    return SQL("{}::{}").format(value, SQL(kind))


# --- tables -----------------------------------------------------------------------------------------------------------


def create_table(table: Composable, wanted: Wanted) -> Composed:
    """Create a stream's table as stock does."""
    parts: list[Composable] = [_define(name, kind) for name, kind in wanted.kinds.items()]
    if wanted.key:
        parts.append(SQL("PRIMARY KEY ({})").format(list_names(wanted.key)))
    return SQL("CREATE TABLE {} ({})").format(table, SQL(", ").join(parts))


def create_like(table: Composable, model: Composable, key: Sequence[str]) -> Composed:
    """Create a table of the same columns, in the same order, with this primary key."""
    primary = SQL(", PRIMARY KEY ({})").format(list_names(key)) if key else SQL("")
    return SQL("CREATE TABLE {} (LIKE {}{})").format(table, model, primary)


def create_stage(table: str, row: str, kinds: Mapping[str, str], key: Iterable[str]) -> Composed:
    """Create the temporary table of rows that wait for their merge; `row` numbers them as they arrive."""
    required = frozenset(key)
    parts = [SQL("{} bigint GENERATED ALWAYS AS IDENTITY (CACHE 1000)").format(Identifier(row))]
    parts += [_define(name, f"{kind} NOT NULL" if name in required else kind) for name, kind in kinds.items()]
    return SQL("CREATE TEMPORARY TABLE {} ({})").format(Identifier(table), SQL(", ").join(parts))


def _define(name: str, kind: str) -> Composed:
    return SQL("{} {}").format(Identifier(name), SQL(kind))


def drop_table(table: Composable) -> Composed:
    """Drop a table of our own."""
    return SQL("DROP TABLE IF EXISTS {}").format(table)


def truncate(table: Composable) -> Composed:
    """Empty a table of our own."""
    return SQL("TRUNCATE {}").format(table)


def add_columns(table: Composable, kinds: Mapping[str, str]) -> Composed:
    """Add columns."""
    parts = [SQL("ADD COLUMN {}").format(_define(name, kind)) for name, kind in kinds.items()]
    return SQL("ALTER TABLE {} {}").format(table, SQL(", ").join(parts))


def alter_types(table: Composable, changes: Iterable[tuple[str, str, str]]) -> Composed:
    """Change the types of columns, all in one go; each change is a name, its old type and its new one."""
    parts = [
        SQL("ALTER COLUMN {0} TYPE {1} USING {2}").format(
            Identifier(name), SQL(kind), convert(Identifier(name), old, kind)
        )
        for name, old, kind in changes
    ]
    return SQL("ALTER TABLE {} {}").format(table, SQL(", ").join(parts))


def rename_column(table: Composable, column: str, to: str) -> Composed:
    """Rename a column; views on it keep their own names."""
    return SQL("ALTER TABLE {} RENAME COLUMN {} TO {}").format(table, Identifier(column), Identifier(to))


def drop_column(table: Composable, column: str) -> Composed:
    """Drop a column; an error where a view uses it."""
    return SQL("ALTER TABLE {} DROP COLUMN {}").format(table, Identifier(column))


def comment(table: Composable, column: str, text: str | None) -> Composed:
    """Set or remove a column's comment."""
    return SQL("COMMENT ON COLUMN {}.{} IS {}").format(table, Identifier(column), Literal(text))


def drop_key(table: Composable, constraint: str, freed: Iterable[str]) -> Composed:
    """Drop the primary key; its columns may be NULL again."""
    parts = [SQL("DROP CONSTRAINT {}").format(Identifier(constraint))]
    parts += [SQL("ALTER COLUMN {} DROP NOT NULL").format(Identifier(name)) for name in freed]
    return SQL("ALTER TABLE {} {}").format(table, SQL(", ").join(parts))


def add_key(table: Composable, key: Iterable[str]) -> Composed:
    """Add the primary key; an error where rows are in its way."""
    return SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(table, list_names(key))


# --- rows -------------------------------------------------------------------------------------------------------------


def copy(table: Composable, columns: Iterable[str]) -> Composed:
    """Load CSV, whose first line is skipped."""
    return SQL("COPY {} ({}) FROM STDIN (FORMAT csv, NULL 'NULL', HEADER)").format(table, list_names(columns))


def set_defaults(table: Composable, values: Mapping[str, object]) -> Composed:
    """Give columns constants, for what COPY does not bring."""
    parts = [
        SQL("ALTER COLUMN {} SET DEFAULT {}").format(Identifier(name), Literal(value)) for name, value in values.items()
    ]
    return SQL("ALTER TABLE {} {}").format(table, SQL(", ").join(parts))


def drop_defaults(table: Composable, columns: Iterable[str]) -> Composed:
    """Take the constants away."""
    parts = [SQL("ALTER COLUMN {} DROP DEFAULT").format(Identifier(name)) for name in columns]
    return SQL("ALTER TABLE {} {}").format(table, SQL(", ").join(parts))


def delete_repeated(stage: Composable, key: Iterable[str], row: str) -> Composed:
    """Leave the last row of each key; costs one hash aggregate where no key comes twice."""
    names = list(key)
    last = SQL("SELECT {0}, max({1}) AS last FROM {2} GROUP BY {0} HAVING count(*) > 1").format(
        list_names(names), Identifier(row), stage
    )
    return SQL("DELETE FROM {} AS t USING ({}) AS s WHERE {} AND t.{} < s.last").format(
        stage, last, _same_key(names), Identifier(row)
    )


class Merge:
    """Statements that bring the rows of one table, `origin`, into another, by key.

    `kinds` and `origin_kinds` are the types of both; `source` are the columns that say whether a row differs, compared
    as they are stored, byte by byte: text without collation, numbers with their digits. `metadata` goes along.
    """

    def __init__(
        self,
        table: Composable,
        origin: Composable,
        *,
        source: Sequence[str],
        metadata: Sequence[str],
        key: Sequence[str],
        kinds: Mapping[str, str],
        origin_kinds: Mapping[str, str],
    ) -> None:
        self.table, self.origin = table, origin
        self.source, self.metadata, self.key = tuple(source), tuple(metadata), tuple(key)
        self.kinds, self.origin_kinds = kinds, origin_kinds

    @property
    def marks(self) -> bool:
        """True where rows can be marked as deleted."""
        return DELETED_AT in self.metadata

    def delete_marked(self) -> Composed:
        """Delete the rows that the origin has with a mark."""
        return SQL("DELETE FROM {} AS t USING {} AS s WHERE {} AND s.{} IS NOT NULL").format(
            self.table, self.origin, self._same(), Identifier(DELETED_AT)
        )

    def mark_marked(self) -> Composed:
        """Mark the rows that the origin has with a mark."""
        return SQL(
            "UPDATE {0} AS t SET {3} = s.{3} FROM {1} AS s WHERE {2} AND s.{3} IS NOT NULL AND t.{3} IS NULL"
        ).format(self.table, self.origin, self._same(), Identifier(DELETED_AT))

    def forget_marked(self) -> Composed:
        """Take the rows with a mark out of the origin."""
        return SQL("DELETE FROM {} WHERE {} IS NOT NULL").format(self.origin, Identifier(DELETED_AT))

    def update(self) -> Composed:
        """Update the rows that differ, or that were marked and are back."""
        names = (*self.source, *self.metadata)
        assigned = SQL(", ").join(SQL("{} = {}").format(Identifier(name), self._value(name)) for name in names)
        return SQL("UPDATE {} AS t SET {} FROM {} AS s WHERE {} AND ({})").format(
            self.table, assigned, self.origin, self._same(), SQL(" OR ").join(self._differences())
        )

    def insert(self) -> Composed:
        """Insert the rows whose key is new; before the update, which leaves two of each row for this to look at."""
        return SQL("{} WHERE NOT EXISTS (SELECT FROM {} AS t WHERE {})").format(self.append(), self.table, self._same())

    @property
    def is_ordered(self) -> bool:
        """True where `is_apart` can be asked: the key is one column of numbers or moments, alike in both."""
        kinds = {self.kinds[name] for name in self.key} | {self.origin_kinds[name] for name in self.key}
        return len(self.key) == len(kinds) == 1 and kinds <= _ORDERED

    def is_apart(self) -> Composed:
        """Ask whether all keys of the origin lie where the table has none, which its index knows at once."""
        bounds = SQL("t.{0} BETWEEN (SELECT min({0}) FROM {1}) AND (SELECT max({0}) FROM {1})")
        return SQL("SELECT NOT EXISTS (SELECT FROM {} AS t WHERE {})").format(
            self.table, bounds.format(Identifier(self.key[0]), self.origin)
        )

    def append(self) -> Composed:
        """Insert all rows."""
        names = (*self.source, *self.metadata)
        return SQL("INSERT INTO {} ({}) SELECT {} FROM {} AS s").format(
            self.table, list_names(names), SQL(", ").join(map(self._value, names)), self.origin
        )

    def delete_gone(self) -> Composed:
        """Delete the rows that the origin lacks."""
        return SQL("DELETE FROM {} AS t WHERE {}").format(self.table, self._gone())

    def mark_gone(self) -> Composed:
        """Mark the rows that the origin lacks."""
        return SQL("{} AND {}").format(mark_all(self.table), self._gone())

    def _differences(self) -> Iterator[Composed]:
        """Conditions of which one holds where a row differs: cheap ones first, then images of what compares loosely."""
        loose = []
        for name in self.source:
            kind, ours, theirs = self.kinds[name], SQL("t.{}").format(Identifier(name)), self._value(name)
            if kind == TEXT:
                yield SQL('{} COLLATE "C" IS DISTINCT FROM {}').format(ours, theirs)
            elif kind in _BITWISE:
                yield SQL("{} IS DISTINCT FROM {}").format(ours, theirs)
            else:
                loose.append((ours, theirs))
        if loose:
            yield SQL("ROW({})::record OPERATOR(pg_catalog.*<>) ROW({})::record").format(
                *(SQL(", ").join(side) for side in zip(*loose, strict=True))
            )
        if self.marks:
            yield SQL("t.{} IS NOT NULL").format(Identifier(DELETED_AT))

    def _gone(self) -> Composed:
        return SQL("NOT EXISTS (SELECT FROM {} AS s WHERE {})").format(self.origin, self._same())

    def _same(self) -> Composed:
        return SQL(" AND ").join(SQL("t.{} = {}").format(Identifier(name), self._value(name)) for name in self.key)

    def _value(self, name: str) -> Composable:
        return convert(SQL("s.{}").format(Identifier(name)), self.origin_kinds[name], self.kinds[name])


def delete_all(table: Composable) -> Composed:
    """Delete all rows: TRUNCATE would show an empty table to readers that have begun."""
    return SQL("DELETE FROM {} AS t").format(table)


def mark_all(table: Composable) -> Composed:
    """Mark all rows as deleted, in UTC."""
    return SQL("UPDATE {0} AS t SET {1} = pg_catalog.now() AT TIME ZONE 'UTC' WHERE t.{1} IS NULL").format(
        table, Identifier(DELETED_AT)
    )


def count(table: Composable) -> Composed:
    """Count the rows."""
    return SQL("SELECT count(*) FROM {}").format(table)


def is_filled(table: Composable) -> Composed:
    """Ask whether there is a row."""
    return SQL("SELECT EXISTS (SELECT FROM {})").format(table)


def is_empty(table: Composable) -> Composed:
    """Ask whether there is no row."""
    return SQL("SELECT NOT EXISTS (SELECT FROM {})").format(table)


def _same_key(names: Iterable[str]) -> Composed:
    return SQL(" AND ").join(SQL("t.{0} = s.{0}").format(Identifier(name)) for name in names)
