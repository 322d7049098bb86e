"""What the sandbox's commands say: values in, text out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opendental_analyze.sandbox.ports import LOOPBACK
from opendental_analyze.sandbox.servers import is_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opendental_analyze.sandbox.databases import DatabaseSize
    from opendental_analyze.sandbox.state import ServerState, Source, State

TITLES = {"mariadb": "MariaDB", "postgres": "PostgreSQL"}


def describe_servers(state: State) -> dict[str, dict[str, Any]]:
    """Each server's address and process; the port and pid are None while it is down."""
    return {name: _describe(server, up=is_up(server)) for name, server in state.servers.items()}


def _describe(server: ServerState, *, up: bool) -> dict[str, Any]:
    return {
        "up": up,
        "host": LOOPBACK,
        "port": server.port if up else None,
        "pid": server.process.pid if server.process and up else None,
        "data": str(server.data),
    }


def render_servers(servers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each server."""
    return [
        f"{TITLES[name]:<11} {server['host']}:{server['port']}  pid {server['pid']}  {server['data']}"
        if server["up"]
        else f"{TITLES[name]:<11} down  {server['data']}"
        for name, server in servers.items()
    ]


def render_source(source: Source | None) -> str:
    """What the source database holds, in a line."""
    if source is None:
        return "source      not filled"
    patients = f"{source.patients:,} patients of seed {source.seed}" if source.patients else "no practice"
    return f"source      {patients} on {source.engine}, {source.rows:,} rows"


def render_sizes(sizes: Iterable[DatabaseSize]) -> list[str]:
    """A line for each database."""
    return [
        f"{TITLES[size.server]:<11} {size.name:<22} {size.tables:>4} tables  {size.size_bytes / 1_048_576:>9,.1f} MB"
        for size in sizes
    ]
