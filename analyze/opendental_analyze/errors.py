"""Errors of the `opendental` command, in the same tree and under the same exit codes as the tap's."""

from __future__ import annotations

from tap_opendental.errors import ExitCode, OpenDentalError


class SandboxError(OpenDentalError):
    """The sandbox cannot do what was asked: its servers, its directory or its data stand in the way."""

    exit_code = ExitCode.SANDBOX


class MissingServerError(SandboxError):
    """A server program that the sandbox starts is not installed."""


class ForeignServerError(SandboxError):
    """A process stands where a server of this sandbox should be, and this sandbox did not start it."""
