"""Databases that live as long as one test."""

from __future__ import annotations

import secrets
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opendental_analyze.sandbox import databases
from opendental_analyze.sandbox.account import choose_account
from opendental_analyze.sandbox.addresses import (
    ADMIN,
    ANALYTICS_OWNER,
    SCHEMAS,
    SOURCE,
    mariadb_url,
    postgres_url,
    render_url,
)
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from opendental_analyze.sandbox.state import State


@dataclass(frozen=True)
class ThrowAway:
    """A database of its own: the URL of a user who may do anything in it, and an engine over that URL."""

    name: str
    admin_url: str
    engine: Engine


@dataclass(frozen=True)
class ThrowAwaySource(ThrowAway):
    """A MariaDB database of its own, with a user who may only read it."""

    reader_url: str


@contextmanager
def mariadb_database(state: State, prefix: str = "test") -> Iterator[ThrowAwaySource]:
    """An empty MariaDB database, dropped with its reader when the block ends."""
    name, password = _choose_name(prefix), secrets.token_hex(20)
    databases.create_mariadb_database(state, name)
    try:
        databases.create_reader(state, name, password)
        admin = mariadb_url(state, ADMIN, name)
        reader = admin.set(username=name, password=password)
        yield ThrowAwaySource(name, render_url(admin), databases.connect(admin), render_url(reader))
    finally:
        databases.drop_mariadb_database(state, name)


@contextmanager
def postgres_database(state: State, prefix: str = "test") -> Iterator[ThrowAway]:
    """A PostgreSQL database with the schemas of the analytics database, dropped when the block ends."""
    name = _choose_name(prefix)
    databases.create_postgres_database(state, name, owner=ANALYTICS_OWNER, schemas=SCHEMAS)
    try:
        url = postgres_url(state, ANALYTICS_OWNER, name)
        yield ThrowAway(name, render_url(url), databases.connect(url))
    finally:
        databases.drop_postgres_database(state, name)


def clone_source(state: State, to_database: str) -> None:
    """Copy the source database's MyISAM tables, rows and all, into an empty database: file by file, in no time."""
    root = databases.mariadb_root(state)
    tables = databases.read_tables(root, SOURCE, storage="MyISAM")
    locked = ", ".join(f"{quote(SOURCE)}.{quote(table)}" for table in tables)
    files = [f"{SOURCE}/{table}.{part}" for table in tables for part in ("frm", "MYD", "MYI")]
    with root.connect() as connection:
        connection.exec_driver_sql(f"FLUSH TABLES {locked} WITH READ LOCK")
        _copy(state, files, to_database)
        connection.exec_driver_sql("UNLOCK TABLES")


def _copy(state: State, files: list[str], to_database: str) -> None:
    command = ["cp", "--", *files, to_database]
    subprocess.run(command, check=True, cwd=state.mariadb.data, **choose_account().popen_arguments)  # noqa: S603  # names that MariaDB gave to its own files


def _choose_name(prefix: str) -> str:
    return f"{databases.THROW_AWAY}{prefix[:20]}_{secrets.token_hex(4)}"
