"""The only place that opens a connection to PostgreSQL: UTC, UTF-8, TLS as the settings say, names always qualified."""

from __future__ import annotations

import logging
import ssl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import errors as refusals

from target_opendental_replica.errors import ConfigError, UnreachableError
from target_opendental_replica.postgres.errors import translate_login, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from target_opendental_replica.settings import Address, Settings, Tls

_PROGRAM = "target-opendental-replica"
_MILLISECONDS = 1000
_CHECKS_CLIENTS = 140_000
# Long text is compressed twice as fast as with the default, pglz: 22,600 against 10,500 rows a second on documents
# of 1 to 4 KB. From PostgreSQL 14 on, where the server was built with it; whoever reads needs nothing for it.
_COMPRESS = """
SELECT pg_catalog.set_config(name, 'lz4', false) FROM pg_catalog.pg_settings
WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)
"""
# Seconds that one try of DDL waits for its lock, and that readers have before the next one.
_TRY, _PAUSE = 1, 1
T = TypeVar("T")
# What psycopg has to say of an error that it ignores may quote a row.
logging.getLogger("psycopg").addFilter(lambda _record: False)

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Undo a block that fails, and that alone; psycopg's own `transaction()` commits where it is the outermost."""
    connection.execute("SAVEPOINT _od_attempt")
    try:
        yield
    except psycopg.Error:
        if not connection.closed:
            connection.execute("ROLLBACK TO SAVEPOINT _od_attempt")
            connection.execute("RELEASE SAVEPOINT _od_attempt")
        raise
    connection.execute("RELEASE SAVEPOINT _od_attempt")


def in_turn(connection: Connection, change: Callable[[], T]) -> T:
    """Change a table that others read, in tries for as long as the session waits for a lock (`lock_timeout`).

    Whoever comes behind a statement that waits for readers waits as well, be it for a SELECT: so a try is short, lets
    go of all that it has locked, and is followed by a pause. Raises LockNotAvailable where none had the table.
    """
    query = "SELECT setting::integer / 1000.0 FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'"
    [(patience,)] = connection.execute(query).fetchall()
    until = time.monotonic() + float(patience)
    while True:
        try:
            with savepoint(connection):
                _wait_for_locks(connection, min(_TRY, float(patience)))
                changed = change()
                _wait_for_locks(connection, float(patience))
                return changed
        except refusals.LockNotAvailable:
            if time.monotonic() >= until:
                raise
        time.sleep(_PAUSE)


def _wait_for_locks(connection: Connection, seconds: float) -> None:
    """Set how long statements wait for a lock, until the transaction ends."""
    value = str(round(seconds * _MILLISECONDS))
    connection.execute("SELECT pg_catalog.set_config('lock_timeout', %s, true)", (value,))


def connect(settings: Settings) -> Connection:
    """Open a connection; UnreachableError, AccessDeniedError or NotFoundError say why there is none."""
    address = settings.address
    where = f"PostgreSQL at {address.host}:{address.port}"
    try:
        connection = psycopg.connect(**_arguments(address))
    except psycopg.Error as error:
        raise translate_login(error, where) from None
    try:
        _require_encryption(connection, address.tls, where)
        with translated(where):
            _prepare(connection, settings)
    except BaseException:
        connection.close()
        raise
    return connection


def _arguments(address: Address) -> dict[str, Any]:
    return {
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "dbname": address.database,
        "connect_timeout": address.connect_timeout,
        "application_name": _PROGRAM,
        "client_encoding": "UTF8",
        "gssencmode": "disable",
        "options": "",
        # A server that vanished is noticed within a minute, in the middle of a statement too.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60 * _MILLISECONDS,
        "prepare_threshold": None,  # tables change their columns between two statements
        **_tls_arguments(address.tls),
    }


def check_tls(tls: Tls) -> None:
    """Load the files of the settings; ConfigError names the first that does not load. libpq passes over some."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.ca:
        _try_file("ssl_ca", lambda: context.load_verify_locations(tls.ca))
    if tls.cert and tls.key:
        certificate, key = tls.cert, tls.key
        _try_file("ssl_cert", lambda: context.load_verify_locations(certificate))
        # A key behind a password is refused: nobody is there to be asked for it.
        _try_file("ssl_key", lambda: context.load_cert_chain(certificate, key, password=""))


def _try_file(setting: str, load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        why = "not the key of ssl_cert" if error.reason == "KEY_VALUES_MISMATCH" else "bad content"
        raise ConfigError(f"{setting}: not a readable PEM file ({why})") from None
    except OSError as error:
        raise ConfigError(f"{setting}: not a readable PEM file ({error.strerror})") from None


def _tls_arguments(tls: Tls) -> dict[str, str]:
    check_tls(tls)
    certificate = {"sslcert": tls.cert, "sslkey": tls.key} if tls.cert and tls.key else {}
    if tls.ca:
        return {"sslmode": "verify-full", "sslrootcert": tls.ca, **certificate}
    return {"sslmode": "require" if tls.required else "prefer", **certificate}


def _require_encryption(connection: Connection, tls: Tls, where: str) -> None:
    if (tls.ca or tls.required) and not connection.pgconn.ssl_in_use:
        raise UnreachableError(f"{where}: the connection is not encrypted, which ssl_ca or ssl_required asks for")


def _prepare(connection: Connection, settings: Settings) -> None:
    """Set what results depend on, whatever the role's or the database's own defaults are."""
    values = {
        "timezone": "UTC",
        "datestyle": "ISO, YMD",
        "search_path": "",
        "standard_conforming_strings": "on",
        "client_min_messages": "warning",
        "bytea_output": "hex",
        "lock_timeout": str(max(settings.lock_wait_seconds, 1) * _MILLISECONDS),
        "statement_timeout": str(settings.address.read_timeout * _MILLISECONDS),
        "idle_in_transaction_session_timeout": "0",
        "work_mem": "64MB",  # a merge's hash of one settle's rows fits; the default of 4 MB writes it to disk
        # Rows come in the order of the key, so neighbours share pages: a merge of a few looks them up in a large table.
        "random_page_cost": "1.1",
        "jit": "off",  # compiling the 45 comparisons of a merge costs more than they do
    }
    # The server notices that we are gone within a minute, or sooner in a long statement: it holds our locks till then.
    values |= {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
    if connection.info.server_version >= _CHECKS_CLIENTS:
        values["client_connection_check_interval"] = "2s"
    for name, value in values.items():
        connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
    connection.execute(_COMPRESS)
    connection.commit()
