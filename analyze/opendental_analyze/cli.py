"""The `opendental` command: arguments, printing and exit codes; all else is the library's."""

from __future__ import annotations

import sys
from importlib.metadata import version
from io import TextIOWrapper
from typing import Any

import click

from opendental_analyze.explain.cli import analyze
from opendental_analyze.sandbox.cli import sandbox
from opendental_analyze.terminal import printable
from tap_opendental.errors import OpenDentalError
from target_opendental_replica.errors import ReplicaError


class ExitCodes(click.Group):
    """A group of commands that ends a known error with one line on stderr and the error's own exit code."""

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


@click.group(cls=ExitCodes, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("opendental-analyze"), message="opendental %(version)s")
def main() -> None:
    """Explain and operate the Open Dental pipeline.

    \b
    Example: opendental sandbox up
    """  # noqa: D301  # \b is click's mark for a paragraph that it leaves as it stands


main.add_command(analyze)
main.add_command(sandbox)
