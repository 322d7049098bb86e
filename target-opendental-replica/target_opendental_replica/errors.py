"""Errors of the replica target; its exit codes are numbered as everywhere in the project."""

from __future__ import annotations

import traceback
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExitCode(IntEnum):
    """One number means one thing in the tap, the targets and the `opendental` command (docs/operations.md)."""

    OK = 0
    UNEXPECTED = 1
    CONFIG = 2
    UNREACHABLE = 4
    ACCESS_DENIED = 5
    NOT_FOUND = 6
    UNKNOWN_TYPE = 8
    PARTIAL = 10
    SCHEMA_CHANGED = 12
    LOCKED = 13
    VALUE_REFUSED = 15
    BEHIND = 16
    BROKEN_STREAM = 17
    STORE_FAILED = 18


class ReplicaError(Exception):
    """What failed, where, and what to do, in one line; `exit_code` is what the process ends with."""

    exit_code = ExitCode.UNEXPECTED


class ConfigError(ReplicaError):
    """A setting that is missing, contradicts another, or does not fit what the tap sends."""

    exit_code = ExitCode.CONFIG


class TapSettingsError(ConfigError):
    """What the tap was told to send is not what the destination needs: true of every stream alike."""


class IdentifierError(ReplicaError):
    """A name that the database cannot give to a table, a column or an index."""

    exit_code = ExitCode.CONFIG


class TableFactsError(ReplicaError):
    """Facts about a table that contradict one another, such as an index over a column that is not there."""

    exit_code = ExitCode.CONFIG


class UnknownTypeError(ReplicaError):
    """A column type that is outside the grammar of MySQL and MariaDB."""

    exit_code = ExitCode.UNKNOWN_TYPE


class UnknownDefaultError(UnknownTypeError):
    """A column default that is neither a literal nor the current timestamp."""


class AccessDeniedError(ReplicaError):
    """The server refused the login, or the user lacks a right that is named."""

    exit_code = ExitCode.ACCESS_DENIED


class NotFoundError(ReplicaError):
    """A database or schema that is not there."""

    exit_code = ExitCode.NOT_FOUND


class SchemaRefusedError(ReplicaError):
    """A table that cannot be made to fit its stream, such as one that the user made with a view in its place."""

    exit_code = ExitCode.SCHEMA_CHANGED


class LockedError(ReplicaError):
    """Another run writes the stream."""

    exit_code = ExitCode.LOCKED


class ValueRefusedError(ReplicaError):
    """A row that the table cannot hold as it is; says stream, column and line, never the value."""

    exit_code = ExitCode.VALUE_REFUSED


class MissingRowsError(ReplicaError):
    """The tap starts behind rows that the destination does not hold: it was restored, or another one was loaded."""

    exit_code = ExitCode.BEHIND


class BrokenStreamError(ReplicaError):
    """A line that is no Singer message, or not one that may stand there; says which line and stream."""

    exit_code = ExitCode.BROKEN_STREAM


class StoreError(ReplicaError):
    """The server cannot store rows: disk full, read-only, a packet too large. The state has not moved."""

    exit_code = ExitCode.STORE_FAILED


class PartialLoadError(ReplicaError):
    """Some streams failed, the others are whole."""

    exit_code = ExitCode.PARTIAL


class RetriableError(ReplicaError):
    """A failure that another try may cure."""

    exit_code = ExitCode.UNREACHABLE


class UnreachableError(RetriableError):
    """No answer from the server, or the connection was lost."""


class ConflictError(RetriableError):
    """A deadlock, or a lock that was not free in time."""

    exit_code = ExitCode.STORE_FAILED


class UnfitError(ValueError):
    """A value that does not fit its property's schema; the text says how, without the value."""


def name_stream(error: ReplicaError, stream: str) -> ReplicaError:
    """Return an error that says of which stream it is."""
    text = str(error)
    is_named = any(words in text for words in (f"stream {stream}", f"stream {stream!r}", f"table {stream}"))
    return error if stream and is_named else type(error)(f"stream {stream}: {text}")


def counted(number: int, what: str) -> str:
    """Return a number of things in words: 1 stream, 2 streams."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def list_names(names: Sequence[str]) -> str:
    """Return the first ten of many names, and how many there are more."""
    shown = 10
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def describe_gone(tables: Sequence[str]) -> str:
    """Say that tables were dropped here, of which the state believes that they hold rows."""
    if len(tables) == 1:
        return f"table {tables[0]} is gone here, and the state stands behind its rows"
    return f"{len(tables)} tables ({list_names(tables)}) are gone here, and the state stands behind their rows"


def describe_partial(failed: int, streams: int) -> str:
    """Say how many of a run's streams failed, and that the others did not, if there are any."""
    if failed == streams:
        return f"{'all ' if failed > 1 else ''}{counted(failed, 'stream')} failed"
    others = "the other one is" if streams - failed == 1 else "the others are"
    return f"{failed} of {counted(streams, 'stream')} failed, {others} whole"


def printable(text: str) -> str:
    """Return a text as one line that does nothing to a terminal: names in it may hold newlines and escapes."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def describe_unexpected(error: Exception) -> str:
    """Say an error that is not ours: type and place only, since its text may quote a row's value."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"unexpected {type(error).__name__} at {last.filename}:{last.lineno} "
        "(its message is withheld, since it may quote patient data)"
    )
