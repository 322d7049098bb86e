"""A filled practice for tests that only read it, and the tap as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from tests.mysql_loading import Replica, settings_of
from tests.reliability.fork_server import ForkServer
from tests.strategies import write_incremental

from opendental_analyze.sandbox.addresses import SOURCE, render_environment
from opendental_analyze.sandbox.databases import mariadb_root
from opendental_analyze.sandbox.filling import Wish, fill_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TAP = Path(sys.executable).parent / "tap-opendental"

# PyMySQL reads the system's certificates for each connection: 50 ms, of a test on its own some 300. No server of these
# tests shows one that they vouch for, and whoever is given a CA by a test still reads that one.
os.environ["SSL_CERT_FILE"] = os.devnull

# Of few tests, or of one that takes half a minute.
LONGEST = ("test_dbt_sources", "test_tap")


def pytest_configure(config: pytest.Config) -> None:
    """Let `--dist loadfile` give the files out in the order below."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first and those of few tests last, so that no worker begins a long one at the end."""
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.stem not in LONGEST, -tests[item.path]))


@pytest.fixture
def replica(mariadb_database) -> Iterator[Replica]:
    """An empty MySQL replica, written by the loader itself; some modules have their own."""
    place = Replica(mariadb_database, settings_of(mariadb_database))
    yield place
    place.close()


@dataclass(frozen=True)
class Practice:
    """A filled source: the tap's config as its reader, engines as reader and as administrator."""

    config: Mapping[str, Any]
    reader: sa.Engine
    admin: sa.Engine
    database: str = SOURCE


@pytest.fixture(scope="session")
def practice(sandbox) -> Iterator[Practice]:
    """All tables, 20 patients; tests read it and do not change it."""
    fill_source(sandbox, Wish(patients=20, seed=3), lambda _table, _rows: None)
    environment = render_environment(sandbox.state)
    reader = sa.create_engine(environment["OPENDENTAL_SOURCE_URL"])
    admin = sa.create_engine(environment["OPENDENTAL_SOURCE_ADMIN_URL"])
    yield Practice(config_of(reader.url), reader, admin)
    reader.dispose()
    admin.dispose()


@pytest.fixture(scope="session")
def incremental(practice, tmp_path_factory) -> str:
    """Path of a tables.yml in which the practice's tables are incremental, small as they are."""
    path = tmp_path_factory.mktemp("config") / "tables.yml"
    return write_incremental(path, practice.reader, practice.database)


def config_of(url: sa.URL, **settings: Any) -> dict[str, Any]:
    """The tap's config for an address."""
    address = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
    return {**address, "database": url.database, **settings}


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """Starts the tap without the second that its imports take."""
    server = ForkServer()
    yield server
    server.stop()


@pytest.fixture
def run_tap(tmp_path, forks):
    """Run `tap-opendental --config FILE` to its end, in a clean environment and a process of its own: a fork."""

    def run(config: Mapping[str, Any], *arguments: str, **files: Any) -> subprocess.CompletedProcess[str]:
        command = [TAP.name, *start_command(tmp_path, config, *arguments, **files)[1:]]
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as log:
            code = forks.start(command, clean_environment(), output.fileno(), log.fileno()).wait()
            output.seek(0)
            log.seek(0)
            return subprocess.CompletedProcess(command, code, output.read(), log.read())

    return run


@pytest.fixture
def run_installed_tap(tmp_path):
    """The same by the command that a user starts, imports and all."""

    def run(config: Mapping[str, Any], *arguments: str, **files: Any) -> subprocess.CompletedProcess[str]:
        command = start_command(tmp_path, config, *arguments, **files)
        return subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment())

    return run


def start_command(folder: Path, config: Mapping[str, Any], *arguments: str, **files: Any) -> list[str]:
    """The command line, with the config and each of `files` (state, catalog) written to a folder."""
    command = [str(TAP), *arguments]
    for name, content in {"config": config, **files}.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content))
        command += [f"--{name}", str(path)]
    return command


def clean_environment() -> dict[str, str]:
    """The environment without settings of a sandbox that the developer may have exported."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TAP_OPENDENTAL_")}


def records(output: str) -> dict[str, list[dict[str, Any]]]:
    """Records by stream, of a tap's whole output."""
    found: dict[str, list[dict[str, Any]]] = {}
    for message in messages(output):
        if message["type"] == "RECORD":
            found.setdefault(message["stream"], []).append(message["record"])
    return found


def messages(output: str) -> list[dict[str, Any]]:
    """Every Singer message of a tap's output, in order."""
    return [json.loads(line) for line in output.splitlines()]


@pytest.fixture
def general_log(sandbox):
    """What the reader sends to the server: a context manager whose list is filled at its end."""
    root = mariadb_root(sandbox.state)

    @contextmanager
    def recording() -> Iterator[list[str]]:
        statements: list[str] = []
        with root.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET GLOBAL log_output = 'TABLE'")
            connection.exec_driver_sql("TRUNCATE mysql.general_log")
            connection.exec_driver_sql("SET GLOBAL general_log = 1")
            yield statements
            connection.exec_driver_sql("SET GLOBAL general_log = 0")
            logged = connection.exec_driver_sql(
                "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log "
                "WHERE command_type = 'Query' AND user_host LIKE 'opendental_reader%%' ORDER BY event_time"
            )
            statements += [row[0] for row in logged]

    yield recording
    root.dispose()
