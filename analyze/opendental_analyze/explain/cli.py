"""`opendental analyze`: arguments, printing and exit codes."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource
from rich.console import Console

from opendental_analyze.explain.address import read_address
from opendental_analyze.explain.dbt_cli import dbt_sources
from opendental_analyze.explain.diff_cli import diff
from opendental_analyze.explain.explanation import Explanation, Wish, explain_source, write_explanation
from opendental_analyze.explain.summary import WIDTH, render_plain
from opendental_analyze.explain.writing import require_folder
from opendental_analyze.progress import show_steps
from opendental_analyze.project import DIRECTORY, find_analysis
from opendental_analyze.terminal import printable
from tap_opendental.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = 10


@click.group(
    invoke_without_command=True,
    epilog="The source's address is in the tap's variables: TAP_OPENDENTAL_HOST, _PORT, _USER, _PASSWORD, _DATABASE, "
    "_SSL_CA ... What a person wrote under `overrides:` of tables.yml stays. Where it no longer fits, the tap does "
    "not read the table until it is mended: --check ends with 2 then, if not with 3.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=f"Where the files are; by default {DIRECTORY} in the project.",
)
@click.option("--tables", "patterns", multiple=True, metavar="PATTERN", help="Analyse these tables only; repeatable.")
@click.option("--probe", is_flag=True, help="Look at samples of rows too: recent changes, keys without a row.")
@click.option(
    "--check", is_flag=True, help="Write nothing; exit code 3 if tables.yml would change, 2 if it does not fit."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def analyze(
    ctx: click.Context, *, output: Path | None, patterns: tuple[str, ...], probe: bool, check: bool, as_json: bool
) -> None:
    """Judge every table of the source, and write tables.yml, analysis.json, summary.txt and report.html.

    \b
    Example: opendental analyze --check
    """  # noqa: D301  # \b is click's mark for a paragraph that it leaves as it stands
    if ctx.invoked_subcommand:
        _refuse_options(ctx)
        return
    folder = (output or find_analysis()).absolute()
    if not check:
        require_folder(folder)
    explanation, files = _explain(folder, patterns, probe=probe, check=check)
    _print(explanation, files, as_json=as_json)
    if check:
        refused = ExitCode.CONFIG if explanation.refused else ExitCode.OK
        ctx.exit(ExitCode.WOULD_CHANGE if explanation.would_change else refused)


def _refuse_options(ctx: click.Context) -> None:
    """An option before a subcommand would pass unheard."""
    given = [name for name in ctx.params if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if given:
        option = next(parameter.opts[0] for parameter in ctx.command.params if parameter.name == given[0])
        raise click.UsageError(f"{option} belongs to `opendental analyze` alone, not to its {ctx.invoked_subcommand}")


def _explain(
    folder: Path, patterns: tuple[str, ...], *, probe: bool, check: bool
) -> tuple[Explanation, dict[str, Path]]:
    address = read_address(os.environ)
    wish = Wish(patterns, probe, datetime.now(tz=UTC).date().isoformat())
    with show_steps(Console(stderr=True)) as progress:
        explanation = explain_source(address, folder, wish, progress)
        if check:
            return explanation, {}
        progress("writing", 0, 0)
        return explanation, write_explanation(explanation, folder)


def _print(explanation: Explanation, files: dict[str, Path], *, as_json: bool) -> None:
    for warning in explanation.warnings():
        click.echo(f"warning: {printable(warning)}", err=True)
    if as_json:
        paths = {name: str(path) for name, path in files.items()}
        click.echo(json.dumps({**explanation.to_dict(), "files": paths}, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    lines = explanation.summary(width)
    if console.is_terminal:
        for line in lines:
            console.print(line)
    else:
        click.echo(render_plain(lines), nl=False)
    click.echo(f"\n{_describe_outcome(explanation, files)}")
    if explanation.refused:
        click.echo(_describe_refused(explanation.refused))


def _describe_outcome(explanation: Explanation, files: dict[str, Path]) -> str:
    changed = "changed" if explanation.would_change else "as it was"
    if files:
        folder = next(iter(files.values())).parent
        others = ", ".join(name for name in sorted(files) if name != "tables.yml")
        return f"Wrote {folder}: tables.yml ({'new' if explanation.is_first else changed}), {others}"
    if not explanation.would_change:
        return "tables.yml would stay as it is"
    if explanation.is_first or explanation.analysis.changes:
        return f"tables.yml would {'be written' if explanation.is_first else 'change'}"
    return "tables.yml would change in what is no decision: comments, order, dates"


def _describe_refused(tables: Sequence[str]) -> str:
    shown = [printable(table) for table in tables[:SHOWN]] + ["..."] * (len(tables) > SHOWN)
    return f"The tap will not read these until a person mends tables.yml: {', '.join(shown)}"


for _command in (diff, dbt_sources):
    analyze.add_command(_command)
