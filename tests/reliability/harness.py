"""A tap and a target in a plain pipe, with something happening after the k-th line; and the comparison at the end."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from tests.integration.conftest import clean_environment
from tests.oracle import differing, plain_moment, read_columns, read_keys, read_source, rows_by_key
from tests.reliability.oracle_target import STATE, read_state, read_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import sqlalchemy as sa
    from tests.oracle import Key

BIN = Path(sys.executable).parent
ORACLE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("oracle_target.py")))
F_SETPIPE_SZ = 1031  # of Linux; in Python's fcntl from 3.10 on, but not on every platform that type checkers know
# A pipe of one page lets the tap run ahead of its reader by 4 KB only, some 20 lines.
PIPE_BYTES = 4096
RECORDS = (b'{"type":"RECORD"', b'{"type": "RECORD"')


@dataclass(frozen=True)
class Event:
    """What happens to the target, so many seconds after it began to get lines."""

    action: Callable[[Running], None]
    seconds: float

    def on(self, target: Running) -> threading.Timer:
        """A timer that is to be started."""
        timer = threading.Timer(self.seconds, self.action, [target])
        timer.daemon = True
        return timer


class Running(Protocol):
    """A process that was started."""

    pid: int

    def wait(self) -> int:
        """Return its exit code, or minus the signal that ended it, once it has ended."""


class Start(Protocol):
    """Starts a program with arguments, an environment, and descriptors for its output and its log."""

    def __call__(
        self, command: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int, stdin: int = ...
    ) -> Running:
        """Start it; the descriptors stay the caller's to close. Without `stdin` it reads nothing."""


def by_command(
    command: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int, stdin: int = subprocess.DEVNULL
) -> Running:
    """Start a program of this environment as a user does."""
    program, *arguments = command
    name = program if os.sep in program else str(BIN / program)
    return subprocess.Popen([name, *arguments], env=dict(environment), stdin=stdin, stdout=stdout, stderr=stderr)


@dataclass(frozen=True)
class Outcome:
    """How one run ended: both exit codes, the lines and records that the target got, and what both wrote on stderr."""

    code: int
    target_code: int
    lines: int
    records: int
    log: str
    target_log: str

    @property
    def last_line(self) -> str:
        """What the tap said last."""
        return (self.log.splitlines() or [""])[-1]


@dataclass(frozen=True)
class Pipe:
    """The tap with its config, the target, and the folder where the last state is.

    A target's state is the last line of its standard output; the oracle target prints none and writes the file itself.
    """

    folder: Path
    config: Mapping[str, Any]
    start: Start
    target: tuple[str, ...] = ()
    target_environment: Mapping[str, str] = field(default_factory=clean_environment)
    program: str = "tap-opendental"
    start_target: Start = by_command

    @property
    def state(self) -> dict[str, Any] | None:
        """The state that the next run will start from."""
        return read_state(self.folder)

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state that the next run will start from."""
        (self.folder / STATE).write_text(json.dumps(state))

    def run(
        self,
        at: Mapping[int, Callable[[Running], None]] | None = None,
        *,
        after: float | None = None,
        to_target: Event | None = None,
        **settings: Any,
    ) -> Outcome:
        """Run once, from the state in the folder, with some settings changed.

        `at` holds what to do after the tap's k-th whole line was read; `after` so many seconds the tap is killed.
        `to_target` is what happens to the target, so many seconds after the tap's first line.
        """
        reading, writing = os.pipe()
        fcntl.fcntl(writing, F_SETPIPE_SZ, PIPE_BYTES)
        with _files(3) as (log, states, target_log):
            tap = self.start(self._command(settings), clean_environment(), writing, log.fileno())
            os.close(writing)
            target, sink = self._start_target(states, target_log)
            with _alarm(after, tap), sink:
                lines, records = _pump(reading, sink, tap, dict(at or {}), to_target and to_target.on(target))
            codes = tap.wait(), target.wait()
            self._keep_state(_read_all(states))
            logs = (_read_all(file).decode() for file in (log, target_log))
            return Outcome(*codes, lines, records, *logs)

    def settle(self, runs: int = 1, **settings: Any) -> Outcome:
        """Run to the end without a fault; the last outcome. AssertionError with both logs when that fails."""
        for _ in range(runs):
            outcome = self.run(**settings)
            assert (outcome.code, outcome.target_code) == (0, 0), outcome.log[-3000:] + outcome.target_log[-3000:]
        return outcome

    def copy(self, folder: Path) -> Pipe:
        """The same pipe over a copy of the store."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return replace(self, folder=folder)

    def _command(self, settings: Mapping[str, Any]) -> list[str]:
        path, state = self.folder / "config.json", self.folder / STATE
        path.write_text(json.dumps({**self.config, **settings}))
        return [self.program, "--config", str(path), *(["--state", str(state)] if state.exists() else [])]

    def _start_target(self, states: IO[bytes], log: IO[bytes]) -> tuple[Running, IO[bytes]]:
        """Start the target; what is written to the file goes to its standard input."""
        command = self.target or (*ORACLE, str(self.folder))
        reading, writing = os.pipe()
        target = self.start_target(command, self.target_environment, states.fileno(), log.fileno(), reading)
        os.close(reading)
        return target, os.fdopen(writing, "wb", buffering=0)

    def _keep_state(self, states: bytes) -> None:
        for state in states.splitlines()[-1:]:
            (self.folder / STATE).write_bytes(state)


