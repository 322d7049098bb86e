"""One connection to the destination: its session, its TLS, and the one file that a server may ever be sent.

LOAD DATA LOCAL lets a server ask for any file of the client, and PyMySQL opens what it is asked for. Here a server gets
the rows of the statement that is running, once, when it asks for exactly the made-up name in it; any other request ends
the connection.
"""

from __future__ import annotations

import secrets
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from pymysql.connections import Connection, MySQLResult
from pymysql.constants import CLIENT, CR
from pymysql.err import OperationalError
from pymysql.protocol import LoadLocalPacketWrapper

from target_opendental_replica.errors import BrokenStreamError, ConfigError, ConflictError, StoreError
from target_opendental_replica.mysql.errors import plain_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_opendental_replica.settings import Settings, Tls

# No strictness: each statement that takes rows is asked for its warnings, and a warning refuses the row (LOAD DATA
# LOCAL knows no strictness anyway). Days such as 2023-02-31 and 2022-11-00, and 0 in an AUTO_INCREMENT column, are
# values. An engine that the server lacks is an error, not another engine.
SQL_MODE = "ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION"
_CHUNK = 262_144
_MOMENT_SECONDS = 1
# By bytes, and not blind to spaces at the end as utf8mb4_bin is: of MariaDB from 10.2 on, of MySQL from 8.0.17 on.
_COLLATIONS = ("utf8mb4_nopad_bin", "utf8mb4_0900_bin")
_PADDED = "utf8mb4_bin"
_FIND_COLLATION = f"SELECT collation_name FROM information_schema.collations WHERE collation_name IN {_COLLATIONS}"
# The server, too, gives up a statement that nobody waits for any more: MariaDB's variable, then that of MySQL.
_LIMIT = "/*M!100101 , max_statement_time = {0} */"
# Off, a table's first TIMESTAMP without a default gets one, and ON UPDATE: it is not the source's table then. Sessions
# may turn it on from MariaDB 10.10 on; MySQL wants a right for that, and has it on since 8.0.
_NO_DEFAULTS = "/*M!101000 , explicit_defaults_for_timestamp = 1 */"


@dataclass(frozen=True)
class Answer:
    """What the server says of a statement; `affected` and `warnings` are its counts, `message` its own words."""

    rows: tuple[tuple[Any, ...], ...]
    affected: int
    warnings: int
    message: str


