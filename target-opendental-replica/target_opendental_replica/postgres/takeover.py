"""A version that is whole becomes the table.

In place, by difference: views, grants and indexes of dbt and of others hang on the table itself, and would stay on the
old one when another is renamed into its place. Only a table without a row, on which nothing hangs, is replaced by
renaming, which spares writing the first load twice. Readers see the old rows or the new ones: all is one transaction.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from psycopg import errors as refusals
from psycopg.sql import SQL, Identifier

from target_opendental_replica.postgres import statements
from target_opendental_replica.postgres.catalog import can_replace, read_table
from target_opendental_replica.postgres.connection import in_turn
from target_opendental_replica.warehouse import Counts

if TYPE_CHECKING:
    from psycopg.sql import Composed

    from target_opendental_replica.postgres.connection import Connection
    from target_opendental_replica.postgres.loader import Destination, Stream


class Takeover:
    """Brings the rows that were gathered into a stream's table, which may be locked from then on: to be committed."""

    def __init__(self, connection: Connection, stream: Stream, table: Destination) -> None:
        self._connection, self._stream, self._table = connection, stream, table

    def take(self, gathered: Destination | None) -> Counts:
        """Make these rows the table's; without any, it has none from now on (or only marked ones)."""
        if gathered is None:
            return Counts(deleted=self._clear())
        [(is_filled,)] = self._connection.execute(statements.is_filled(self._table.quoted)).fetchall()
        if not is_filled and can_replace(self._connection, self._table.facts.oid, gathered.facts.oid):
            with suppress(refusals.LockNotAvailable):  # someone has read the table, and stays
                return self._rename(gathered)
        merge = self._merge_from(gathered)
        if not merge.key or not self._table.facts.key:
            return self._replace(merge)
        return self._merge(merge) if is_filled else Counts(inserted=self._run(merge.append()))

    def _clear(self) -> int:
        all_rows = statements.delete_all if self._stream.hard_delete else statements.mark_all
        return self._run(all_rows(self._table.quoted))

    def _replace(self, merge: statements.Merge) -> Counts:
        """Replace all rows, for want of a key; then a key that waited for that can be had."""
        deleted = self._clear()
        inserted = self._run(merge.append())
        if merge.key:
            self._add_key()
        return Counts(inserted=inserted, deleted=deleted)

    def _merge(self, merge: statements.Merge) -> Counts:
        self._run(SQL("ANALYZE {}").format(merge.origin))
        deleted = self._run(merge.delete_gone() if self._stream.hard_delete else merge.mark_gone())
        inserted, updated = self._run(merge.insert()), self._run(merge.update())
        [(rows,)] = self._connection.execute(statements.count(merge.origin)).fetchall()
        return Counts(inserted, updated, rows - updated - inserted, deleted)

    def _add_key(self) -> None:
        """Marked rows of before may still be in its way; then it waits on."""
        try:
            in_turn(
                self._connection, lambda: self._run(statements.add_key(self._table.quoted, self._stream.wanted.key))
            )
        except (refusals.UniqueViolation, refusals.NotNullViolation):
            return
        self._read_table()

    def _rename(self, gathered: Destination) -> Counts:
        """Put the gathered table in the place of the empty one, which readers hold up and are held up by."""
        [(rows,)] = self._connection.execute(statements.count(gathered.quoted)).fetchall()
        in_turn(self._connection, lambda: self._put_in_place(gathered))
        self._read_table()
        return Counts(inserted=rows)

    def _put_in_place(self, gathered: Destination) -> None:
        self._run(SQL("DROP TABLE {}").format(self._table.quoted))
        self._run(SQL("ALTER TABLE {} RENAME TO {}").format(gathered.quoted, Identifier(self._table.name)))
        before, after = self._table.facts.constraint, gathered.facts.constraint
        if before and after:
            statement = SQL("ALTER TABLE {} RENAME CONSTRAINT {} TO {}")
            self._run(statement.format(self._table.quoted, Identifier(after), Identifier(before)))

    def _read_table(self) -> None:
        found = read_table(self._connection, self._stream.schema, self._table.name)
        if found is not None:
            self._table.facts = found

    def _merge_from(self, gathered: Destination) -> statements.Merge:
        wanted = self._stream.wanted
        return statements.Merge(
            self._table.quoted,
            gathered.quoted,
            source=tuple(wanted.source),
            metadata=tuple(wanted.metadata),
            key=wanted.key,
            kinds=self._table.facts.kinds,
            origin_kinds=gathered.facts.kinds,
        )

    def _run(self, statement: Composed) -> int:
        return self._connection.execute(statement).rowcount
