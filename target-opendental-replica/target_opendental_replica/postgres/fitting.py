"""A stream's table made to fit: created, or changed by the steps of `drift`, each told in one line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors as refusals

from target_opendental_replica.postgres import statements
from target_opendental_replica.postgres.catalog import read_table
from target_opendental_replica.postgres.connection import in_turn, savepoint
from target_opendental_replica.postgres.drift import (
    AddColumn,
    AlterType,
    Comment,
    DropColumn,
    RenameColumn,
    ReplaceKey,
    plan_drift,
)
from target_opendental_replica.postgres.views import drop_views

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg.sql import Composed

    from target_opendental_replica.postgres.connection import Connection
    from target_opendental_replica.postgres.drift import Step
    from target_opendental_replica.postgres.model import Table, Wanted


class Fitting:
    """Makes one table fit; all in the transaction that is open, `notify` gets one line for each change."""

    def __init__(
        self, connection: Connection, schema: str, table: str, *, drops_columns: bool, notify: Callable[[str], None]
    ) -> None:
        self._connection, self._schema, self._name = connection, schema, table
        self._table = statements.qualify(schema, table)
        self._drops_columns, self._notify = drops_columns, notify
        self._told: list[str] = []

    def create(self, wanted: Wanted) -> Table:
        """Create the table."""
        self._connection.execute(statements.create_table(self._table, wanted))
        return self._read()

    def fit(self, table: Table, wanted: Wanted) -> Table:
        """Change the table until it takes the stream's rows; return it as it is then."""
        today = datetime.now(UTC).date()
        steps = plan_drift(table, wanted, drops_columns=self._drops_columns, today=today)
        if not steps:
            return table
        in_turn(self._connection, lambda: self._change(table, steps))
        for line in self._told:
            self._notify(line)
        return self._read()

    def _change(self, table: Table, steps: Sequence[Step]) -> None:
        self._told = []
        self._alter_types(table, [step for step in steps if isinstance(step, AlterType)])
        for step in steps:
            self._take(step)

    def _take(self, step: Step) -> None:
        if isinstance(step, AddColumn):
            self._connection.execute(statements.add_columns(self._table, {step.column: step.kind}))
            self._tell(f"column {step.column} added ({step.kind})")
        elif isinstance(step, RenameColumn):
            self._connection.execute(statements.rename_column(self._table, step.column, step.to))
            self._tell(f"column {step.column} renamed to {step.to}")
        elif isinstance(step, DropColumn):
            self._drop(step)
        elif isinstance(step, Comment):
            self._comment(step)
        elif isinstance(step, ReplaceKey):
            self._replace_key(step)

    def _drop(self, step: DropColumn) -> None:
        if self._attempt(statements.drop_column(self._table, step.column), refusals.DependentObjectsStillExist):
            self._tell(f"column {step.column} dropped, as at the source")
        else:
            self._comment(Comment(step.column, step.comment, is_gone=True))

    def _comment(self, step: Comment) -> None:
        self._connection.execute(statements.comment(self._table, step.column, step.comment))
        fate = "is gone at the source, kept and marked" if step.is_gone else "is back at the source"
        self._tell(f"column {step.column} {fate}")

    def _replace_key(self, step: ReplaceKey) -> None:
        if step.constraint:
            self._connection.execute(statements.drop_key(self._table, step.constraint, step.freed))
        if not step.key:
            self._tell("no longer has a primary key")
        elif self._attempt(
            statements.add_key(self._table, step.key), refusals.UniqueViolation, refusals.NotNullViolation
        ):
            self._tell(f"primary key is ({', '.join(step.key)}) now")
        else:
            self._tell(f"primary key ({', '.join(step.key)}) waits for the next whole load: old rows are in its way")

    def _alter_types(self, table: Table, steps: Sequence[AlterType]) -> None:
        if not steps:
            return
        statement = statements.alter_types(self._table, [(step.column, step.old, step.kind) for step in steps])
        if not self._attempt(statement, refusals.FeatureNotSupported):
            views = drop_views(self._connection, table.oid, [step.column for step in steps])
            self._connection.execute(statement)
            for view in views:
                view.restore(self._connection)
                self._tell(f"view {view} dropped for the change of its columns' types, and made again")
        for step in steps:
            self._tell(f"column {step.column} is {step.kind} now, was {step.old}")

    def _attempt(self, statement: Composed, *expected: type[psycopg.Error]) -> bool:
        """Run a statement; False where it fails as expected, and nothing of it stays."""
        try:
            with savepoint(self._connection):
                self._connection.execute(statement)
        except expected:
            return False
        return True

    def _read(self) -> Table:
        table = read_table(self._connection, self._schema, self._name)
        if table is None:
            raise psycopg.errors.UndefinedTable
        return table

    def _tell(self, what: str) -> None:
        self._told.append(f"{self._schema}.{self._name}: {what}")
