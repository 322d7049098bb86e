"""The server's errors in plain words, by number: the server's own text can quote values of rows, and is never shown."""

from __future__ import annotations

import re
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pymysql.constants import CR
from pymysql.err import MySQLError

from target_opendental_replica.errors import (
    AccessDeniedError,
    ConfigError,
    ConflictError,
    IdentifierError,
    NotFoundError,
    ReplicaError,
    StoreError,
    UnreachableError,
    ValueRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_opendental_replica.settings import Address

# https://mariadb.com/docs/server/reference/error-codes
_UNREACHABLE = (
    UnreachableError,
    (
        "no answer from a MySQL or MariaDB server at {at} (error {code}): check settings host and port, and that the "
        "server runs"
    ),
)
_LOST = (UnreachableError, "the connection to {at} was lost{where} (error {code})")
_DENIED = (
    AccessDeniedError,
    (
        "the server at {at} refuses user {user!r} (error {code}): check settings user and password, and from which "
        "hosts the user may connect"
    ),
)
_NO_RIGHT = (
    AccessDeniedError,
    "user {user!r} lacks a right on database {database!r}{where} (error {code}): GRANT ALL ON `{database}`.* to it",
)
_BUSY = (ConflictError, "a deadlock, or a lock that was not free in time{where} (error {code})")
_CONSTRAINT = (
    ValueRefusedError,
    "a row is not what a CHECK constraint asks for{where} (error {code}): drop the constraint, which the source lacks",
)
_READ_ONLY = (
    StoreError,
    "the server at {at} takes no writes{where} (error {code}): it is read-only; name the server that is not",
)
_FULL = (
    StoreError,
    "the server at {at} has no space left{where} (error {code}): make room on its disk, then run again",
)
_PACKET = (
    StoreError,
    "a row is larger than the server at {at} takes{where} (error {code}): raise max_allowed_packet there",
)
_NO_TLS = (
    ConfigError,
    (
        "no encrypted connection to {at}: the server offers none; have TLS enabled there, or unset ssl_ca and "
        "ssl_required, which ask for it"
    ),
)
_NO_NAME = (
    IdentifierError,
    "the server at {at} takes no such name of a table, column or index{where} (error {code}): leave it out",
)
_MEANINGS: dict[int, tuple[type[ReplicaError], str]] = {
    **dict.fromkeys((CR.CR_CONN_HOST_ERROR, CR.CR_CONNECTION_ERROR, 1040, 1203, 1226), _UNREACHABLE),
    # Lost, closed or killed; the server shuts down; the client and the server no longer understand each other.
    **dict.fromkeys((CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 2014, 2055, 1053, 1080, 1152, 1927), _LOST),
    **dict.fromkeys((1158, 1159, 1160, 1161, 1317, 1969, 3024), _LOST),
    **dict.fromkeys((1205, 1213, 1020, 1412, 3572), _BUSY),
    **dict.fromkeys((3819, 4025), _CONSTRAINT),  # MySQL's number, and MariaDB's
    **dict.fromkeys((1045, 1129, 1130, 1698, 1820), _DENIED),
    **dict.fromkeys((1142, 1143, 1227, 1370), _NO_RIGHT),
    1044: (
        AccessDeniedError,
        (
            "user {user!r} has no right on database {database!r}, or it does not exist at {at}: check setting "
            "database, or GRANT ALL ON `{database}`.* to the user"
        ),
    ),
    **dict.fromkeys((1290, 1792, 1836), _READ_ONLY),
    **dict.fromkeys((1021, 1114, 1026, 1041, 1037), _FULL),
    **dict.fromkeys((1153, 1301), _PACKET),
    1049: (NotFoundError, "database {database!r} does not exist at {at}: create it, or check setting database"),
    **dict.fromkeys((1059, 1102, 1103, 1166, 1280), _NO_NAME),
    CR.CR_SSL_CONNECTION_ERROR: _NO_TLS,
}
# "Got error 28 ..." of an engine, "(Errcode: 28 ...)" of the server: the system's number for a full disk.
_NO_SPACE = re.compile(r"(?:error|errno|errcode):? 28\b", re.IGNORECASE)
_ENGINE_CODES = frozenset({1, 3, 1004, 1005, 1030, 1296})


@contextmanager
def plain_errors(address: Address, table: str | None = None) -> Iterator[None]:
    """Raise the driver's errors again as ours: number and place only."""
    try:
        yield
    except MySQLError as error:
        raise explain(error, address, table) from None
    except OSError as error:
        raise UnreachableError(f"the connection to {_at(address)} was lost ({type(error).__name__})") from None


def explain(error: BaseException, address: Address, table: str | None = None) -> ReplicaError:
    """Say what a driver's error means, by its number; `mysql_code` of what is returned is that number.

    An error without a number is a connection that broke in mid-answer (packets out of order, a socket that is gone).
    """
    handshake = getattr(error, "original_exception", None)
    if isinstance(handshake, ssl.SSLError) and not isinstance(handshake, ssl.SSLEOFError):
        return _explain_handshake(handshake, address)
    code = (error.args[0] if error.args and isinstance(error.args[0], int) else 0) or CR.CR_SERVER_LOST
    text = str(error.args[1]) if len(error.args) > 1 else ""
    kind, message = _MEANINGS.get(code, (ReplicaError, "MySQL error {code}{where}"))
    if code in _ENGINE_CODES and _NO_SPACE.search(text):
        kind, message = _FULL
    where = f" (table {table})" if table else ""
    at, user, database = _at(address), address.user, address.database
    explained = kind(message.format(at=at, user=user, database=database, where=where, code=code))
    explained.mysql_code = code  # type: ignore[attr-defined]  # for those who know what to do about a number
    return explained


def code_of(error: ReplicaError) -> int:
    """Return the server's number of an error that `explain` made; 0 for another."""
    return int(getattr(error, "mysql_code", 0))


def _at(address: Address) -> str:
    return f"{address.host}:{address.port}"


def _explain_handshake(error: ssl.SSLError, address: Address) -> ConfigError:
    """Say why TLS failed, which PyMySQL reports as a host that does not answer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConfigError(
            f"the certificate of {_at(address)} is refused ({error.verify_message.rstrip('.')}): check settings ssl_ca "
            "and host, and that the certificate is of that CA, of today and for that host"
        )
    reason = getattr(error, "reason", None) or "handshake failed"
    return ConfigError(
        f"no encrypted connection to {_at(address)} ({reason}): the server must speak TLS 1.2 or later; check settings "
        "ssl_ca, ssl_cert and ssl_key"
    )
