"""One run of a tool: its wall time, processor time (its own and the servers'), memory of its processes, and its end."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from timing import read_cpu

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[3]
PERIOD = 0.25
MEGABYTE = 1024
SHOWN = 160
# Lines that say why a tool ended; the last of them is what is reported.
REASONS = re.compile(
    r"\b(\w*errors?|fatal|\w*exception|panic|refus\w+|fail\w*|cannot|unhandled|unable)\b", re.IGNORECASE
)
# A server's word, or the cause that a later line only follows, is preferred.
CAUSES = re.compile(r"SQLSTATE|\bERROR: |exhausted|out of memory", re.IGNORECASE)
# Codes for colour, and what a log puts before its message.
DECORATION = re.compile(r"\x1b\[[0-9;]*m|^[\d\-T:.,+Z ]{8,}|[╭╮╰╯│─]+")


@dataclass(frozen=True)
class Command:
    """What to start: arguments, variables beside the inherited ones, the words that nobody may read, and the folder."""

    arguments: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    folder: Path = ROOT


@dataclass(frozen=True)
class Run:
    """What one run cost; `reason` is None when it ended well, else why it did not, in one line.

    `memory` is the peak of each program in megabytes, of the largest process of its name. `cpu` are processor seconds
    of the tool, `servers` those that each server took in that time.
    """

    seconds: float
    cpu: float
    memory: Mapping[str, float]
    servers: Mapping[str, float]
    reason: str | None = None
    stopped: bool = False


def run_command(command: Command, folder: Path, limit: float, servers: Mapping[str, int]) -> Run:
    """Run to the end, at most `limit` seconds; what it prints goes to `stdout` and `stderr` in the folder.

    `servers` are pids by name.
    """
    memory: dict[str, float] = {}
    over = threading.Event()
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        before = read_servers(servers)
        started = time.perf_counter()
        process = subprocess.Popen(
            command.arguments,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=clean_environment() | command.variables,
            cwd=command.folder,
            start_new_session=True,
        )
        watcher = threading.Thread(target=_watch, args=(process.pid, memory, over))
        watcher.start()
        stopped, usage, code = _wait(process, started + limit)
        seconds = time.perf_counter() - started
    after = read_servers(servers)
    over.set()
    watcher.join()
    reason = _stop_reason(limit) if stopped else None if code == 0 else _read_reason(folder, command, code)
    return Run(seconds, usage, memory, {name: after[name] - before[name] for name in servers}, reason, stopped)


def read_servers(servers: Mapping[str, int]) -> dict[str, float]:
    """Processor seconds of each server since its start: of its processes, those of PostgreSQL's sessions included."""
    return {name: sum(map(_read_living, [pid, *_descend(pid)])) for name, pid in servers.items()}


def _read_living(pid: int) -> float:
    """CPU seconds of a process; 0 for one that is gone, whose parent has waited for it."""
    with suppress(OSError):
        return read_cpu(pid)
    return 0.0


def clean_environment() -> dict[str, str]:
    """The environment without what a developer may have set for another source, warehouse or project."""
    foreign = ("TAP_", "TARGET_", "SINGER_SDK_", "MELTANO_", "OPENDENTAL_", "PG", "MYSQL_", "SLING_", "INGESTR_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | {"NO_COLOR": "1"}


def _wait(process: subprocess.Popen[bytes], deadline: float) -> tuple[bool, float, int]:
    """Wait, with processor seconds of the process and of all that it waited for; stop it and its group when late."""
    ended = os.pidfd_open(process.pid)
    in_time, _, _ = select.select([ended], [], [], max(deadline - time.perf_counter(), 0))
    os.close(ended)
    if not in_time:
        _kill_tree(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    with suppress(ProcessLookupError):  # what the tool left behind
        os.killpg(process.pid, signal.SIGKILL)
    return not in_time, usage.ru_utime + usage.ru_stime, process.returncode


def _kill_tree(pid: int) -> None:
    """End the process and all below it: those of Meltano are in groups of their own."""
    for member in [*_descend(pid), pid]:
        with suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)


def _watch(pid: int, memory: dict[str, float], over: threading.Event) -> None:
    while not over.wait(PERIOD):
        for member in [pid, *_descend(pid)]:
            with suppress(OSError):
                name, peak = _read_process(member)
                memory[name] = max(memory.get(name, 0.0), peak)


def _descend(pid: int) -> Iterator[int]:
    """All living processes below one."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _descend(int(child))


def _read_process(pid: int) -> tuple[str, float]:
    """What a process is called (of Python: its script), and its peak memory in megabytes."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    names = [Path(word).name for word in words if word and not word.startswith("-")]
    name = next((name for name in names if not re.fullmatch(r"python[\d.]*|bash|sh", name)), "shell")
    peak = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return name, int(peak[1]) / MEGABYTE if peak else 0.0


def _stop_reason(limit: float) -> str:
    return f"stopped after {limit:.0f} s"


def _read_reason(folder: Path, command: Command, code: int) -> str:
    """The last line that looks like the reason, without secrets and paths, and the exit code."""
    text = "".join((folder / name).read_text(errors="replace")[-20_000:] for name in ("stdout", "stderr"))
    lines = [DECORATION.sub("", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line] or ["says nothing"]
    last = next((place for words in (CAUSES, REASONS) for place in _find(lines, words)), len(lines) - 1)
    told = " ".join(lines[last : last + 2]) if lines[last].endswith(":") else lines[last]
    return f"exit code {code}: {_conceal(told, command)[:SHOWN]}"


def _find(lines: Sequence[str], words: re.Pattern[str]) -> Iterator[int]:
    """The places of the lines that say one of the words, the last first."""
    return (place for place in reversed(range(len(lines))) if words.search(lines[place]))


def _conceal(line: str, command: Command) -> str:
    for word in (*command.secrets, f"{ROOT}/", f"{Path.home()}/"):
        line = line.replace(word, "...") if word else line
    return line.replace("|", "/")
