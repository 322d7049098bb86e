"""The run's one reading connection to the source, and what the tap must know of its server and session."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from tap_opendental.connector import create_source_engine, plain_errors
from tap_opendental.discovery import SchemaDiscovery
from tap_opendental.errors import OpenDentalError, StateError, ValueRefusedError
from tap_opendental.extraction.packets import query_lines
from tap_opendental.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from tap_opendental.connector import SourceAddress
    from tap_opendental.extraction.pages import Row, Statement

# DATETIME columns hold the clinic's wall clock: the server's own zone, not the session's.
_SESSION = (
    "SELECT @@session.time_zone, @@session.max_allowed_packet, @@server_id, @@hostname, DATABASE(), "
    "CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', @@global.time_zone)"
)
# MySQL's server_uuid and MariaDB's server_uid (from 10.5.26 on); older servers have neither. A server that was built
# without MyISAM may not know the third.
_VARIABLES = "SHOW VARIABLES WHERE Variable_name IN ('server_uuid', 'server_uid', 'myisam_use_mmap')"

# ER_WARN_ALLOWED_PACKET_OVERFLOWED, ER_INVALID_CHARACTER_STRING, MariaDB's ER_CANNOT_CONVERT_CHARACTER and MySQL 8's
# ER_CANNOT_CONVERT_STRING: https://mariadb.com/docs/server/reference/error-codes
_NO_CHARACTER = "a column's text holds bytes that its character set does not know; mend the row, or exclude the column"
_REASONS = {
    1301: "a value is longer than the server's max_allowed_packet",
    **dict.fromkeys((1300, 1977, 3854), _NO_CHARACTER),
}
_NOT_UTF8 = (
    "table {table} holds text that is not UTF-8, such as half of a surrogate pair, so the page cannot be read: mend "
    "the row, or exclude the column in tables.yml"
)


class DamagedPageError(ValueRefusedError):
    """The server sent a page with warnings: some value was cut or became NULL on the way."""


@dataclass(frozen=True)
class Session:
    """The reading session: `packet` is max_allowed_packet in bytes, `local` the server's wall clock at its begin.

    `trusts_update_time` is False where MyISAM writes through a memory map: UPDATE_TIME, which is the file's own time,
    then stands still for further changes of a page that the operating system has not yet written back.
    """

    identity: Identity
    packet: int
    local: datetime
    trusts_update_time: bool


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
        """The connection that all streams of the run read from, one after the other; opened anew once it was lost.

        StateError when another server answers then, as behind an address that fails over: a pass would go on there.
        """
        if self._connection is None:
            with plain_errors(self.address):
                self._connection = self._engine.connect()
            self._require_same_server()
        return self._connection

    def _require_same_server(self) -> None:
        known: Session | None = self.__dict__.get("session")
        if known is None or self._read_session().identity == known.identity:
            return
        self.disconnect()
        raise StateError(
            f"another server answers at {self.address.host}:{self.address.port} than at the begin of the run, so "
            "nothing more is read: run again, and see on_foreign_state"
        )

    def fetch(self, statement: Statement, *, table: str | None = None, warned: bool = False) -> Sequence[Row]:
        """Run a SELECT and return all its rows, past SQLAlchemy's row objects; `warned` where a warning may be.

        DamagedPageError when the server had a warning to add: an expression beyond max_allowed_packet is NULL with no
        more than that. The same where text is not UTF-8: the server takes half of a surrogate pair, no decoder does.
        """
        try:
            with plain_errors(self.address, table=table):
                connection: Any = self.connection.connection.driver_connection
                rows, warnings = query_lines(connection, connection.cursor().mogrify(*statement))
                warnings = 0 if warned else warnings
                code = connection.show_warnings()[0][1] if warnings else 0  # its text may quote a value
        except UnicodeDecodeError:
            self.disconnect()  # the rest of the answer is still in it
            raise DamagedPageError(_NOT_UTF8.format(table=table)) from None
        if warnings:
            reason = _REASONS.get(code, f"MySQL warning {code}")
            raise DamagedPageError(
                f"the server warned of {warnings} values while reading table {table}, so the page is not believed: "
                f"{reason}"
            )
        found: Sequence[Row] = rows
        return found

    @cached_property
    def session(self) -> Session:
        """Facts of the server, asked once a run; OpenDentalError when the session is not in UTC."""
        return self._read_session()

    def _read_session(self) -> Session:
        ((zone, packet, number, host, database, local),) = self.fetch((_SESSION, {}))
        if zone != "+00:00":
            raise OpenDentalError(f"the session's time zone is {zone}, not +00:00: timestamps would shift")
        variables = {str(row[0]): str(row[1]) for row in self.fetch((_VARIABLES, {}))}
        server = variables.get("server_uuid") or variables.get("server_uid") or f"server_id {number}"
        return Session(
            Identity(server, host, database),
            int(packet),
            datetime.fromisoformat(str(local)),
            trusts_update_time=variables.get("myisam_use_mmap", "OFF") == "OFF",
        )

    @cached_property
    def discovery(self) -> SchemaDiscovery:
        """The analysis of the source's schema."""
        return SchemaDiscovery(self._engine, self.address.database)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read as of one moment: one transaction on InnoDB, and no more than before on MyISAM."""
        with plain_errors(self.address):
            self.connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        try:
            yield
        finally:
            if self._connection is not None:  # a lost connection has ended it
                with suppress(SQLAlchemyError, OSError):
                    self._connection.exec_driver_sql("COMMIT")

    def disconnect(self) -> None:
        """Close the connection, which may be broken; the next use opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, OSError):
                connection.invalidate()
                connection.close()

    def close(self) -> None:
        """Close the connection, if one was opened."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
