"""SchemaDiscovery: the one place that analyses a source database."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tap_opendental.discovery.introspect import Snapshot, read_snapshot
from tap_opendental.discovery.rules.replication import ReplicationChoice, choose_replication
from tap_opendental.errors import NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tap_opendental.discovery.model import Server, Table, TableSize


class SchemaDiscovery:
    """Facts and choices about every table of one database.

    Nothing is read before the first question; the first question reads the whole schema in four statements, and no
    later one costs a statement.
    """

    def __init__(self, source_engine: Engine, source_db: str) -> None:
        self._engine = source_engine
        self._database = source_db

    @cached_property
    def _snapshot(self) -> Snapshot:
        with self._engine.connect() as connection:
            return read_snapshot(connection, self._database)

    @property
    def server(self) -> Server:
        """The server's version and flavour."""
        return self._snapshot.server

    def discover_all_tables(self) -> tuple[str, ...]:
        """Names of all base tables that the user may see, in the server's order."""
        return tuple(self._snapshot.tables)

    def get_table_schema(self, table: str) -> Table:
        """Structure of one table; NotFoundError if there is none of that name."""
        try:
            return self._snapshot.tables[table]
        except KeyError:
            raise NotFoundError(f"table {table!r} does not exist in database {self._database!r}") from None

    def get_table_size_info(self, table: str) -> TableSize:
        """Rows and bytes of one table; NotFoundError if there is none of that name."""
        self.get_table_schema(table)
        return self._snapshot.sizes[table]

    def get_replication_choice(self, table: str) -> ReplicationChoice:
        """How the rules would read the table, and why."""
        return choose_replication(self.get_table_schema(table))
