"""Servers for tests: one private sandbox for the whole run, one throw-away database for each test."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from opendental_analyze.errors import MissingServerError, SandboxError
from opendental_analyze.sandbox.binaries import find_mariadbd, find_postgres, read_version
from opendental_analyze.sandbox.processes import read_start
from opendental_analyze.sandbox.sandbox import Sandbox
from opendental_analyze.sandbox.throw_away import mariadb_database as throw_away_mariadb
from opendental_analyze.sandbox.throw_away import postgres_database as throw_away_postgres

ROOTS = "opendental-tests-"


def pytest_report_header() -> str:
    try:
        mariadb, postgres = find_mariadbd(), find_postgres() / "postgres"
    except MissingServerError as error:
        return f"servers: {error}"
    return f"servers: MariaDB {read_version(mariadb)} ({mariadb}), PostgreSQL {read_version(postgres)} ({postgres})"


@pytest.fixture(scope="session")
def sandbox():
    """A running sandbox of this run's own, without a table; a missing server fails the test, here and in CI."""
    stop_forgotten()
    root = Path(tempfile.mkdtemp(prefix=f"{ROOTS}{os.getpid()}-{read_start(os.getpid())}-"))
    root.chmod(0o755)
    place = Sandbox(root)
    try:
        place.start()
        yield place
    finally:
        place.shut_down(delete=True)


@pytest.fixture
def mariadb_database(sandbox):
    """An empty MariaDB database of the test's own: `.name`, `.admin_url`, `.reader_url`, `.engine`."""
    with throw_away_mariadb(sandbox.state) as database:
        yield database


@pytest.fixture
def postgres_database(sandbox):
    """A PostgreSQL database of the test's own with raw and its sisters: `.name`, `.admin_url`, `.engine`."""
    with throw_away_postgres(sandbox.state) as database:
        yield database


def stop_forgotten() -> None:
    """Stop and delete the sandboxes of test runs that were killed before they could do it themselves."""
    for root in Path(tempfile.gettempdir()).glob(f"{ROOTS}*"):
        pid, started = root.name.removeprefix(ROOTS).split("-")[:2]
        with suppress(SandboxError, FileNotFoundError):  # another run is at it
            if root.lstat().st_uid == os.geteuid() and str(read_start(int(pid))) != started:
                Sandbox(root).shut_down(delete=True)
