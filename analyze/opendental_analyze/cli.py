"""The `opendental` command: arguments, printing and exit codes; all else is the library's."""

from __future__ import annotations

import errno
import os
import sys
from importlib.metadata import version
from io import TextIOWrapper
from typing import Any

import click
from click.exceptions import Exit

from opendental_analyze.explain.cli import analyze
from opendental_analyze.sandbox.cli import sandbox
from opendental_analyze.terminal import printable
from tap_opendental.errors import ExitCode, OpenDentalError, describe_unexpected
from target_opendental_replica.errors import ReplicaError


class ExitCodes(click.Group):
    """A group of commands that ends an error with one line on stderr: ours by its exit code, others by their place."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's own signature
        """Run the command that was asked for."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # a name that the terminal's encoding lacks is escaped, not an error
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except (OpenDentalError, ReplicaError) as error:
            click.echo(f"error: {printable(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except (click.ClickException, click.Abort, Exit):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:  # click ends quietly: nobody reads on
                raise
            line, stack = describe_unexpected(error)
            wanted = os.environ.get("TAP_OPENDENTAL_LOGLEVEL", "").upper() == "DEBUG"  # as with the tap
            click.echo(f"{stack if wanted else ''}error: {line}", err=True)
            ctx.exit(ExitCode.UNEXPECTED)


@click.group(cls=ExitCodes, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("opendental-analyze"), message="opendental %(version)s")
def main() -> None:
    """Explain and operate the Open Dental pipeline.

    \b
    Example: opendental sandbox up
    """  # noqa: D301  # \b is click's mark for a paragraph that it leaves as it stands


main.add_command(analyze)
main.add_command(sandbox)
