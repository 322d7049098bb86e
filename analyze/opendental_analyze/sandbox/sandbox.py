"""The sandbox: a private MariaDB and a private PostgreSQL under one directory, and their life."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from opendental_analyze.errors import SandboxError
from opendental_analyze.sandbox import databases, mariadb, postgres
from opendental_analyze.sandbox.account import choose_account
from opendental_analyze.sandbox.addresses import ROOT
from opendental_analyze.sandbox.binaries import require_servers
from opendental_analyze.sandbox.processes import is_running
from opendental_analyze.sandbox.servers import Server, draft_directory, is_up
from opendental_analyze.sandbox.state import STATE_FILE, create_state, read_state, write_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opendental_analyze.sandbox.account import Account
    from opendental_analyze.sandbox.state import ServerState, Source, State

ELSEWHERE = Path("/var/tmp")  # noqa: S108  # it survives a reboot; whose directory is found there gets checked
LOCK = "lock"
_PROGRAMS = {"mariadb": mariadb.PROGRAM, "postgres": postgres.PROGRAM}


@dataclass(frozen=True)
class Sandbox:
    """The sandbox of one directory; a command makes one of these and asks it for one thing."""

    root: Path

    @property
    def is_up(self) -> bool:
        """True while both servers live."""
        state = read_state(self.root)
        return state is not None and all(map(is_up, state.servers.values()))

    @property
    def state(self) -> State:
        """What the running sandbox remembers; an error when it is not up."""
        state = read_state(self.root)
        if state is None or not self.is_up:
            raise SandboxError(f"the sandbox in {self.root} is not up: run `opendental sandbox up`")
        return state

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands away from this sandbox while a block changes it."""
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SandboxError(f"another command is at work on {self.root}: wait for it to end") from error
            yield

    def start(self) -> bool:
        """Bring both servers up with their databases and users; False when they were up already."""
        already = self.is_up
        require_servers()
        self._create_root()
        account = choose_account()
        state = _still_there(read_state(self.root)) or create_state(choose_home(self.root, account))
        write_state(self.root, state)
        for name, server in state.servers.items():
            self._server(name, state, account).ensure_running(server)
        databases.create_databases(self.state)
        return not already

    def stop(self) -> tuple[str, ...]:
        """End both servers and name those that ran; no signal to any if one of the processes is not ours."""
        state = read_state(self.root)
        if state is None:
            return ()
        running = [name for name, server in state.servers.items() if _is_ours(server)]
        for name, server in state.servers.items():
            self._remember(name, self._server(name, state, choose_account()).stop(server))
        return tuple(_PROGRAMS[name].title for name in running)

    def remember_source(self, source: Source | None) -> None:
        """Write down what the source database holds; None while it is being filled."""
        write_state(self.root, replace(self.state, source=source))

    def shut_down(self, *, delete: bool = False) -> tuple[str, ...]:
        """What `stop` does, and then delete all that the sandbox ever wrote if asked to."""
        if not self.root.exists():
            return ()
        with self.locked():
            stopped = self.stop()
            if delete:
                self._delete()
        return stopped

    def _delete(self) -> None:
        state = read_state(self.root)
        if state is not None:
            _delete_files(state, keep=self.root)
        for name in (STATE_FILE, LOCK):
            (self.root / name).unlink(missing_ok=True)
        if not any(self.root.iterdir()):
            self.root.rmdir()

    def _open_lock(self) -> TextIO:
        try:
            self._create_root()
            return (self.root / LOCK).open("w")
        except OSError as error:
            raise SandboxError(f"cannot write to {self.root}: {error.strerror}; choose another --root") from error

    def _create_root(self) -> None:
        if not self.root.exists():
            self.root.mkdir(parents=True)
            self.root.chmod(0o755)  # the servers' account passes through it

    def _server(self, name: str, state: State, account: Account) -> Server:
        def ready(server: ServerState) -> bool:
            now = state.with_server(name, server)
            root = databases.mariadb_root(now) if name == "mariadb" else databases.postgres_root(now)
            return databases.answers_as_root(root)

        return Server(
            program=_PROGRAMS[name],
            account=account,
            password=state.passwords[f"{name}:{ROOT}"],
            ready=ready,
            remember=lambda server: self._remember(name, server),
        )

    def _remember(self, name: str, server: ServerState) -> None:
        state = read_state(self.root)
        if state is not None:
            write_state(self.root, state.with_server(name, server))


def choose_home(root: Path, account: Account) -> Path:
    """Where the servers' files go: the sandbox's directory, or, if their account cannot reach it, /var/tmp."""
    if account.can_enter(root):
        return root
    home = ELSEWHERE / f"opendental-sandbox-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}"
    home.mkdir(mode=0o711, exist_ok=True)
    found = home.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise SandboxError(f"{home} belongs to somebody else: remove it, or choose another --root")
    home.chmod(0o711)  # whatever the umask made of it
    return home


def _still_there(state: State | None) -> State | None:
    """What a sandbox remembers, less what somebody deleted behind its back."""
    if state is None or not Path(state.home).exists():
        return None
    return state if state.mariadb.data.exists() else replace(state, source=None)


def _delete_files(state: State, *, keep: Path) -> None:
    for server in state.servers.values():
        directory = Path(server.directory)
        for written in filter(Path.exists, (directory, draft_directory(directory))):
            shutil.rmtree(written)
    if Path(state.home) != keep and Path(state.home).exists():
        Path(state.home).rmdir()


def _is_ours(server: ServerState) -> bool:
    return server.process is not None and is_running(server.process, server.data)
