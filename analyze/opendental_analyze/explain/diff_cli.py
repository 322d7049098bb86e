"""`opendental analyze diff`: arguments, printing and the exit code."""

from __future__ import annotations

import json

import click
from rich.console import Console

from opendental_analyze.explain.analysis_files import read_side
from opendental_analyze.explain.diff import compare_analyses
from opendental_analyze.explain.diff_rendering import render_diff
from tap_opendental.errors import ExitCode


@click.command(
    epilog="A and B are each an analysis.json, a folder that holds one, or env:PREFIX for a live source whose address "
    "is in PREFIX_HOST, PREFIX_PORT, PREFIX_USER, PREFIX_PASSWORD, PREFIX_DATABASE. Rows and sizes are not compared, "
    "nor are tables that an analysis made with --tables does not hold. "
    "Ends with 0 when both are equal, with 3 when they differ."
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def diff(ctx: click.Context, before: str, after: str, *, as_json: bool) -> None:
    """Show what differs from A to B: tables, columns, keys, indexes, and how each table is read.

    \b
    Example: opendental analyze diff before/analysis.json env:TAP_OPENDENTAL
    """  # noqa: D301  # \b is click's mark for a paragraph that it leaves as it stands
    found = compare_analyses(read_side(before), read_side(after), labels=(before, after))
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        Console(highlight=False, soft_wrap=True).print(render_diff(found))
    ctx.exit(ExitCode.OK if found.is_empty else ExitCode.WOULD_CHANGE)
