"""A tap's output by script, gone on with from any state; our target under it; and what its table must hold then.

A script is endless: batch after batch of one stream, a STATE behind each. `merged` batches overlap in their keys and
delete a row each; `swapped` ones are parts of versions, each of which takes the table's place when it is whole.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.integration.conftest import clean_environment

from tap_opendental.discovery.model import Column, Table
from target_opendental_replica.errors import ReplicaError
from target_opendental_replica.target import TargetOpenDentalReplica

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.reliability.destinations import Destination
    from tests.reliability.fork_server import Fork, ForkServer

STREAM = "visit"
LINEAGE = "00c0ffee00c0ffee"
WAYS = ("merged", "swapped")
PARTS = 3
"""Batches of a version, and of a run."""
_ROWS, _STEP = 9, 5
_COLUMNS = (
    (Column("Num", "bigint(20)", nullable=False), {"type": ["integer"]}),
    (Column("Name", "varchar(60)", default="NULL", collation="utf8mb4_general_ci"), {"type": ["string", "null"]}),
)
_GONE = "2026-01-02T03:04:05Z"


@dataclass(frozen=True)
class Script:
    """What the tap says; with an `engine` the stream is an exact one of a table with that engine."""

    way: str
    engine: str | None = None
    stream: str = STREAM

    def lines(self, done: int, until: int) -> list[str]:
        """The lines of a run from the state behind batch `done` up to batch `until`."""
        messages = [self.schema(done)]
        for number in range(done + 1, until + 1):
            messages += [*self._records(number), {"type": "STATE", "value": self.state(number)}]
        return [json.dumps(message) for message in messages]

    def state(self, done: int) -> dict[str, Any]:
        """The state behind a batch."""
        return {"bookmarks": {self.stream: self._entry(done)}} if done else {}

    def rows(self, done: int) -> dict[int, str]:
        """What the table holds behind a batch."""
        if self.way == "swapped":
            whole = done - done % PARTS
            return {num: text for part in range(whole - PARTS + 1, whole + 1) if part > 0 for num, text in _part(part)}
        held: dict[int, str] = {}
        for number in range(1, done + 1):
            held |= dict(_part(number))
            held.pop(_deleted(number), None)
        return held

    def schema(self, done: int) -> dict[str, Any]:
        """The SCHEMA message of a run that starts behind a batch."""
        entry = self._entry(done) if done else {}
        facts: dict[str, Any] = {
            "start": {"lineage": LINEAGE, "serial": done, "version": entry.get("version"), "bookmark": entry}
        }
        if self.engine:
            columns = tuple(column for column, _ in _COLUMNS)
            table = Table(self.stream, columns, ("Num",), engine=self.engine, collation="utf8mb4_general_ci")
            facts |= {"table": table.to_dict(), "withheld": [], "values": "exact"}
        properties = {
            column.name: {**schema, **({"x-opendental": {"column": vars(column)}} if self.engine else {})}
            for column, schema in _COLUMNS
        }
        schema = {"properties": properties, "x-opendental": facts}
        return {"type": "SCHEMA", "stream": self.stream, "schema": schema, "key_properties": ["Num"]}

    def _entry(self, done: int) -> dict[str, Any]:
        is_within = self.way == "swapped" and done % PARTS
        return {
            "lineage": LINEAGE,
            "serial": done,
            "done": done,
            **({"version": done // PARTS + 1} if is_within else {}),
        }

    def _records(self, number: int) -> Iterator[dict[str, Any]]:
        version = {"version": (number - 1) // PARTS + 1} if self.way == "swapped" else {}
        for num, text in _part(number):
            record = {"Num": num, "Name": text}
            yield {"type": "RECORD", "stream": self.stream, "record": record, **version}
        if not version:
            record = {"Num": _deleted(number), "_sdc_deleted_at": _GONE}
            yield {"type": "RECORD", "stream": self.stream, "record": record}
        elif number % PARTS == 0:
            yield {"type": "ACTIVATE_VERSION", "stream": self.stream, **version}


def _part(number: int) -> list[tuple[int, str]]:
    """The rows of a batch: it shares some keys with the one before it."""
    return [(num, f"{number}: {num}") for num in range(_STEP * number, _STEP * number + _ROWS)]


def _deleted(number: int) -> int:
    """The key that a batch deletes: it came with the batch before, and does not come with this one."""
    return _STEP * number - 4


@dataclass(frozen=True)
class Ended:
    """How the target ended: its exit code, the states that it sent, and what it wrote on stderr."""

    code: int
    states: tuple[dict[str, Any], ...]
    log: str = field(repr=False)

    @property
    def error(self) -> str:
        """The line that says what went wrong, alone: AssertionError when there is another number of them."""
        told = [line for line in self.log.splitlines() if line.startswith("target-opendental-replica: error: ")]
        assert len(told) == 1, self.log[-3000:]
        assert "Traceback" not in self.log, self.log[-3000:]
        return told[0].removeprefix("target-opendental-replica: error: ")


@dataclass(frozen=True)
class Flight:
    """A target that runs."""

    process: Fork
    stdout: Any
    stderr: Any

    def end(self) -> Ended:
        """Wait for it."""
        code = self.process.wait()
        states = [json.loads(line) for line in _read(self.stdout).splitlines()]
        return Ended(code, tuple(states), _read(self.stderr))


@dataclass(frozen=True)
class Target:
    """Our target before a destination; `settings` are added to its config, `environment` to what it starts with."""

    destination: Destination
    folder: Path
    forks: ForkServer
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    program: str = "target-opendental-replica"

    def run(self, lines: Sequence[str | bytes], **settings: Any) -> Ended:
        """Give it lines, and wait for its end."""
        with tempfile.TemporaryFile() as content:
            content.writelines(_encode(line) for line in lines)
            content.seek(0)
            return self.start(content.fileno(), **settings).end()

    def start(self, stdin: int, **settings: Any) -> Flight:
        """Start it on a descriptor, which stays the caller's to close."""
        name = f"target-{os.urandom(4).hex()}"
        folder = self.folder / name
        folder.mkdir()
        config = self.destination.write_config(folder, **{**self.settings, **settings})
        environment = {**clean_environment(), "MELTANO_PROJECT_ROOT": str(self._project()), **self.environment}
        stdout, stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - read when it ended
        command = [self.program, "--config", config]
        process = self.forks.start(command, environment, stdout.fileno(), stderr.fileno(), stdin)
        return Flight(process, stdout, stderr)

    def listen(self, lines: Sequence[str], **more: Any) -> tuple[list[dict[str, Any]], ReplicaError | None]:
        """Give it lines in this process, which spares a start; the states, and the error that it ends with."""
        url = self.destination.url
        login = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
        settings = {"dialect": self.destination.dialect, "database": url.database, "workers": 1, "retries": 0}
        ours = TargetOpenDentalReplica(config={**login, **settings, **more})
        states, error = io.StringIO(), None
        with redirect_stdout(states):
            try:
                ours.listen(io.StringIO("".join(f"{line}\n" for line in lines)))
            except ReplicaError as found:
                error = found
        if "crew" in ours.__dict__:
            ours.crew.close()
        return [json.loads(line) for line in states.getvalue().splitlines()], error

    @contextmanager
    def fed(self, **settings: Any) -> Iterator[Feed]:
        """Start it on a pipe, to which the block writes lines; when it ends, so does the input."""
        reading, writing = os.pipe()
        flight = self.start(reading, **settings)
        os.close(reading)
        feed = Feed(flight, writing)
        try:
            yield feed
        finally:
            feed.close()

    def _project(self) -> Path:
        project = self.folder / "project"
        (project / ".meltano").mkdir(parents=True, exist_ok=True)
        return project


@dataclass
class Feed:
    """A target's input while it runs."""

    flight: Flight
    _writing: int

    def write(self, lines: Sequence[str]) -> None:
        """Write lines."""
        content = memoryview(b"".join(_encode(line) for line in lines))
        while content:
            content = content[os.write(self._writing, content) :]

    def close(self) -> None:
        """End the input."""
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    def end(self) -> Ended:
        """End the input, and wait for the target's end."""
        self.close()
        return self.flight.end()


def _encode(line: str | bytes) -> bytes:
    return line if isinstance(line, bytes) else line.encode("utf-8", "surrogateescape") + b"\n"


def _read(file: Any) -> str:
    with file:
        file.seek(0)
        return str(file.read().decode(errors="backslashreplace"))
