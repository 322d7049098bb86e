"""Errors of the tap and the exit codes of the whole project (the table in docs/operations.md)."""

from __future__ import annotations

import traceback
from enum import IntEnum


class ExitCode(IntEnum):
    """One number means one thing in the tap, the targets and the `opendental` command."""

    OK = 0
    UNEXPECTED = 1
    CONFIG = 2
    WOULD_CHANGE = 3
    UNREACHABLE = 4
    ACCESS_DENIED = 5
    NOT_FOUND = 6
    NOTHING_SELECTED = 7
    UNKNOWN_TYPE = 8
    SANDBOX = 9
    PARTIAL = 10
    STATE_REFUSED = 11
    SCHEMA_CHANGED = 12
    LOCKED = 13
    TARGET_GONE = 14
    VALUE_REFUSED = 15
    BEHIND = 16
    BROKEN_STREAM = 17
    STORE_FAILED = 18


class OpenDentalError(Exception):
    """What failed, where, and what to do, in one line; `exit_code` is what the process ends with."""

    exit_code = ExitCode.UNEXPECTED
    mysql_code: int | None = None
    """The server's or driver's error number, where one is behind it."""


class ConfigError(OpenDentalError):
    """A setting is missing, malformed or contradicts another."""

    exit_code = ExitCode.CONFIG


class UnreachableError(OpenDentalError):
    """No server answers at the configured address."""

    exit_code = ExitCode.UNREACHABLE


class AccessDeniedError(OpenDentalError):
    """The server refuses the user, the password or a right that reading needs."""

    exit_code = ExitCode.ACCESS_DENIED


class NotFoundError(OpenDentalError):
    """The database or a table does not exist."""

    exit_code = ExitCode.NOT_FOUND


class SchemaDiscoveryError(OpenDentalError):
    """SchemaDiscovery cannot answer: the message names the database or table, and the next step."""


class SchemaNotFoundError(SchemaDiscoveryError, NotFoundError):
    """The database or the table that was asked for does not exist, or the user does not see it."""


class SchemaAnalysisError(SchemaDiscoveryError):
    """A table is there and cannot be analysed.

    It shares its exit code with what is not there: running again helps neither, a person has to look at the server.
    It is no NotFoundError, so that nobody who passes over missing tables passes over this one.
    """

    exit_code = ExitCode.NOT_FOUND


class DamagedTableError(SchemaAnalysisError):
    """A table is listed and cannot be opened."""


class RestrictedTableError(SchemaAnalysisError, AccessDeniedError):
    """The user may read some columns of a table only: what the server shows of it is not the table."""

    exit_code = ExitCode.ACCESS_DENIED


class SchemaChangedError(OpenDentalError):
    """A table's structure is not the reviewed one, and `on_schema_change` is `fail`."""

    exit_code = ExitCode.SCHEMA_CHANGED


class NothingSelectedError(OpenDentalError):
    """No table matches a pattern, or no stream is selected: a run that would move nothing."""

    exit_code = ExitCode.NOTHING_SELECTED


class UnknownTypeError(OpenDentalError):
    """A column has a type that the tap cannot read without guessing."""

    exit_code = ExitCode.UNKNOWN_TYPE


class PartialRunError(OpenDentalError):
    """Some streams failed; the others are whole, and their bookmarks moved."""

    exit_code = ExitCode.PARTIAL


class LockedError(OpenDentalError):
    """Another run reads the stream for the same destination, and did not end in time."""

    exit_code = ExitCode.LOCKED


class LockLostError(OpenDentalError):
    """The stream's lock is no longer ours: another run may have begun to read it."""

    exit_code = ExitCode.LOCKED


class TargetGoneError(OpenDentalError):
    """Nobody reads the tap's lines any more."""

    exit_code = ExitCode.TARGET_GONE


class ValueRefusedError(OpenDentalError):
    """A value cannot be sent as it is, and is not altered in silence: the server cut it, or a setting forbids it.

    Running again does not help: a person has to mend the row, or exclude the column.
    """

    exit_code = ExitCode.VALUE_REFUSED


class StateError(OpenDentalError):
    """The state cannot be read: going on would start from the beginning, or from the wrong place, in silence."""

    exit_code = ExitCode.STATE_REFUSED


def describe_unexpected(error: Exception) -> tuple[str, str]:
    """Say an error that is not ours, and its stack: type and place only, since its text may quote a row's value."""
    stack = traceback.extract_tb(error.__traceback__)
    line = (
        f"unexpected {type(error).__name__} at {stack[-1].filename}:{stack[-1].lineno} "
        "(its message is withheld, since it may quote patient data; TAP_OPENDENTAL_LOGLEVEL=DEBUG shows the stack)"
    )
    return line, "".join(traceback.format_list(stack))