@contextmanager
def _files(count: int) -> Iterator[list[IO[bytes]]]:
    """So many files that are gone afterwards."""
    with ExitStack() as stack:
        yield [stack.enter_context(tempfile.TemporaryFile()) for _ in range(count)]


@contextmanager
def _alarm(seconds: float | None, tap: Running) -> Iterator[None]:
    """Kill the tap some time after its start, or never."""
    timer = threading.Timer(seconds or 0, send(signal.SIGKILL), [tap])
    if seconds is not None:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _pump(
    reading: int, sink: IO[bytes], tap: Running, events: dict[int, Any], timer: threading.Timer | None = None
) -> tuple[int, int]:
    """Copy the tap's output to the target and count its whole lines and records; events happen between lines."""
    lines = records = 0
    with os.fdopen(reading, "rb", buffering=0) as output, suppress(BrokenPipeError), sink:
        for line in _read_lines(output):
            if timer and not lines:
                timer.start()
            _write_all(sink, line)
            lines += line.endswith(b"\n")
            records += line.startswith(RECORDS)
            if event := events.pop(lines, None):
                event(tap)
    return lines, records


def _write_all(sink: IO[bytes], line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[sink.write(rest) :]


def _read_lines(output: IO[bytes]) -> Iterator[bytes]:
    """Whole lines as soon as they are there, and at the end what follows the last one."""
    rest = b""
    while chunk := output.read(PIPE_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


def _read_all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def send(number: signal.Signals) -> Callable[[Running], None]:
    """What sends a signal to the tap, if it still runs."""

    def event(tap: Running) -> None:
        with suppress(ProcessLookupError):
            os.kill(tap.pid, number)

    return event


def storm(tap: Running) -> None:
    """Send ten signals within 20 ms: Ctrl-C, which reaches the tap too, Meltano's SIGTERM, and again."""
    for number in (signal.SIGINT, signal.SIGTERM) * 5:
        send(number)(tap)
        time.sleep(0.002)


def compare(source: sa.Engine, database: str, folder: Path, tables: Sequence[str]) -> dict[str, dict[Key, str]]:
    """What differs between the source and the oracle target's store, over all columns, by table and key."""
    columns, keys, held = read_columns(source, database), read_keys(source, database), read_tables(folder)
    problems = {}
    for table in tables:
        expected = read_source(source, table, columns[table], keys[table])
        plain = (plain_record(columns[table], record) for record in held.get(table, {}).values())
        problems[table] = differing(expected, rows_by_key(plain, keys[table]))
    return {table: found for table, found in problems.items() if found}


def plain_record(kinds: Mapping[str, str], record: Mapping[str, Any]) -> dict[str, Any]:
    """A record's values in the plain form of tests/oracle.py; a column that is missing stays missing."""
    return {name: plain_json(kinds[name], value) for name, value in record.items() if name in kinds}


def plain_json(kind: str, value: Any) -> Any:
    """One JSON value in plain form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if value is not None and kind in {"datetime", "timestamp", "date"}:
        return plain_moment(value.replace("T", " ").removesuffix("+00:00"))
    return value
