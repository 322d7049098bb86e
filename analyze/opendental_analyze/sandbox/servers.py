"""The life of one server: create its data, start it, find it again, stop it. The same for MariaDB and PostgreSQL."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from opendental_analyze.errors import ForeignServerError, SandboxError
from opendental_analyze.sandbox.ports import find_port
from opendental_analyze.sandbox.processes import is_running, start, stop

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from opendental_analyze.sandbox.account import Account
    from opendental_analyze.sandbox.state import ServerState

LOG = "server.log"
_STARTS = 3
_PATIENCE = 60.0
_PAUSE = 0.05
_TAIL = 4096


@dataclass(frozen=True)
class Program:
    """What tells MariaDB from PostgreSQL: how to create data, which command serves it, which signals end it."""

    title: str
    initialise: Callable[[Path, Account, str], None]
    render_command: Callable[[Path, int], list[str | Path]]
    signals: tuple[tuple[signal.Signals, float], ...]


@dataclass(frozen=True)
class Server:
    """A program over the files of one sandbox, run by one account.

    `ready` asks a started server whether it serves; `remember` writes a started server down before it is waited for,
    so that no server is ever forgotten.
    """

    program: Program
    account: Account
    password: str
    ready: Callable[[ServerState], bool]
    remember: Callable[[ServerState], None]

    def ensure_running(self, state: ServerState) -> None:
        """Leave the server that runs, or start one on the same data and, if it is free, the same port."""
        if is_up(state):
            return
        self._ensure_data(Path(state.directory))
        for _ in range(_STARTS):
            started = self._start(state)
            if self._becomes_ready(started):
                return
            self.remember(self.stop(started))
        raise SandboxError(
            f"{self.program.title} does not start: {read_last_error(Path(state.directory) / LOG)}; "
            "`opendental sandbox down --delete` forgets its data"
        )

    def stop(self, state: ServerState) -> ServerState:
        """End the server if it runs; an error, and no signal, if the process is not this sandbox's."""
        if state.process is not None:
            stop(state.process, state.data, self.program.signals)
        return replace(state, process=None)

    def _ensure_data(self, directory: Path) -> None:
        if directory.exists():
            return
        draft = draft_directory(directory)
        if draft.exists():
            shutil.rmtree(draft)
        for part in (draft, draft / "data", draft / "tmp"):
            self.account.make_directory(part)
        self.program.initialise(draft, self.account, self.password)
        draft.rename(directory)

    def _start(self, state: ServerState) -> ServerState:
        directory, port = Path(state.directory), find_port(state.port)
        command = self.program.render_command(directory, port)
        process = start(command, account=self.account, directory=directory, log=directory / LOG)
        started = replace(state, port=port, process=process)
        self.remember(started)
        return started

    def _becomes_ready(self, state: ServerState) -> bool:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if self.ready(state):
                return True
            if not is_up(state):
                return False
            time.sleep(_PAUSE)
        return False


def draft_directory(directory: Path) -> Path:
    """Where a server's files are created before they get their name, so that half-made ones are never served."""
    return directory.with_name(directory.name + ".new")


def is_up(state: ServerState) -> bool:
    """True while our server lives; False when it is gone, also when its pid is another program's by now."""
    try:
        return state.process is not None and is_running(state.process, state.data)
    except ForeignServerError:
        return False


def read_last_error(log: Path) -> str:
    """The last complaint in a server's log, or where to look."""
    try:
        lines = log.read_bytes()[-_TAIL:].decode(errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    complaints = [line for line in lines if "ERROR" in line or "FATAL" in line]
    return f"{complaints[-1].strip()} (log: {log})" if complaints else f"see {log}"
