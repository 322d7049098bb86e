"""A database of canaries, and our programs run on it with everything that they write kept."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import yaml
from tests.canaries import KEYS_GROW, render_canaries, render_tables_file
from tests.integration.conftest import clean_environment, config_of
from tests.reliability.harness import by_command

from opendental_analyze.sandbox.databases import mariadb_root
from opendental_analyze.sandbox.throw_away import mariadb_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Engine
    from tests.reliability.fork_server import ForkServer
    from tests.reliability.harness import Running

    from opendental_analyze.sandbox.sandbox import Sandbox

# What a fault costs in time: one try more, no waiting, and a STATE after every page.
QUICK = {"page_retries": 1, "lock_wait_seconds": 0, "state_interval_seconds": 0}


@dataclass(frozen=True)
class Ended:
    """How a run ended: exit code, standard output, and all else that it wrote: standard error and log files."""

    code: int
    stdout: str = field(repr=False)
    written: str = field(repr=False)

    @property
    def said(self) -> str:
        """What a person reads of it at the level INFO."""
        return "\n".join(line for line in self.written.splitlines() if line[:1] != "{" and "| DEBUG " not in line)

    @property
    def states(self) -> list[dict[str, Any]]:
        """The states of its STATE messages, in order."""
        messages = (line for line in self.stdout.splitlines() if line.startswith('{"type":"STATE"'))
        return [json.loads(message)["value"] for message in messages]


@dataclass(frozen=True)
class Flight:
    """A run that has begun; `output` is the reading end of its standard output, `stderr` collects the other one."""

    process: Running
    output: int
    stderr: Drain

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid


class Drain:
    """Reads a descriptor to its end in the background."""

    def __init__(self, descriptor: int) -> None:
        self._pieces: list[bytes] = []
        self._thread = threading.Thread(target=self._read, args=[descriptor])
        self._thread.start()

    def _read(self, descriptor: int) -> None:
        with open(descriptor, "rb", buffering=0) as file:
            while piece := file.read(65536):
                self._pieces.append(piece)

    def text(self) -> str:
        """All of it, once the other end is closed."""
        self._thread.join()
        return b"".join(self._pieces).decode(errors="backslashreplace")


@dataclass(frozen=True)
class Aviary:
    """`config` is the tap's; `admin` may do anything on the server; `files` is where the database's files are."""

    folder: Path
    config: Mapping[str, Any]
    environment: Mapping[str, str]
    reader_url: str
    admin: Engine
    files: Path
    forks: ForkServer

    def run(self, *arguments: str, program: str = "tap-opendental", **files: Any) -> Ended:
        """Run a program to its end; each of `files` (config, state, catalog) is written for it."""
        flight = self.start(*arguments, program=program, **files)
        return self.end(flight, Drain(flight.output).text())

    def start(
        self, *arguments: str, program: str = "tap-opendental", stdout: int | None = None, **files: Any
    ) -> Flight:
        """Start a program; its standard output is a pipe, unless it is given."""
        output, to_output = os.pipe()
        errors, to_errors = os.pipe()
        start = by_command if program == "opendental" else self.forks.start
        try:
            command = [program, *arguments, *self._write(files)]
            process = start(command, self.environment, to_output if stdout is None else stdout, to_errors)
        finally:
            os.close(to_output)
            os.close(to_errors)
        return Flight(process, output, Drain(errors))

    def end(self, flight: Flight, stdout: str = "") -> Ended:
        """Wait for a program, and collect what it wrote; its log files are then gone."""
        code = flight.process.wait()
        logs = list(self.folder.glob("*.log"))
        written = "\n".join([flight.stderr.text(), *(path.read_text(errors="backslashreplace") for path in logs)])
        for path in logs:
            path.unlink()
        with suppress(OSError):  # closed by the one who read it
            os.close(flight.output)
        return Ended(code, stdout, written)

    def _write(self, files: Mapping[str, Any]) -> Iterator[str]:
        for name, content in files.items():
            path = self.folder / f"{name}.json"
            path.write_text(content if isinstance(content, str) else json.dumps(content))
            yield from (f"--{name}", str(path))

    def do(self, *statements: str) -> None:
        """Run statements in the database as the server's administrator."""
        with self.admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))

    def restore(self, *tables: str) -> None:
        """Make tables and their rows as they were."""
        self.do(*render_canaries(tables))


@contextmanager
def open_aviary(sandbox: Sandbox, folder: Path, forks: ForkServer) -> Iterator[Aviary]:
    """Fill a database of its own with canaries; every run there logs at DEBUG, as text and as JSON."""
    (folder / "tables.yml").write_text(render_tables_file())
    with mariadb_database(sandbox.state) as database:
        url = sa.make_url(database.reader_url)
        admin = sa.create_engine(mariadb_root(sandbox.state).url.set(database=database.name))
        log = {"TAP_OPENDENTAL_LOGLEVEL": "DEBUG", "SINGER_SDK_LOG_CONFIG": write_logging(folder)}
        place = Aviary(
            folder,
            config_of(url, tables_config=str(folder / "tables.yml"), **QUICK),
            clean_environment() | log,
            database.reader_url,
            admin,
            sandbox.state.mariadb.data / database.name,
            forks,
        )
        place.do(*render_canaries(), *KEYS_GROW)
        yield place
        admin.dispose()


def write_logging(folder: Path, *libraries: str) -> str:
    """Path of a configuration that logs at DEBUG, as text to stderr and as JSON with extras to a file.

    Libraries that keep quiet of themselves, as SQLAlchemy does, must be named to be heard.
    """
    formatters = {"console": "ConsoleFormatter", "json": "StructuredFormatter"}
    handlers = {
        "console": {"class": "logging.StreamHandler", "formatter": "console", "stream": "ext://sys.stderr"},
        "file": {"class": "logging.FileHandler", "formatter": "json", "filename": str(folder / "structured.log")},
    }
    content = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {name: {"()": f"singer_sdk.logging.{formatter}"} for name, formatter in formatters.items()},
        "handlers": handlers,
        "root": {"handlers": [*handlers], "level": "DEBUG"},
        "loggers": {name: {"level": "DEBUG"} for name in libraries},
    }
    path = folder / "-".join(["logging", *libraries])
    path.write_text(yaml.safe_dump(content))
    return str(path)
