"""PostgreSQL's errors as ours: SQLSTATE, table and column, and never a value or the server's own words on a row."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from target_opendental_replica.errors import (
    AccessDeniedError,
    BrokenStreamError,
    ConfigError,
    ConflictError,
    NotFoundError,
    ReplicaError,
    SchemaRefusedError,
    StoreError,
    UnreachableError,
    ValueRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from target_opendental_replica.batches import Batch

UNIQUE_VIOLATION, LOCK_NOT_AVAILABLE = "23505", "55P03"
_CANCELED = "57014"
_BROKEN_CSV = "22P04"
# The server's words on a login that failed come without a SQLSTATE (libpq keeps it to itself).
_LOGINS: tuple[tuple[str, type[ReplicaError], str], ...] = (
    (
        r"authentication failed|no pg_hba\.conf entry|role .* (does not exist|is not permitted)",
        AccessDeniedError,
        "the server refused the login: check user, password and pg_hba.conf",
    ),
    (
        r"permission denied for database",
        AccessDeniedError,
        "the user may not connect to the database: GRANT CONNECT on it",
    ),
    (
        r"database .* does not exist",
        NotFoundError,
        "the database is not there: create it, or correct the setting database",
    ),
    (
        r"private key file",
        ConfigError,
        "the file of ssl_key is refused, since others may read it: chmod 600, and owned by the user of this run",
    ),
    (
        r"certificate|SSL",
        UnreachableError,
        "no encrypted connection: check ssl_ca, ssl_cert and the server's own",
    ),
)
_NOT_MADE: tuple[type[ReplicaError], str] = (
    UnreachableError,
    "no connection: check host, port and that the server runs",
)

# By SQLSTATE, or by its class of two letters (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_KINDS: dict[str, tuple[type[ReplicaError], str]] = {
    "08": (UnreachableError, "the connection was lost"),
    "57P01": (UnreachableError, "the server is shutting down, or an administrator ended the connection"),
    "57P02": (UnreachableError, "the server crashed and is recovering"),
    "57P03": (UnreachableError, "the server does not accept connections yet"),
    "57P05": (UnreachableError, "the server ended the connection, which had been idle"),
    "25P03": (UnreachableError, "the server ended the connection, which had been idle"),
    "53300": (UnreachableError, "the server has too many connections"),
    _CANCELED: (UnreachableError, "the statement was canceled, or took longer than read_timeout"),
    "40": (ConflictError, "another transaction was in the way (deadlock or serialization)"),
    LOCK_NOT_AVAILABLE: (
        ConflictError,
        "a lock was not free within lock_wait_seconds: another session holds the table",
    ),
    "53100": (StoreError, "the server's disk is full: make room, then run again"),
    "53": (StoreError, "the server has run out of memory or of another resource"),
    "25006": (StoreError, "the server is read-only: name the primary server"),
    "58": (StoreError, "the server cannot read or write its files: see its log"),
    "XX": (StoreError, "the server reports an internal error or corrupted data: see its log"),
    "42501": (
        AccessDeniedError,
        "the user lacks a right: it must own the table, and may need TEMPORARY on the database",
    ),
    "28": (AccessDeniedError, "the server refused the login"),
    "3D000": (NotFoundError, "the database is not there"),
    "3F000": (NotFoundError, "the schema is not there"),
    "42P01": (SchemaRefusedError, "the table vanished while it was loaded"),
    "42703": (SchemaRefusedError, "a column vanished while the table was loaded"),
    "2BP01": (SchemaRefusedError, "other objects depend on what has to change: drop them, run, and create them again"),
    "0A000": (SchemaRefusedError, "other objects depend on what has to change: drop them, run, and create them again"),
    "42": (SchemaRefusedError, "the table does not fit its stream"),
    "54": (SchemaRefusedError, "beyond a limit of PostgreSQL, such as 1,600 columns or the size of a row"),
    "22": (ValueRefusedError, "a value that the column cannot hold"),
    "23502": (ValueRefusedError, "NULL in a column of the key"),
    "23505": (ValueRefusedError, "two rows of one key, or of another unique index of the table"),
    "23": (ValueRefusedError, "a constraint of the table refuses a row"),
    _BROKEN_CSV: (BrokenStreamError, "a row has not the fields that its first line names"),
}


def translate(error: psycopg.Error, where: str) -> ReplicaError:
    """Return our error for PostgreSQL's; `where` names the stream or the table."""
    code = error.sqlstate or ""
    kind, words = _KINDS.get(code) or _KINDS.get(code[:2]) or _without_code(error)
    return kind(f"{where}: {words}" + (f" (SQLSTATE {code})" if code else ""))


def _without_code(error: psycopg.Error) -> tuple[type[ReplicaError], str]:
    if isinstance(error, psycopg.OperationalError):
        return UnreachableError, "the connection was lost"
    return ReplicaError, f"unexpected {type(error).__name__} (its text is withheld, since it may quote patient data)"


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise PostgreSQL's errors as ours."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, where) from None


def translate_login(error: psycopg.Error, server: str) -> ReplicaError:
    """Return our error for a connection that was not made; `server` is its address."""
    words = str(error)
    if error.sqlstate or isinstance(error, psycopg.ProgrammingError):
        return translate(error, server)
    kind, told = next(((kind, told) for pattern, kind, told in _LOGINS if re.search(pattern, words)), _NOT_MADE)
    return kind(f"{server}: {told}")


def translate_copy(error: psycopg.Error, table: str, batch: Batch, stream: str) -> ReplicaError:
    """Return our error for a COPY into `table` that failed: the column, and the line that the row came in."""
    line, column = locate(error.diag.context or "", table, batch.columns)
    kind = _KINDS.get(error.sqlstate or "", _KINDS.get((error.sqlstate or "")[:2], (None, "")))[0]
    if kind not in {ValueRefusedError, BrokenStreamError}:
        return translate(error, f"stream {stream}")
    place = batch.locate(None if line is None else find_row(batch, line))
    return translate(error, f"stream {stream}" + (f", column {column}" if column else "") + f", {place}")


def locate(context: str, table: str, columns: Iterable[str]) -> tuple[int | None, str | None]:
    """Read the line and the column from COPY's words on an error; the value that may stand behind them is left.

    The words are of any language: `COPY patient, line 3, column Birthdate: "..."`.
    """
    before = f"COPY {table}, "
    found = re.match(r"\D{0,40}?(\d+)", context[len(before) :]) if context.startswith(before) else None
    if found is None:
        return None, None
    rest = context[len(before) + found.end() :]
    ordered = sorted(columns, key=len, reverse=True)
    named = (name for name in ordered if re.match(rf", [^\s,:]+ {re.escape(name)}(:|$)", rest))
    return int(found[1]), next(named, None)


def find_row(batch: Batch, line: int) -> int | None:
    """Return the number (from 1 on) of the row on a line of CSV, whose text may hold newlines; None for its first."""
    row, inside = 0, False
    with batch.open() as content:
        for number, text in enumerate(content, start=1):
            row += not inside
            inside ^= text.count(b'"') % 2 == 1
            if number == line:
                break
    return row - 1 if row > 1 else None
