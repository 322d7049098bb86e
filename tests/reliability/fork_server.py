"""The tap's and the target's process without the second that their imports cost: a server of forks, on a socket.

A process that has imported both waits for requests; for each it forks, and the fork becomes `tap-opendental
ARGUMENTS`, with an environment, standard output and standard error of its own. Everything after the imports is what the
command does, up to the interpreter's end and its exit code. Any number of forks may run at once.

The tests start the real command too (`harness.by_command`). A kill inside the imports shows nothing, and 1.3 s of CPU
for each start would be most of their time.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "tap-opendental": "tap_opendental.tap",
    "hasty-tap": "tests.reliability.odd_taps",
    "tired-tap": "tests.reliability.odd_taps",
    "stock-tap": "tests.stock_tap",
    "target-opendental-replica": "target_opendental_replica.target",
    "hasty-target": "tests.reliability.odd_targets",
}
IMPORTED = ("tap_opendental.tap", *(f"target_opendental_replica.{name}" for name in ("target", "mysql", "postgres")))
LONGEST_REQUEST = 1 << 17  # bytes
LONGEST_RUN = 120  # seconds, after which the kernel ends a fork: one that hangs must not hang the tests


@dataclass(frozen=True)
class Fork:
    """A tap that runs: its process, and the pipe on which its exit code will stand."""

    pid: int
    ending: int

    def wait(self) -> int:
        """Return the exit code, or minus the signal that ended the process."""
        with os.fdopen(self.ending) as ending:
            return int(ending.read())


class ForkServer:
    """The server, and how a test asks it for a fork."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        with theirs:
            command = [sys.executable, "-m", "tests.reliability.fork_server"]
            self._process = subprocess.Popen(command, cwd=ROOT, stdin=theirs)

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        stdout: int,
        stderr: int,
        stdin: int = subprocess.DEVNULL,
    ) -> Fork:
        """Start one of PROGRAMS with its arguments; all descriptors stay the caller's to close."""
        request = json.dumps({"command": list(command), "environment": dict(environment)})
        reading, writing = os.pipe()
        with open(os.devnull) as nothing:  # noqa: PTH123 - a descriptor, not a file
            given = nothing.fileno() if stdin == subprocess.DEVNULL else stdin
            socket.send_fds(self._socket, [request.encode()], [stdout, stderr, writing, given])
        os.close(writing)
        pid = int(os.read(reading, 16))
        return Fork(pid, reading)

    def stop(self) -> None:
        """End the server; forks that still run are not its business."""
        self._socket.close()
        self._process.wait()


def serve() -> None:
    """Fork for each request, until the tests close their end; returns in each fork, as the program that it is to be."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    requests = socket.socket(fileno=0)
    while True:
        request, descriptors, *_ = socket.recv_fds(requests, LONGEST_REQUEST, 4)
        if not request:
            sys.exit()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.detach()  # or its end closes what is the program's standard input by then
            become(json.loads(request), *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def become(request: Mapping[str, Any], stdout: int, stderr: int, ending: int, stdin: int) -> None:
    """Return as the program's process, with its descriptors in place; the process in between waits for its end."""
    if (pid := os.fork()) != 0:
        for descriptor in (0, stdin, stdout, stderr):
            os.close(descriptor)
        tell_end(pid, ending)
    for descriptor, number in ((stdout, 1), (stderr, 2), (stdin, 0)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.close(ending)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = list(request["command"])
    signal.alarm(LONGEST_RUN)


def tell_end(pid: int, ending: int) -> NoReturn:
    """Write the process's id at once, and how it ended when it did."""
    os.write(ending, f"{pid:<16}".encode())
    _, status = os.waitpid(pid, 0)
    os.write(ending, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # what was imported is left alone when a fork ends
    serve()
    importlib.import_module(PROGRAMS[sys.argv[0]]).main()
