"""`opendental analyze dbt-sources`: arguments, printing and exit codes."""

from __future__ import annotations

from pathlib import Path

import click

from opendental_analyze.explain.analysis_files import read_analysis
from opendental_analyze.explain.dbt_sources import Wish, render_sources
from opendental_analyze.explain.writing import write_files
from opendental_analyze.project import DIRECTORY, find_analysis
from tap_opendental.discovery.knowledge import load_knowledge


@click.command(
    "dbt-sources",
    epilog="Columns with types and meaning, tests of keys and references, freshness by replication key, classes of "
    "patient data as meta. Secrets are never loaded, and not in it. For dbt 1.11 or later.",
)
@click.option(
    "--analysis",
    type=click.Path(path_type=Path),
    help=f"An analysis.json, or the folder that holds it; by default {DIRECTORY} in the project.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; by default stdout.")
@click.option("--schema", default="raw", show_default=True, help="Schema of PostgreSQL that the pipeline loads.")
@click.option("--source-name", default="opendental", show_default=True, help="What dbt calls the source.")
@click.option("--tables", multiple=True, metavar="PATTERN", help="Tables to describe (`proc*`); may be repeated.")
def dbt_sources(
    analysis: Path | None, output: Path | None, schema: str, source_name: str, tables: tuple[str, ...]
) -> None:
    """Write a dbt sources.yml for the tables as the pipeline loads them.

    \b
    Example: opendental analyze dbt-sources --output models/sources.yml
    """  # noqa: D301  # \b is click's mark for a paragraph that it leaves as it stands
    content = read_analysis(analysis or find_analysis())
    if not content["complete"]:
        held = len(content["tables"])
        holds = f"the analysis holds {held} table{'' if held == 1 else 's'} only"
        click.echo(f"warning: {holds}: run `opendental analyze` without --tables to describe all", err=True)
    sources = render_sources(content, load_knowledge(), Wish(schema, source_name, tables))
    for table, why in sources.not_loaded.items():
        click.echo(f"left out: table {table}: {why}, so the pipeline does not load it", err=True)
    if output is None:
        click.echo(sources.text, nl=False)
    else:
        write_files(output.parent, {output.name: sources.text})
        click.echo(f"{output}: {sources.tables} tables", err=True)
