"""The only place that opens a connection to the source: UTC, read only, bounded, with errors in plain words."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pymysql.constants import CR, ER, FIELD_TYPE
from pymysql.converters import conversions
from pymysql.err import MySQLError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tap_opendental.errors import (
    AccessDeniedError,
    ConfigError,
    DamagedTableError,
    NotFoundError,
    OpenDentalError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# Zero and partial dates, year 1 and times beyond 24 hours have no Python value: the server's own text is kept and
# read on purpose in `types`.
_TEMPORAL = frozenset({FIELD_TYPE.DATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.TIME})
_CONVERSIONS = {key: convert for key, convert in conversions.items() if key not in _TEMPORAL}

# https://mariadb.com/docs/server/reference/error-codes; PyMySQL's list does not have these two.
ER_ACCESS_DENIED_NO_PASSWORD, ER_MUST_CHANGE_PASSWORD = 1698, 1820

# The server ended a statement for its time: max_statement_time of MariaDB, max_execution_time of MySQL.
TIMEOUT_CODES = frozenset({1969, 3024})
# Another try may do: the connection is gone or was killed, the server is going down, the statement was killed or timed
# out, a lock was not granted, the table's definition changed under a snapshot.
TRANSIENT_CODES = TIMEOUT_CODES | {
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    CR.CR_CONN_HOST_ERROR,
    CR.CR_CONNECTION_ERROR,
    ER.SERVER_SHUTDOWN,
    ER.CON_COUNT_ERROR,
    ER.LOCK_WAIT_TIMEOUT,
    ER.LOCK_DEADLOCK,
    ER.QUERY_INTERRUPTED,
    1412,
    1927,
}

# The server, too, must give up a statement that nobody waits for any more. Comments that one flavour executes: MariaDB
# passes over those of MySQL 5.7 and later.
_LIMIT = "/*M!100101 , max_statement_time = {0} */ /*!50708 , max_execution_time = {0}000 */"
_SESSION = (
    # A target that takes its time over a page must not cost the connection: the server ends idle ones.
    # MySQL 8 shows sizes that are a day old, unless told otherwise; MariaDB passes over the comment.
    (
        "SET SESSION time_zone = '+00:00', sql_mode = '', wait_timeout = 86400 "
        "/*!80000 , information_schema_stats_expiry = 0 */ {limit}"
    ),
    "SET SESSION TRANSACTION READ ONLY",
)

_UNREACHABLE = (
    UnreachableError,
    (
        "no answer from a MySQL or MariaDB server at {address.host}:{address.port} (error {code}){where}: "
        "check settings host and port, and that the server runs"
    ),
)
_LOST = (
    UnreachableError,
    (
        "the connection to {address.host}:{address.port} was lost{where} (error {code}): the server went away, "
        "or took longer than read_timeout for one page"
    ),
)
_DENIED = (
    AccessDeniedError,
    (
        "the server at {address.host}:{address.port} refuses user {address.user!r} (error {code}): check settings user "
        "and password, and from which hosts the user may connect"
    ),
)
# Storage engine errors 29 to 145, wrong or missing table files, and tables marked as crashed.
DAMAGED_CODES = (29, 126, 127, 130, 134, 144, 145, 1017, 1033, 1034, 1035, 1194, 1195, 1932)
_DAMAGED = (
    DamagedTableError,
    (
        "table {table} is damaged (MySQL error {code}): have it repaired on the server (CHECK TABLE, REPAIR TABLE), "
        "or leave it out with exclude_tables"
    ),
)
_DENIED_TABLE = (
    AccessDeniedError,
    "user {address.user!r} may not read table {table}: GRANT SELECT on it, or name it in exclude_tables",
)
_MEANINGS: dict[int, tuple[type[OpenDentalError], str]] = {
    ER.ACCESS_DENIED_ERROR: _DENIED,
    ER.HOST_IS_BLOCKED: _DENIED,
    ER.HOST_NOT_PRIVILEGED: _DENIED,
    ER_ACCESS_DENIED_NO_PASSWORD: _DENIED,
    ER_MUST_CHANGE_PASSWORD: _DENIED,
    ER.CON_COUNT_ERROR: (
        UnreachableError,
        "the server at {address.host}:{address.port} has no connection left (max_connections): try again later",
    ),
    ER.DBACCESS_DENIED_ERROR: (
        AccessDeniedError,
        (
            "user {address.user!r} has no right on database {address.database!r}, or it does not exist: check setting "
            "database, or GRANT SELECT ON `{address.database}`.* to the user"
        ),
    ),
    ER.BAD_DB_ERROR: (
        NotFoundError,
        "database {address.database!r} does not exist on {address.host}: check setting database",
    ),
    ER.NO_SUCH_TABLE: (
        NotFoundError,
        "table {table} is gone from database {address.database!r} since discovery: run again",
    ),
    ER.TABLEACCESS_DENIED_ERROR: _DENIED_TABLE,
    ER.COLUMNACCESS_DENIED_ERROR: _DENIED_TABLE,
    **dict.fromkeys(DAMAGED_CODES, _DAMAGED),
    CR.CR_SSL_CONNECTION_ERROR: (
        ConfigError,
        (
            "no encrypted connection to {address.host}:{address.port}: the server offers none; have TLS enabled there, "
            "or unset ssl_ca and ssl_required, which ask for it"
        ),
    ),
    CR.CR_SERVER_LOST: _LOST,
    CR.CR_SERVER_GONE_ERROR: _LOST,
    CR.CR_CONN_HOST_ERROR: _UNREACHABLE,
    CR.CR_CONNECTION_ERROR: _UNREACHABLE,
}


@dataclass(frozen=True)
class Tls:
    """Paths of PEM files; a CA turns verification on, `required` refuses a plain connection."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    required: bool = False


