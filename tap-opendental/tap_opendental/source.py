"""The run's one reading connection to the source."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tap_opendental.connector import create_source_engine, plain_errors
from tap_opendental.discovery import SchemaDiscovery

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from tap_opendental.connector import SourceAddress

_UTC_NOW = "SELECT UTC_TIMESTAMP()"
# DATETIME columns hold the clinic's wall clock: the server's own zone, not the session's.
_LOCAL_NOW = "SELECT CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', @@global.time_zone)"


class Source:
    """Address, connection and discovery of one source; connects on first use."""

    def __init__(self, address: SourceAddress) -> None:
        self.address = address
        self._connection: Connection | None = None

    @cached_property
    def _engine(self) -> Engine:
        return create_source_engine(self.address)

    @property
    def connection(self) -> Connection:
        """The connection that all streams of the run read from, one after the other."""
        if self._connection is None:
            with plain_errors(self.address):
                self._connection = self._engine.connect()
        return self._connection

    def reconnect(self) -> None:
        """Open another connection in the place of one that was lost; UnreachableError when nobody answers."""
        self.close()
        _ = self.connection

    @cached_property
    def discovery(self) -> SchemaDiscovery:
        """The analysis of the source's schema."""
        return SchemaDiscovery(self._engine, self.address.database)

    def now(self, *, local: bool) -> str:
        """The server's clock as ISO 8601 text: UTC with its offset, or the server's wall clock without one."""
        clock = str(self.connection.exec_driver_sql(_LOCAL_NOW if local else _UTC_NOW).scalar_one())
        return clock.replace(" ", "T") + ("" if local else "+00:00")

    def close(self) -> None:
        """Close the connection, if one was opened."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
