"""Errors of the replica target; its exit codes are numbered as everywhere in the project."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """One number means one thing in the tap, the targets and the `opendental` command."""

    OK = 0
    UNEXPECTED = 1
    CONFIG = 2
    UNREACHABLE = 4
    ACCESS_DENIED = 5
    NOT_FOUND = 6
    UNKNOWN_TYPE = 8


class ReplicaError(Exception):
    """What failed, where, and what to do, in one line; `exit_code` is what the process ends with."""

    exit_code = ExitCode.UNEXPECTED


class IdentifierError(ReplicaError):
    """A name that MySQL cannot give to a table, a column or an index."""

    exit_code = ExitCode.CONFIG


class TableFactsError(ReplicaError):
    """Facts about a table that contradict one another, such as an index over a column that is not there."""

    exit_code = ExitCode.CONFIG


class UnknownTypeError(ReplicaError):
    """A column type that is outside the grammar of MySQL and MariaDB."""

    exit_code = ExitCode.UNKNOWN_TYPE


class UnknownDefaultError(UnknownTypeError):
    """A column default that is neither a literal nor the current timestamp."""
