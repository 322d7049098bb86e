"""Writing to the practice's database, with every touched row noted in the journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opendental_analyze.sandbox.day.journal import Journal
from opendental_analyze.sandbox.practice.inventions import number
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from random import Random

    from sqlalchemy import Connection, CursorResult

    from opendental_analyze.sandbox.day.live import LiveTable


@dataclass(frozen=True)
class Sql:
    """An expression that the server computes, in the place of a value."""

    text: str


NOW: Final = Sql("NOW()")
TODAY: Final = Sql("CURDATE()")


@dataclass(frozen=True)
class Writer:
    """One connection to one database; rows are chosen by seeded offsets and named by their single-column key."""

    connection: Connection
    database: str
    tables: Mapping[str, LiveTable]
    random: Random
    journal: Journal = field(default_factory=Journal)

    def run(self, statement: str, values: Sequence[Any] = ()) -> CursorResult[Any]:
        """Execute a statement with its parameters."""
        return self.connection.exec_driver_sql(statement, tuple(values))

    def name(self, table: str) -> str:
        """The table's name as SQL."""
        return f"{quote(self.database)}.{quote(table)}"

    def key(self, table: str) -> str:
        """The table's key column as SQL."""
        return quote(self.tables[table].key[0])

    def draw(self, limit: int) -> int:
        """A number from 0 to `limit` - 1; 0 when the limit is."""
        return number(self.random, limit)

    def find(self, table: str, condition: str = "TRUE", values: Sequence[Any] = ()) -> list[int]:
        """The keys of all rows that satisfy a condition, in order."""
        statement = f"SELECT {self.key(table)} FROM {self.name(table)} WHERE {condition} ORDER BY 1"
        return [int(key) for key in self.run(statement, values).scalars()]

    def choose(self, table: str, count: int, condition: str = "TRUE", values: Sequence[Any] = ()) -> list[int]:
        """At most so many neighbouring keys of rows that satisfy a condition, from a seeded offset on."""
        where = f"FROM {self.name(table)} p WHERE {condition}"
        total = self.run(f"SELECT COUNT(*) {where}", values).scalar_one()
        offset = self.draw(max(total - count, 0) + 1)
        statement = f"SELECT {self.key(table)} {where} ORDER BY 1 LIMIT {count} OFFSET {offset}"
        return [int(key) for key in self.run(statement, values).scalars()]

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Insert rows of the same columns in one statement, and so in one second; their keys are returned."""
        if not rows:
            return []
        columns = ", ".join(map(quote, rows[0]))
        lines = ", ".join(f"({', '.join(map(_placeholder, row.values()))})" for row in rows)
        values = [value for row in rows for value in _parameters(row.values())]
        result = self.run(f"INSERT INTO {self.name(table)} ({columns}) VALUES {lines}", values)
        key = self.tables[table].key[0]
        first = int(rows[0].get(key) or result.lastrowid)
        keys = list(range(first, first + len(rows)))
        self.journal.inserted[table].update(keys)
        return keys

    def update(self, table: str, keys: Iterable[int], changes: Mapping[str, Any]) -> None:
        """Change rows as the application does; a self-updating column moves, unless the changes name it."""
        wanted = list(keys)
        if not wanted:
            return
        marks = ", ".join(["%s"] * len(wanted))
        statement = f"UPDATE {self.name(table)} SET {_assignments(changes)} WHERE {self.key(table)} IN ({marks})"
        self.run(statement, [*_parameters(changes.values()), *wanted])
        self.note_update(table, wanted, changes)

    def note_update(self, table: str, keys: Iterable[int], changes: Iterable[str]) -> None:
        """Note that rows were changed by assignments to these columns."""
        stamp = self.tables[table].stamp
        moves = stamp is not None and stamp not in changes
        (self.journal.moved if moves else self.journal.rewritten)[table].update(keys)

    def delete(self, table: str, keys: Iterable[int]) -> None:
        """Delete rows."""
        wanted = list(keys)
        if wanted:
            marks = ", ".join(["%s"] * len(wanted))
            self.run(f"DELETE FROM {self.name(table)} WHERE {self.key(table)} IN ({marks})", wanted)
            self.journal.deleted[table].update(wanted)


def _placeholder(value: object) -> str:
    return value.text if isinstance(value, Sql) else "%s"


def _parameters(values: Iterable[object]) -> list[object]:
    return [value for value in values if not isinstance(value, Sql)]


def _assignments(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{quote(column)} = {_placeholder(value)}" for column, value in changes.items())