@dataclass(frozen=True)
class SourceAddress:
    """Where the source is and who asks; both timeouts in seconds."""

    host: str
    port: int
    user: str
    password: str
    database: str
    connect_timeout: int = 10
    read_timeout: int = 300
    tls: Tls = Tls()

    @classmethod
    def from_url(cls, url: sa.URL, database: str) -> SourceAddress:
        """The address that an engine connects to, to name it in errors; the password is not taken."""
        return cls(url.host or "localhost", url.port or 3306, url.username or "", "", database)

    def __repr__(self) -> str:
        """Name the address without the password."""
        return f"{self.user}@{self.host}:{self.port}/{self.database}"


def create_source_engine(address: SourceAddress) -> sa.Engine:
    """Return an engine whose every connection is in UTC and read only; it connects on first use.

    Parameters are hidden from SQLAlchemy's errors: they hold row values.
    """
    url = sa.URL.create(
        "mysql+pymysql",
        username=address.user,
        password=address.password,
        host=address.host,
        port=address.port,
        database=address.database,
        query={"charset": "utf8mb4"},
    )
    engine = sa.create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,  # nothing is written, so there is nothing to roll back
        hide_parameters=True,
        connect_args={
            "autocommit": True,
            "connect_timeout": address.connect_timeout,
            "read_timeout": address.read_timeout,
            "conv": _CONVERSIONS,
            "local_infile": False,
            "ssl": ssl_context(address.tls),
        },
    )
    sa.event.listen(engine, "connect", _prepare_session(address))
    return engine


def ssl_context(tls: Tls) -> ssl.SSLContext | None:
    """Build the TLS context; with a CA, chain and host name are verified. ConfigError when a file does not load."""
    if not (tls.ca or tls.cert or tls.required):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not tls.ca:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _load(tls, context)
    return context


def _load(tls: Tls, context: ssl.SSLContext) -> None:
    try:
        if tls.ca:
            context.load_verify_locations(tls.ca)
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        setting = "ssl_ca" if context.cert_store_stats()["x509"] == 0 and tls.ca else "ssl_cert and ssl_key"
        raise ConfigError(f"{setting}: not a readable PEM file ({error.strerror or 'bad certificate'})") from None


def _prepare_session(address: SourceAddress) -> Any:  # noqa: ANN401 - SQLAlchemy's listener signature
    def prepare(dbapi_connection: Any, _record: object) -> None:  # noqa: ANN401
        with dbapi_connection.cursor() as cursor:
            for statement in _SESSION:
                cursor.execute(statement.replace("{limit}", _LIMIT.format(address.read_timeout)))
            if address.tls.required or address.tls.ca:
                _require_cipher(cursor)

    return prepare


def _require_cipher(cursor: Any) -> None:  # noqa: ANN401
    """Refuse a plain connection, should the driver ever give one: with its defaults PyMySQL falls back in silence."""
    cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    row = cursor.fetchone()
    if not row or not row[1]:
        raise ConfigError("ssl_required: the server does not encrypt; enable TLS on the server or unset ssl_required")


@contextmanager
def plain_errors(address: SourceAddress, *, table: str | None = None) -> Iterator[None]:
    """Raise the driver's errors again as one of ours: code and place only, since their text can quote row values."""
    try:
        yield
    except DBAPIError as error:
        raise explain(error.orig, address, table=table) from None
    except MySQLError as error:
        raise explain(error, address, table=table) from None
    except SQLAlchemyError as error:
        where = f" (table {table})" if table else ""
        raise OpenDentalError(f"reading from {address!r}{where} failed: {type(error).__name__}") from None


def explain(error: BaseException | None, address: SourceAddress, *, table: str | None = None) -> OpenDentalError:
    """Say what a driver's error means, by its code: settings named, values left out.

    An error without a code is a connection that broke in mid-answer (packets out of order, a socket that is gone).
    """
    handshake = getattr(error, "original_exception", None)
    if isinstance(handshake, ssl.SSLError) and not isinstance(handshake, ssl.SSLEOFError):
        return _explain_handshake(handshake, address)
    code = error.args[0] if error and error.args and isinstance(error.args[0], int) else 0
    code = code or CR.CR_SERVER_LOST
    where = f" while reading table {table}" if table else ""
    kind, message = _MEANINGS.get(code, (OpenDentalError, "MySQL error {code}{where}"))
    explained = kind(message.format(address=address, table=table, where=where, code=code))
    explained.mysql_code = code
    return explained


def _explain_handshake(error: ssl.SSLError, address: SourceAddress) -> ConfigError:
    """Say why TLS failed, which PyMySQL reports as a host that does not answer.

    OpenSSL's reasons are fixed sentences that name at most the host that was asked for.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConfigError(
            f"the certificate of {address.host}:{address.port} is refused ({error.verify_message.rstrip('.')}): check "
            "settings ssl_ca and host, and that the certificate is of that CA, of today and for that host; if all that "
            "is right, another machine answers in the server's place"
        )
    reason = getattr(error, "reason", None) or "handshake failed"
    return ConfigError(
        f"no encrypted connection to {address.host}:{address.port} ({reason}): the server must speak TLS 1.2 or later; "
        "check settings ssl_ca, ssl_cert and ssl_key"
    )
