"""Where rows go: a table itself, or the temporary table in which they wait for their merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import errors as refusals
from psycopg.sql import Identifier

from target_opendental_replica.errors import BrokenStreamError, NotFoundError
from target_opendental_replica.postgres import statements
from target_opendental_replica.postgres.connection import savepoint
from target_opendental_replica.postgres.errors import translate_copy
from target_opendental_replica.postgres.model import DELETED_AT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import BinaryIO

    from psycopg.sql import Composable, Composed

    from target_opendental_replica.batches import Batch
    from target_opendental_replica.postgres.connection import Connection
    from target_opendental_replica.postgres.model import Wanted

_CHUNK = 262_144


class CutError(Exception):
    """Rows that do not end with a newline."""


class Copying:
    """COPY of one stream's batches."""

    def __init__(self, connection: Connection, stream: str) -> None:
        self._connection, self._stream = connection, stream

    def copy(self, table: Composable, name: str, columns: Iterable[str], batch: Batch) -> None:
        """Load a batch into these columns; `name` is the table's own, for errors."""
        statement = statements.copy(table, columns)
        try:
            with batch.open() as content:
                self._send(statement, content)
        except refusals.UniqueViolation:
            raise
        except CutError:
            raise BrokenStreamError(
                f"stream {self._stream}, {batch.locate(None)}: rows end in the middle of one"
            ) from None
        except psycopg.Error as error:
            raise translate_copy(error, name, batch, self._stream) from None
        except OSError as error:
            raise NotFoundError(
                f"stream {self._stream}, {batch.locate(None)}: its file cannot be read ({error.strerror}): "
                "tap and target must run on one machine"
            ) from None

    def _send(self, statement: Composed, content: BinaryIO) -> None:
        """Send the rows. The server takes a cut number for a whole one, so their end is looked at before it is told."""
        cursor, last = self._connection.cursor(), b""
        with cursor.copy(statement) as copying:
            while chunk := content.read(_CHUNK):
                copying.write(chunk)
                last = chunk[-1:]
            if last != b"\n":
                raise CutError

    def copy_direct(self, table: Composable, name: str, batch: Batch, values: Mapping[str, object]) -> bool:
        """Load a batch into a table itself, which nobody reads; False, and nothing done, where a key is there already.

        The constants `values` are the columns' defaults for as long as that takes, in this transaction only.
        """
        try:
            with savepoint(self._connection):
                if values:
                    self._connection.execute(statements.set_defaults(table, values))
                self.copy(table, name, batch.columns, batch)
                if values:
                    self._connection.execute(statements.drop_defaults(table, values))
        except refusals.UniqueViolation:
            return False
        return True


class Stage:
    """The temporary table of one stream: typed as the stream's properties are, with a number for each row's arrival."""

    def __init__(self, connection: Connection, name: str, wanted: Wanted) -> None:
        self._connection, self._name, self._wanted = connection, name, wanted
        self.table: Composable = Identifier("pg_temp", name)
        self.row = _choose_row(wanted.source)
        self.kinds = wanted.source | wanted.metadata | {DELETED_AT: "timestamp without time zone"}
        self._spare: int | None = None
        self.is_filled = False
        self.has_marks = False

    def take(self, batch: Batch, values: Mapping[str, object], copying: Copying) -> None:
        """Load a batch; a tap's own `_sdc_` columns are read and left, but for the mark of deletion."""
        columns = list(self._name_columns(batch.columns))
        if values:
            self._connection.execute(statements.set_defaults(self.table, values))
        copying.copy(self.table, self._name, columns, batch)
        self.is_filled = True
        self.has_marks |= DELETED_AT in batch.columns

    def keep_last(self) -> None:
        """Leave the last row of each key."""
        self._connection.execute(statements.delete_repeated(self.table, self._wanted.key, self.row))

    def clear(self) -> None:
        """Empty it."""
        self._connection.execute(statements.truncate(self.table))
        self.is_filled = self.has_marks = False

    def drop(self) -> None:
        """Drop it: the next loader of its table makes its own."""
        self._connection.execute(statements.drop_table(self.table))

    def _name_columns(self, columns: Iterable[str]) -> Iterable[str]:
        self._create()
        spare = 0
        for name in columns:
            if name in self._wanted.source or name == DELETED_AT:
                yield name
            else:
                yield self._spare_column(spare)
                spare += 1

    def _spare_column(self, number: int) -> str:
        name = f"{self.row}{number}"
        if self._spare is None or number >= self._spare:
            self._connection.execute(statements.add_columns(self.table, {name: "text"}))
            self._spare = number + 1
        return name

    def _create(self) -> None:
        if self._spare is None:
            self._connection.execute(statements.drop_table(self.table))
            create = statements.create_stage(self._name, self.row, self.kinds, self._wanted.key)
            self._connection.execute(create)
            self._spare = 0


def _choose_row(names: Iterable[str]) -> str:
    row = "_od_row"
    while any(name.startswith(row) for name in names):
        row += "_"
    return row
