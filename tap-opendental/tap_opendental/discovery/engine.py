"""SchemaDiscovery: the one place that analyses a source database."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tap_opendental.discovery.introspect import Snapshot, read_snapshot
from tap_opendental.discovery.rules.replication import ReplicationChoice, choose_replication
from tap_opendental.errors import DamagedTableError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        """Names of all base tables that the user may see, damaged ones too, in the server's order."""
        return tuple(self._snapshot.tables)

    def require_readable(self, tables: Iterable[str]) -> None:
        """Raise DamagedTableError when the server cannot open some of `tables`: names them, and the way to repair."""
        damaged = {table: self._snapshot.unreadable[table] for table in tables if table in self._snapshot.unreadable}
        if damaged:
            names = ", ".join(f"`{table.replace('`', '``')}`" for table in damaged)
            raise DamagedTableError(
                f"the server cannot open {'; '.join(f'table {table} ({why})' for table, why in damaged.items())}: "
                f"after a backup of its data directory run CHECK TABLE {names}; REPAIR TABLE {names}; (with USE_FRM if "
                "the index file is lost), or name them in exclude_tables to go on without"
            )

    def get_table_schema(self, table: str) -> Table:
        """Structure of one table; NotFoundError if there is none of that name, DamagedTableError if it is damaged."""
        self.require_readable([table])
        try:
            return self._snapshot.tables[table]
        except KeyError:
            raise NotFoundError(f"table {table!r} does not exist in database {self._database!r}") from None

    def get_table_size_info(self, table: str) -> TableSize:
        """Rows and bytes of one table; raises what `get_table_schema` raises."""
        self.get_table_schema(table)
        return self._snapshot.sizes[table]

    def get_replication_choice(self, table: str) -> ReplicationChoice:
        """How the rules would read the table, and why."""
        return choose_replication(self.get_table_schema(table))
