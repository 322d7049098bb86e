"""The `opendental` command ends every failure with one line and an exit code, also one that nobody thought of."""

from __future__ import annotations

import errno

import click
import pytest
from click.testing import CliRunner

from opendental_analyze.cli import ExitCodes, main
from tap_opendental.errors import ConfigError, ExitCode

SECRET = "Doe, Jane"


def end_with(error: BaseException):
    """Run a command that raises."""

    @click.group(cls=ExitCodes)
    def group() -> None:
        """Nothing of its own."""

    @group.command()
    def fail() -> None:
        raise error

    return CliRunner().invoke(group, ["fail"])


@pytest.mark.parametrize("error", [ValueError(SECRET), RuntimeError(SECRET), OSError(errno.EIO, SECRET)])
def test_an_error_that_is_not_ours_is_one_line_without_its_message(error, monkeypatch):
    """Type and place are enough for a report; the message may quote a row's value."""
    monkeypatch.delenv("TAP_OPENDENTAL_LOGLEVEL", raising=False)
    run = end_with(error)
    assert (run.exit_code, run.stdout, run.stderr.count("\n")) == (ExitCode.UNEXPECTED, "", 1)
    assert run.stderr.startswith(f"error: unexpected {type(error).__name__} at {__file__}:")
    assert SECRET not in run.output


def test_the_stack_is_shown_when_it_is_asked_for(monkeypatch):
    """Where the tap shows its own, under the same variable; still without the message."""
    monkeypatch.setenv("TAP_OPENDENTAL_LOGLEVEL", "debug")
    run = end_with(ValueError(SECRET))
    assert "in fail" in run.stderr
    assert run.stderr.splitlines()[-1].startswith("error: unexpected ValueError")
    assert SECRET not in run.output


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("tables.yml line 2: no"), ExitCode.CONFIG, "error: tables.yml line 2: no\n"),
        (click.UsageError("no such option"), 2, "Error: no such option\n"),
        (click.Abort(), 1, "Aborted!\n"),
        (click.exceptions.Exit(3), 3, ""),
        (OSError(errno.EPIPE, "Broken pipe"), 1, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_known_ends_as_it_always_did(error, code, said):
    """Our errors, click's own, and a reader that went away."""
    run = end_with(error)
    assert (run.exit_code, run.stderr[-len(said) :] if said else run.stderr) == (code, said)


LONG = "x" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        ["diff", LONG, LONG],
        ["dbt-sources", "--analysis", LONG],
        ["--output", f"/tmp/{LONG}"],  # noqa: S108  # nothing is written: the name is too long
        ["--output", f"/tmp/{LONG}", "--check"],  # noqa: S108
    ],
    ids=lambda arguments: " ".join(arguments).replace(LONG, "LONG"),
)
def test_a_path_that_is_too_long_is_an_error_of_a_setting(arguments, monkeypatch):
    """One line with the system's reason, before any server is asked."""
    for name, value in {"HOST": "nowhere.invalid", "USER": "nobody", "PASSWORD": "none"}.items():
        monkeypatch.setenv(f"TAP_OPENDENTAL_{name}", value)
    run = CliRunner().invoke(main, ["analyze", *arguments])
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert (run.exit_code, len(errors)) == (ExitCode.CONFIG, 1), run.output
    assert "File name too long" in errors[0]
