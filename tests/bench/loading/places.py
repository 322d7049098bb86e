"""Where a series of loads begins and ends: a database to read, and for each tool a place of its own to write."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa

from loading import equality, replica_equality
from opendental_analyze.sandbox.addresses import ADMIN, mariadb_url, render_environment
from opendental_analyze.sandbox.databases import (
    THROW_AWAY,
    create_mariadb_database,
    drop_mariadb_database,
    mariadb_root,
    postgres_root,
    run,
)
from opendental_analyze.sandbox.throw_away import mariadb_database, postgres_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loading.findings import Verdict
    from loading.jobs import Item
    from opendental_analyze.sandbox.state import State
    from opendental_analyze.sandbox.throw_away import ThrowAway, ThrowAwaySource

# The sandbox keeps little in memory; a server that holds a replica has more than that.
BUFFER_POOL = 1 << 30


class Place(Protocol):
    """A source and a destination; `kind` is the destination's, `storage` the engine of the source's tables."""

    kind: str
    storage: str
    source: ThrowAwaySource
    environment: Mapping[str, str]

    @property
    def admin(self) -> sa.Engine:
        """Whoever fills and changes the source; each statement is committed at once."""

    @property
    def servers(self) -> Mapping[str, int]:
        """The pid of each server, by its name."""

    def open_space(self, space: str) -> sa.URL:
        """Make an empty place of that name, and say how it is reached."""

    def drop_space(self, space: str) -> None:
        """Drop it with all that is in it."""

    def refer(self, table: str) -> None:
        """Make ready to compare with the source's table as it is now."""

    def compare(self, space: str, item: Item) -> Verdict:
        """Compare a table with what it was when it was referred to."""

    def prove(self, space: str, item: Item, changed: str) -> None:
        """Show that planted differences are seen; AssertionError otherwise."""

    def calm(self) -> None:
        """Let the servers write what they hold, so that a run does not pay for the one before."""


@dataclass(frozen=True)
class PostgresPlace:
    """From MyISAM, as clinics have it, to a schema of PostgreSQL for each tool."""

    state: State
    source: ThrowAwaySource
    warehouse: ThrowAway
    environment: Mapping[str, str]
    kind: str = "postgresql"
    storage: str = "MyISAM"

    @property
    def admin(self) -> sa.Engine:
        """The source's owner."""
        return _commit_each(self.source)

    @property
    def servers(self) -> Mapping[str, int]:
        """The source's, and the destination's."""
        return _find_servers(self.state, "MariaDB", "PostgreSQL")

    @property
    def reader(self) -> sa.URL:
        """The source as its reader sees it."""
        return sa.make_url(self.source.reader_url)

    @property
    def address(self) -> sa.URL:
        """The warehouse."""
        return sa.make_url(self.warehouse.admin_url)

    def open_space(self, space: str) -> sa.URL:
        """A schema."""
        run(self._root(), (f'CREATE SCHEMA "{space}" AUTHORIZATION {self.address.username}',))
        return self.address

    def drop_space(self, space: str) -> None:
        """The schema, and those beside it whose names begin with its own."""
        with self._root().connect() as connection:
            query = sa.text("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, :space)")
            names = connection.execute(query, {"space": space}).scalars().all()
        for name in names:
            run(self._root(), (f'DROP SCHEMA "{name}" CASCADE',))

    def refer(self, table: str) -> None:
        """Copy the source's table beside the others, as text."""
        equality.write_reference(self.reader, self.address, table)

    def compare(self, space: str, item: Item) -> Verdict:
        """Row by row, in PostgreSQL."""
        return equality.compare(self.reader, self.address, space, item)

    def prove(self, space: str, item: Item, changed: str) -> None:
        """Plant and take back."""
        equality.prove(self.reader, self.address, space, item, changed)

    def calm(self) -> None:
        """A checkpoint."""
        run(self._root(), ("CHECKPOINT",))

    def _root(self) -> sa.Engine:
        return postgres_root(self.state, self.warehouse.name)


@dataclass(frozen=True)
class ReplicaPlace:
    """From InnoDB to InnoDB on one server, a database for each tool."""

    state: State
    source: ThrowAwaySource
    environment: Mapping[str, str]
    kind: str = "mysql"
    storage: str = "InnoDB"

    @property
    def admin(self) -> sa.Engine:
        """The source's owner."""
        return _commit_each(self.source)

    @property
    def servers(self) -> Mapping[str, int]:
        """The one that has both."""
        return _find_servers(self.state, "MariaDB")

    def open_space(self, space: str) -> sa.URL:
        """A database."""
        create_mariadb_database(self.state, _database(space))
        return mariadb_url(self.state, ADMIN, _database(space))

    def drop_space(self, space: str) -> None:
        """The database."""
        drop_mariadb_database(self.state, _database(space))

    def refer(self, table: str) -> None:
        """The server compares with the source itself."""

    def compare(self, space: str, item: Item) -> Verdict:
        """Checksums, and where they differ row by row."""
        return replica_equality.compare(self.source.engine, self.source.name, _database(space), item)

    def prove(self, space: str, item: Item, changed: str) -> None:
        """Plant and take back."""
        replica_equality.prove(self.source.engine, self.source.name, _database(space), item, changed)

    def calm(self) -> None:
        """Write dirty pages until few are left."""
        run(
            mariadb_root(self.state),
            ("SET GLOBAL innodb_max_dirty_pages_pct = 0", "DO SLEEP(1)", "SET GLOBAL innodb_max_dirty_pages_pct = 90"),
        )


def _commit_each(source: ThrowAwaySource) -> sa.Engine:
    return source.engine.execution_options(isolation_level="AUTOCOMMIT")


def _find_servers(state: State, *names: str) -> dict[str, int]:
    found = {"MariaDB": state.mariadb.process, "PostgreSQL": state.postgres.process}
    return {name: process.pid for name, process in found.items() if process and name in names}


def _database(space: str) -> str:
    return f"{THROW_AWAY}{space}"


@contextmanager
def postgres_place(state: State) -> Iterator[Place]:
    """Both ends of loads into PostgreSQL, gone at the end."""
    with mariadb_database(state, "bench") as source, postgres_database(state, "bench") as warehouse:
        yield PostgresPlace(state, source, warehouse, render_environment(state))


@contextmanager
def replica_place(state: State) -> Iterator[Place]:
    """Both ends of loads into a replica, gone at the end."""
    run(mariadb_root(state), (f"SET GLOBAL innodb_buffer_pool_size = {BUFFER_POOL}",))
    with mariadb_database(state, "bench") as source:
        yield ReplicaPlace(state, source, render_environment(state))