class Link:
    """A connection whose session is ready. Its errors are ours, and hold no value.

    `identity` is its CONNECTION_ID(), `packet` the server's max_allowed_packet in bytes, `collation` that of tables for
    which it is ours to choose, `may_load` says that LOAD DATA LOCAL is worth trying.
    """

    def __init__(self, settings: Settings) -> None:
        self.address = settings.address
        self._driver = _open(settings)
        self.identity = int(self._driver.thread_id())  # type: ignore[no-untyped-call]
        self.may_load = settings.local_infile
        self._lock_wait = max(settings.lock_wait_seconds, 1)
        try:
            self._prepare()
            self.packet = int(self.run("SELECT @@max_allowed_packet").rows[0][0])
            found = {row[0] for row in self.run(_FIND_COLLATION).rows}
            self.collation = next((each for each in _COLLATIONS if each in found), _PADDED)
        except BaseException:
            self.close()
            raise

    def run(self, sql: str, values: Sequence[object] = (), *, table: str | None = None) -> Answer:
        """Run a statement; `values` take the place of its %s."""
        with plain_errors(self.address, table):
            text = sql % tuple(self._driver.escape(value) for value in values) if values else sql
            self._driver.query(text)
            return _answer(self._driver)

    def alter(self, sql: str, *, table: str) -> Answer:
        """Run a DDL statement on a table that others read; ConflictError where `lock_wait_seconds` are not enough.

        While DDL waits for a transaction that read the table, whoever comes later waits behind it. So it waits a moment
        only, lets them pass for another one, and tries again.
        """
        self.run(f"SET SESSION lock_wait_timeout = {_MOMENT_SECONDS}")
        answer = self._insist(sql, table)
        self.run(f"SET SESSION lock_wait_timeout = {self._lock_wait}")
        return answer

    def _insist(self, sql: str, table: str) -> Answer:
        end: float | None = None
        while True:
            try:
                return self.run(sql, table=table)
            except ConflictError:
                # An ALTER may have worked for long before it asked for the lock.
                end = time.monotonic() + self._lock_wait - _MOMENT_SECONDS if end is None else end
                if time.monotonic() >= end:
                    raise
            time.sleep(_MOMENT_SECONDS)

    def load(self, render: Callable[[str], str], content: BinaryIO, *, table: str | None = None) -> Answer:
        """Run a LOAD DATA LOCAL statement that `render` makes for a file name, and send it the content."""
        name = f"rows-{secrets.token_hex(16)}"
        with plain_errors(self.address, table):
            self._driver.armed = Armed(name, content, min(_CHUNK, self.packet // 2))
            try:
                self._driver.query(render(name))
            finally:
                self._driver.armed = None
            return _answer(self._driver)

    def literal(self, text: str) -> str:
        """Return a text as a quoted SQL string."""
        return str(self._driver.escape(text))

    def commit(self) -> None:
        """Commit."""
        with plain_errors(self.address):
            self._driver.commit()

    def close(self) -> None:
        """Close without a word: what was not committed is rolled back."""
        self._driver.end()

    def _prepare(self) -> None:
        """Make the session ready."""
        wait = self._lock_wait
        limit = _LIMIT.format(self.address.read_timeout)
        self.run(
            f"SET SESSION sql_mode = '{SQL_MODE}', time_zone = '+00:00', lock_wait_timeout = {wait}, "
            f"innodb_lock_wait_timeout = {wait}, wait_timeout = 86400, net_read_timeout = 3600, "
            f"net_write_timeout = 3600, foreign_key_checks = 0 {limit} {_NO_DEFAULTS}"
        )
        if self.address.tls.required or self.address.tls.ca:
            _require_cipher(self.run("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))


@dataclass(frozen=True)
class Armed:
    """The rows that the statement which is running may ask for, and under which name."""

    name: str
    content: BinaryIO
    chunk: int


if TYPE_CHECKING:
    _Connection = Connection[Any]  # generic in PyMySQL's type stubs only
else:
    _Connection = Connection


class _Driver(_Connection):
    """PyMySQL's connection, which sends what is armed and nothing else."""

    armed: Armed | None = None

    def end(self) -> None:
        """Close the socket; PyMySQL's close() would wait for a server that may be gone."""
        self._force_close()  # type: ignore[attr-defined]  # private, so not in PyMySQL's type stubs

    def _read_query_result(self, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002, ARG002 - PyMySQL's signature
        self._result = None
        result = _Result(self)
        result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        return int(result.affected_rows or 0)

    def last(self) -> Any:  # noqa: ANN401 - PyMySQL is untyped
        """Return the result of the last statement."""
        return self._result


class _Result(MySQLResult):
    """PyMySQL's result; the answer to a request for a file is replaced."""

    def _read_load_local_packet(self, first_packet: Any) -> None:  # noqa: ANN401
        driver: Any = self.connection
        asked = LoadLocalPacketWrapper(first_packet).filename.decode(errors="replace")
        armed, driver.armed = driver.armed, None
        if armed is None or asked != armed.name:
            driver._force_close()  # noqa: SLF001 - not another byte to this server
            raise StoreError(
                f"the server at {driver.host}:{driver.port} asked for a file of this machine that no statement named: "
                "nothing was sent, and the connection is closed; another server may be answering in its place"
            )
        try:
            _send(driver, armed)
        except BaseException:
            driver._force_close()  # noqa: SLF001 - an end of the file would make the server keep half of it
            raise
        self._read_ok_packet(driver._read_packet())  # type: ignore[attr-defined]  # noqa: SLF001


def _send(driver: Any, armed: Armed) -> None:  # noqa: ANN401
    """Send the rows. The server takes half a row for a whole one, so that their end is looked at before it is told."""
    quotes, last = 0, b"\n"
    while chunk := _read(armed):
        driver.write_packet(chunk)
        quotes, last = quotes + chunk.count(b'"'), chunk[-1:]
    if quotes % 2 or last != b"\n":
        raise BrokenStreamError("rows end in the middle of one")
    driver.write_packet(b"")


def _read(armed: Armed) -> bytes:
    try:
        return armed.content.read(armed.chunk)
    except OSError as error:
        raise BrokenStreamError(f"a file of rows cannot be read to its end: {error.strerror}") from None


def _open(settings: Settings) -> _Driver:
    address = settings.address
    with plain_errors(address):
        return _Driver(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password.encode(),
            database=address.database,
            charset="utf8mb4",
            collation="utf8mb4_bin",
            connect_timeout=address.connect_timeout,
            read_timeout=address.read_timeout,
            write_timeout=address.read_timeout,
            ssl=ssl_context(address.tls),
            # The ability is announced, and `_Result` decides; PyMySQL's own way of opening files is never on.
            client_flag=CLIENT.LOCAL_FILES if settings.local_infile else 0,
            local_infile=False,
            autocommit=False,
        )


def ssl_context(tls: Tls) -> ssl.SSLContext | None:
    """Build the TLS context; with a CA, chain and host name are verified. ConfigError when a file does not load."""
    if not (tls.ca or tls.cert or tls.required):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not tls.ca:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if tls.ca:
            context.load_verify_locations(tls.ca)
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        setting = "ssl_ca" if tls.ca and not context.cert_store_stats()["x509"] else "ssl_cert and ssl_key"
        raise ConfigError(f"{setting}: not a readable PEM file ({error.strerror or 'bad certificate'})") from None
    return context


def _require_cipher(answer: Answer) -> None:
    """Refuse a plain connection, should the driver ever give one."""
    if not answer.rows or not answer.rows[0][1]:
        raise ConfigError("ssl_required: the server does not encrypt; enable TLS on the server or unset ssl_required")


def _answer(driver: _Driver) -> Answer:
    last = driver.last()
    if last is None:
        raise OperationalError(CR.CR_SERVER_LOST, "")
    message = (last.message or b"").decode(errors="replace")
    return Answer(tuple(last.rows or ()), int(last.affected_rows or 0), int(last.warning_count or 0), message)
