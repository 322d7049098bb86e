"""A sandbox for one benchmark, and what its MariaDB server counts."""

from __future__ import annotations

import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from timing import CommandFailedError, Timing, time_command

from opendental_analyze.sandbox.databases import mariadb_root
from opendental_analyze.sandbox.filling import Wish, fill_source
from opendental_analyze.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contenders import Contender, Job

    from opendental_analyze.sandbox.state import State

NOWHERE = Path("/dev/null")


@contextmanager
def filled_sandbox(patients: int, storage: str = "MyISAM") -> Iterator[State]:
    """Servers in a temporary directory, their source filled; gone at the end, and when told to stop."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="opendental-bench-", ignore_cleanup_errors=True) as directory:
        root = Path(directory)
        root.chmod(0o755)
        sandbox = Sandbox(root)
        try:
            sandbox.start()
            fill_source(sandbox, Wish(engine=storage, patients=patients, seed=1), lambda *_: None)
            yield sandbox.state
        finally:
            sandbox.shut_down(delete=True)


def read_pid(state: State) -> int:
    """The pid of the MariaDB server."""
    process = state.mariadb.process
    if process is None:
        raise RuntimeError("the sandbox's MariaDB is not up")
    return process.pid


def count_rows_sent(state: State) -> int:
    """Rows that the server has sent to anybody since its start."""
    with mariadb_root(state).connect() as connection:
        return int(connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Rows_sent'").one()[1])


def load_to_nowhere(state: State, contender: Contender, job: Job, rows: int) -> Timing:
    """Let a tool read a table to /dev/null; CommandFailedError unless the server sent that many rows at least."""
    before = count_rows_sent(state)
    timing = time_command(contender.command(job), NOWHERE, read_pid(state), stderr=job.folder / "stderr")
    sent = count_rows_sent(state) - before
    if sent < rows:
        raise CommandFailedError(f"{contender.name} read {sent:,} rows of {job.table}, not {rows:,}")
    return timing


@contextmanager
def logged_statements(state: State, user: str) -> Iterator[list[str]]:
    """The statements that a user sends while the block runs; the list is filled at its end."""
    statements: list[str] = []
    with mariadb_root(state).connect() as connection:
        connection.exec_driver_sql("SET GLOBAL log_output = 'TABLE'")
        connection.exec_driver_sql("TRUNCATE mysql.general_log")
        connection.exec_driver_sql("SET GLOBAL general_log = 1")
        try:
            yield statements
        finally:
            connection.exec_driver_sql("SET GLOBAL general_log = 0")
        logged = connection.exec_driver_sql(
            "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log "
            "WHERE command_type IN ('Query', 'Execute') AND user_host LIKE CONCAT(%s, '[%%') ORDER BY event_time",
            (user,),
        )
        statements += [row[0] for row in logged]
