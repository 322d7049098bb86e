"""What a command costs: itself, and the MariaDB server beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

STOPWATCH = Path(__file__).parent / "stopwatch.py"
TICKS = os.sysconf("SC_CLK_TCK")
# Places in /proc/PID/stat behind the name: user and system time, of the process and of the children it waited for.
TIMES = slice(11, 15)
SHOWN_OF_ERRORS = 2000


class CommandFailedError(Exception):
    """A measured command did not end well: its figures mean nothing."""


@dataclass(frozen=True)
class Timing:
    """Wall and CPU seconds and peak memory of one run, the server's CPU seconds in that time, and bytes written."""

    seconds: float
    cpu: float
    megabytes: float
    server_cpu: float
    written: float = 0.0


def time_command(command: Sequence[str], stdout: Path, server: int | None = None, *, stderr: Path) -> Timing:
    """Run a command in a process of its own; CommandFailedError with the end of its stderr when it fails.

    `server` is the pid of the server that it asks.
    """
    before = read_cpu(server)
    watched = [sys.executable, "-I", "-S", str(STOPWATCH), str(stdout), str(stderr), *command]
    done = subprocess.run(watched, check=True, capture_output=True, env=clean_environment())
    figures = json.loads(done.stdout)
    if figures["exit_code"] != 0:
        shown = stderr.read_text(errors="replace")[-SHOWN_OF_ERRORS:]
        raise CommandFailedError(f"{Path(command[0]).name} ended with {figures['exit_code']}: {shown}")
    return Timing(figures["seconds"], figures["cpu_seconds"], figures["peak_megabytes"], read_cpu(server) - before)


def read_cpu(pid: int | None) -> float:
    """CPU seconds of a living process since its start, and of children that it waited for; 0 for none."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[TIMES])) / TICKS


def medians(timings: Sequence[Timing]) -> Timing:
    """The median of each figure by itself."""
    return Timing(*map(median, zip(*map(astuple, timings), strict=True)))


def clean_environment() -> dict[str, str]:
    """The environment without a tap's settings, and without a log level or format of the developer's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TAP_", "SINGER_SDK_"))}
