"""Server processes that outlive the command that starts them, known by more than a number.

A pid alone can be another program's by now. A process is ours when it was started in the same boot, at the same clock
tick, and still names our data directory on its command line.
"""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opendental_analyze.errors import ForeignServerError, SandboxError

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Sequence

    from opendental_analyze.sandbox.account import Account

_SPAWN = 'umask 077; log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'
_STATE, _START_TIME = 0, 19
_GONE = ("Z", "X")
_PAUSE = 0.02


@dataclass(frozen=True)
class Process:
    """A process of this machine: its pid, its start in clock ticks since the boot, and which boot that was."""

    pid: int
    started: int
    boot: str


def start(command: Sequence[str | Path], *, account: Account, directory: Path, log: Path) -> Process:
    """Start a program in a session of its own, detached from this process and its terminal.

    The shell in between hands the server over to init: no handle of ours is left to wait for it.
    """
    spawn = ["/bin/sh", "-c", _SPAWN, "sh", str(log), *map(str, command)]
    done = subprocess.run(  # noqa: S603  # our own arguments
        spawn, check=False, capture_output=True, text=True, start_new_session=True, cwd=directory,
        **{**account.popen_arguments, "stdin": subprocess.DEVNULL},
    )  # fmt: skip
    if done.returncode:
        raise SandboxError(f"cannot start {command[0]}: {done.stderr.strip()}")
    pid = int(done.stdout)
    started = read_start(pid)
    return Process(pid=pid, started=-1 if started is None else started, boot=read_boot())


def read_boot() -> str:
    """The identity of the running boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def read_start(pid: int) -> int | None:
    """When the process started, in clock ticks since the boot; None if there is no such living process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[_STATE] in _GONE else int(fields[_START_TIME])


def is_running(process: Process, data: Path) -> bool:
    """True when our process lives; False when it is gone; an error when its pid is another program's."""
    if process.boot != read_boot():
        return False
    started = read_start(process.pid)
    if started is None:
        return False
    if started != process.started or str(data) not in _command_line(process.pid):
        raise ForeignServerError(
            f"process {process.pid} is not the server that this sandbox started on {data}: it is left alone; "
            "if that server is gone for good, `opendental sandbox up` starts another on the same data"
        )
    return True


def stop(process: Process, data: Path, signals: Iterable[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn, as long as our process lives, and give it that many seconds to end."""
    for number, patience in signals:
        if not is_running(process, data):
            return
        _send(process.pid, number)
        if _ends_within(process, patience):
            return
    raise SandboxError(f"process {process.pid} on {data} does not end; stop it by hand: kill -9 {process.pid}")


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise SandboxError(f"process {pid} belongs to another user: stop it as the user who started it") from error


def _ends_within(process: Process, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if read_start(process.pid) != process.started:
            return True
        time.sleep(_PAUSE)
    return False


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
