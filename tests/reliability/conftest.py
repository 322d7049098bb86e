"""A source of small tables, the tap in a plain pipe before it, and the seed of everything that is random here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import yaml
from tests.integration import conftest as integration
from tests.integration.conftest import config_of
from tests.reliability.chains import DURABLE, begin_chain
from tests.reliability.destinations import DIALECTS, open_destination
from tests.reliability.harness import Pipe, Start, compare
from tests.reliability.tables import DEFINITIONS, Writer, create_tables, tables_yml

from opendental_analyze.sandbox.databases import mariadb_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SEED = int(os.environ.get("RELIABILITY_SEED", "4"))
# How many times the kills that a test makes by itself: `RELIABILITY_ROUNDS=25` makes 1,000 of 40.
ROUNDS = int(os.environ.get("RELIABILITY_ROUNDS", "1"))

# Runs without a fault until all is exact: the first one covers everything up to its own begin.
CLEAN_RUNS = 1
# Of each table, and of a page at its begin; pages grow until they hold so many bytes, some 15 to 20 rows.
ROWS, PAGE_ROWS, PAGE_BYTES = 120, 15, 3000
forks = integration.forks
LONGEST = ("test_rows_that_commit_late", "test_kills_inside_meltano", "test_a_second_with_thousands")


def pytest_report_header() -> str:
    return f"reliability: RELIABILITY_SEED={SEED} RELIABILITY_ROUNDS={ROUNDS}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first, so that no worker begins one when the others are about to end."""
    items.sort(key=lambda item: not any(name in item.nodeid for name in LONGEST))


@pytest.fixture
def seeded(request) -> Random:
    """Random numbers of the test's own, the same in every run with the same RELIABILITY_SEED."""
    return Random(f"{SEED} {request.node.name}")  # noqa: S311 - kills and writes, no secrets


@pytest.fixture
def root(sandbox) -> Iterator[sa.Engine]:
    """The server's administrator, who may kill connections and grant rights."""
    engine = mariadb_root(sandbox.state)
    yield engine
    engine.dispose()


@dataclass(frozen=True)
class Source:
    """A database of the test's own: who writes to it, and the tap's config for reading it."""

    name: str
    engine: sa.Engine
    reader: sa.URL
    folder: Path

    def sql(self, *statements: str) -> None:
        """Run statements as the application, in UTC, without parameters."""
        with self.engine.connect() as connection:
            verbatim = connection.execution_options(isolation_level="AUTOCOMMIT", no_parameters=True)
            verbatim.exec_driver_sql("SET time_zone = '+00:00', sql_mode = ''")
            for statement in statements:
                verbatim.exec_driver_sql(statement)

    def review(self, tables: Mapping[str, Any]) -> str:
        """Write tables.yml; its path."""
        path = self.folder / "tables.yml"
        path.write_text(yaml.safe_dump({"tables": dict(tables)}))
        return str(path)

    def config(self, **settings: Any) -> dict[str, Any]:
        """The tap's config: pages of some 15 rows, a state after each, the reviewed tables if there are any."""
        path = self.folder / "tables.yml"
        reviewed = {"tables_config": str(path)} if path.exists() else {}
        small = {"max_page_bytes": PAGE_BYTES, "state_interval_seconds": 0}
        return config_of(self.reader, **{**small, **reviewed, **settings})

    def differing(self, pipe: Pipe, *tables: str) -> dict[str, Any]:
        """What differs between the source and what the target holds; nothing of it is empty."""
        return compare(self.engine, self.name, pipe.folder, tables)


@pytest.fixture
def source(mariadb_database, tmp_path) -> Source:
    """An empty source. Its engine speaks without TLS, whose context costs PyMySQL 30 ms for each connection."""
    url, reader = mariadb_database.engine.url, sa.make_url(mariadb_database.reader_url)
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"ssl_disabled": True})
    return Source(mariadb_database.name, engine, reader, tmp_path)


@pytest.fixture
def make_pipe(source, forks, tmp_path_factory):
    """A new store, and the tap before it, forked or started by `start`; settings are the tap's."""

    def make(start: Start = forks.start, **settings: Any) -> Pipe:
        return Pipe(tmp_path_factory.mktemp("store"), source.config(**settings), start)

    return make


@pytest.fixture
def stock_pipe(source, forks, tmp_path_factory) -> Pipe:
    """A tap as the SDK makes them, in the place of ours."""
    config = {"url": source.engine.url.render_as_string(hide_password=False)}
    return Pipe(tmp_path_factory.mktemp("stock"), config, forks.start, program="stock-tap")


@dataclass(frozen=True)
class Practice:
    """The source with one table for each way of reading, and its writer."""

    source: Source
    writer: Writer
    tables: tuple[str, ...] = tuple(DEFINITIONS)

    def differing(self, pipe: Pipe) -> dict[str, Any]:
        """What differs of any table between the source and what the target holds."""
        return self.source.differing(pipe, *self.tables)


@pytest.fixture
def practice(source, seeded) -> Practice:
    """Every way of reading, filled."""
    with source.engine.begin() as connection:
        create_tables(connection)
    source.review(tables_yml(PAGE_ROWS)["tables"])
    writer = Writer(source.engine, seeded)
    writer.fill(ROWS)
    return Practice(source, writer)


@pytest.fixture(params=DIALECTS)
def destination(request, sandbox):
    """An empty destination of each dialect."""
    with open_destination(sandbox, request.param) as empty:
        yield empty


@pytest.fixture
def make_chain(destination, forks, tmp_path):
    """A table that holds three batches by now."""
    return lambda way="merged", **settings: begin_chain(
        DURABLE[destination.dialect], way, destination, tmp_path, forks, **settings
    )
