"""`opendental sandbox ...`: a private source and warehouse to try things on."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from opendental_analyze.progress import show_progress
from opendental_analyze.project import find_project
from opendental_analyze.sandbox import databases, reports
from opendental_analyze.sandbox.addresses import (
    ADMIN,
    SOURCE,
    mariadb_url,
    render_dotenv,
    render_environment,
    render_exports,
)
from opendental_analyze.sandbox.sandbox import Sandbox
from opendental_analyze.sandbox.source import ENGINES
from opendental_analyze.sandbox.state import read_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from opendental_analyze.sandbox.filling import Wish

DIRECTORY = ".sandbox"
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def find_root() -> Path:
    """The sandbox of the project around the working directory, or else of the working directory itself."""
    return find_project() / DIRECTORY


def _root(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--root`, and the sandbox that it names."""

    @click.option(
        "--root",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="OPENDENTAL_SANDBOX",
        help=f"Directory of the sandbox; by default {DIRECTORY} in the project. [env: OPENDENTAL_SANDBOX]",
    )
    @wraps(command)
    def with_sandbox(root: Path | None, **options: Any) -> None:  # noqa: ANN401  # click's options
        command(Sandbox((root or find_root()).absolute()), **options)

    return with_sandbox


def _filling(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say what the source shall hold."""
    for option in (
        click.option("--empty", is_flag=True, help="Create the tables without a practice in them."),
        click.option("--seed", type=click.IntRange(min=0), help="Choice of the practice: same seed, same bytes."),
        click.option("--patients", type=click.IntRange(min=1), help="Size of the practice."),
        click.option("--engine", type=click.Choice(ENGINES, case_sensitive=False), help="Storage engine."),
    ):
        command = option(command)
    return command


@click.group()
def sandbox() -> None:
    """Run a private MariaDB and PostgreSQL with a synthetic practice.

    \b
    Example: opendental sandbox up && eval "$(opendental sandbox env)"
    """  # noqa: D301  # \b is click's mark for a paragraph that it leaves as it stands


@sandbox.command()
@_root
@_filling
@_json
def up(place: Sandbox, *, as_json: bool, **filling: Any) -> None:  # noqa: ANN401  # click's options
    """Start both servers and fill the source, unless they are up and filled.

    \b
    Example: opendental sandbox up --patients 500 --seed 7
    """  # noqa: D301
    _bring_up(place, as_json=as_json, afresh=False, **filling)


@sandbox.command()
@_root
@_filling
@_json
def reset(place: Sandbox, *, as_json: bool, **filling: Any) -> None:  # noqa: ANN401  # click's options
    """Drop every database of the sandbox and fill the source anew.

    \b
    Example: opendental sandbox reset --engine InnoDB
    """  # noqa: D301
    _bring_up(place, as_json=as_json, afresh=True, **filling)


@sandbox.command()
@_root
@click.option("--delete", is_flag=True, help="Delete the data as well.")
@_json
def down(place: Sandbox, *, delete: bool, as_json: bool) -> None:
    """Stop both servers; their data stays unless it is to be deleted.

    \b
    Example: opendental sandbox down
    """  # noqa: D301
    stopped = place.shut_down(delete=delete)
    if as_json:
        _print_json({"stopped": list(stopped), "deleted": delete})
    else:
        click.echo(f"stopped {' and '.join(stopped)}" if stopped else "the sandbox was not up")


@sandbox.command()
@_root
@_json
def status(place: Sandbox, *, as_json: bool) -> None:
    """Show the servers, and the databases with their sizes.

    \b
    Example: opendental sandbox status --json
    """  # noqa: D301
    state = read_state(place.root)
    servers = reports.describe_servers(state) if state else {}
    sizes = databases.read_sizes(place.state) if place.is_up else ()
    source = state.source if state else None
    if as_json:
        _print_json(
            _status(place, servers, source=asdict(source) if source else None, databases=list(map(asdict, sizes)))
        )
    elif state is None:
        click.echo(f"there is no sandbox in {place.root}")
    else:
        click.echo(
            "\n".join((*reports.render_servers(servers), reports.render_source(source), *reports.render_sizes(sizes)))
        )


@sandbox.command()
@_root
@click.option("--dotenv", is_flag=True, help="Print KEY='value' lines for a .env file.")
@_json
def env(place: Sandbox, *, dotenv: bool, as_json: bool) -> None:
    """Print the settings that reach this sandbox, as lines for a shell.

    \b
    Example: eval "$(opendental sandbox env)"
    """  # noqa: D301
    environment = render_environment(place.state)
    if as_json:
        _print_json(environment)
    else:
        click.echo(render_dotenv(environment) if dotenv else render_exports(environment))


@sandbox.command()
@_root
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Choice of what happens.")
@click.option("--no-upgrade", is_flag=True, help="Leave the structure as it is: no upgrade after hours.")
@click.option("--json", "_as_json", is_flag=True, help="Print JSON, as it does anyway.")
def day(place: Sandbox, *, seed: int, no_upgrade: bool, _as_json: bool) -> None:
    """Play one day at the practice and print what happened as JSON.

    \b
    Example: opendental sandbox day --seed 3 > day.json
    """  # noqa: D301
    from opendental_analyze.sandbox.day import play_day  # noqa: PLC0415  # slow to load, needed here only

    with place.locked():
        admin = databases.connect(mariadb_url(place.state, ADMIN, SOURCE))
        _print_json(play_day(admin, database=SOURCE, seed=seed, with_upgrade=not no_upgrade))


def _bring_up(place: Sandbox, *, as_json: bool, afresh: bool, **filling: Any) -> None:  # noqa: ANN401  # click's options
    from opendental_analyze.sandbox.filling import empty_sandbox, fill_source  # noqa: PLC0415  # slow to load

    wish = _wish(**filling)
    with place.locked(), show_progress(Console(stderr=True)) as progress:
        started = place.start()
        if afresh:
            empty_sandbox(place)
        filled = fill_source(place, wish, progress)
    _report_up(place, as_json=as_json, started=started, filled=filled)


def _wish(*, engine: str | None, patients: int | None, seed: int | None, empty: bool) -> Wish:
    from opendental_analyze.sandbox.filling import Wish  # noqa: PLC0415  # slow to load, needed by few commands

    if empty and patients is not None:
        raise click.UsageError("--empty and --patients contradict each other: give one of them")
    return Wish(engine=engine, patients=0 if empty else patients, seed=seed)


def _report_up(place: Sandbox, *, as_json: bool, started: bool, filled: bool) -> None:
    state = place.state
    servers = reports.describe_servers(state)
    if as_json:
        source = asdict(state.source) if state.source else None
        _print_json(_status(place, servers, source=source, started=started, filled=filled))
        return
    if not (started or filled):
        click.echo("the sandbox was up already")
    click.echo("\n".join((*reports.render_servers(servers), reports.render_source(state.source))))


def _status(place: Sandbox, servers: dict[str, dict[str, Any]], **more: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    return {"root": str(place.root), "up": place.is_up, "servers": servers, **more}


def _print_json(value: Any) -> None:  # noqa: ANN401  # JSON
    click.echo(json.dumps(value, indent=2, default=str))
