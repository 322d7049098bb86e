"""Kills inside `meltano run`, of our target, of the tap and of Meltano itself: five of each dialect, row-exact then.

Meltano leaves its loader running when it is killed, with the locks of the tables that it writes. That it ends by
itself, and that the next run is refused while it does not, is part of what is shown here.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import FOREIGN_SETTINGS, MELTANO, ROOT, share_plugins
from tests.reliability.destinations import DIALECTS, Destination, open_destination

from opendental_analyze.sandbox.addresses import render_environment
from target_opendental_replica.mysql.statements import lock_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tests.reliability.conftest import Practice

PLUGINS = {
    "mysql": ("tap-opendental-exact", "target-opendental-replica"),
    "postgresql": ("tap-opendental-bulk", "target-opendental-raw"),
}
TAP, TARGET, RUNNER = "/tap-opendental", "/target-opendental-replica", "/meltano"
# A run reads eight tables and says three lines of each; the target is at it for about as long as one second more.
FEWEST_LINES, LONGEST = 20, 0.8
# Until what was left behind has ended, in seconds: on a machine with other things to do.
PATIENCE = 90
# The last is Meltano's own word for a loader that was gone while Meltano wrote to it.
FAILED = re.compile(r"Extractor failed|Loader failed|Extractor and loader failed|BrokenPipeError")
REFUSED = re.compile(
    r"connection \d+ of the server is writing table|another run \(process \d+ of the server\) writes it"
)


@dataclass(frozen=True)
class Programs:
    """Meltano before one destination, and the processes of its run, which have `mark` in their environment."""

    environment: Mapping[str, str]
    plugins: tuple[str, str]
    mark: bytes

    def start(self, **settings: str) -> Run:
        """Start `meltano run`; a run that was killed counts as running for five minutes, so it is forced."""
        command = [MELTANO, "--env-file", os.devnull, "run", "--force", "--state-id-suffix=kills", *self.plugins]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return Run(subprocess.Popen(command, cwd=ROOT, env={**self.environment, **settings}, text=True, **streams))

    def find(self, program: str = "") -> list[int]:
        """Processes of a run, wherever their parent is; of the tap only one that reads rows."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended while we looked
                words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
                is_asked = any(word.endswith(program) for word in words) and "--discover" not in words
                if is_asked and self.mark in (path / "environ").read_bytes():
                    found.append(int(path.name))
        return found

    def send(self, program: str, number: signal.Signals) -> bool:
        """Send a signal to a program of the run; False when it is not there."""
        pids = self.find(program)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return bool(pids)


@dataclass
class Run:
    """A `meltano run`, and what it has said so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read what it says as it says it."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line)

    @property
    def log(self) -> str:
        """All that it said."""
        return "".join(self.lines)

    def wait(self) -> int:
        """Its exit code, or minus the signal that ended it."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def reach(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for it, or for the end of the run; AssertionError with these words when neither comes."""
        wait_until(lambda: condition() or self.process.poll() is not None, what)

    def is_at(self, lines: int) -> bool:
        """True once the tap has said so many lines of the tables that it reads."""
        return sum("Beginning sync of" in line or " METRIC " in line for line in self.lines) >= lines


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait; AssertionError with these words when it takes too long."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.005)


@pytest.fixture(params=DIALECTS)
def destination(request, sandbox):
    """An empty destination of each dialect."""
    with open_destination(sandbox, request.param) as empty:
        yield empty


@pytest.fixture
def programs(practice, destination, sandbox, tmp_path_factory) -> Programs:
    """Meltano as the replica's or the bulk job runs it, on the test's source and destination."""
    folder = tmp_path_factory.mktemp("meltano")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_SETTINGS)}
    reader, config = practice.source.reader, practice.source.config()
    tap, _ = plugins = PLUGINS[destination.dialect]
    prefix = "TARGET_OPENDENTAL_REPLICA" if destination.dialect == "mysql" else "TARGET_POSTGRES"
    environment = {
        **inherited,
        **render_environment(sandbox.state),
        "TAP_OPENDENTAL_USER": reader.username,
        "TAP_OPENDENTAL_PASSWORD": reader.password,
        "TAP_OPENDENTAL_DATABASE": reader.database,
        "TAP_OPENDENTAL_TABLES_CONFIG": config["tables_config"],
        "TAP_OPENDENTAL_STATE_INTERVAL_SECONDS": "0",
        # No structure changes here, and each look at it costs a start of the tap.
        f"{tap.upper().replace('-', '_')}__USE_CACHED_CATALOG": "true",
        "TAP_OPENDENTAL_MAX_PAGE_BYTES": str(config["max_page_bytes"]),
        f"{prefix}_USER": destination.url.username,
        f"{prefix}_PASSWORD": destination.url.password,
        f"{prefix}_DATABASE": destination.url.database,
        "MELTANO_SYS_DIR_ROOT": share_plugins(folder),
        "XDG_STATE_HOME": str(folder),
        "TMPDIR": str(folder),
        "MELTANO_ENVIRONMENT": "test",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "NO_COLOR": "1",
    }
    return Programs(environment, plugins, f"XDG_STATE_HOME={folder}".encode())


def is_locked(destination: Destination, practice: Practice) -> bool:
    """True while anybody holds a lock on one of the tables at the destination."""
    with destination.engine.connect() as connection:
        if destination.dialect == "postgresql":
            statement = (
                "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
                "WHERE l.locktype = 'advisory' AND d.datname = current_database()"
            )
            return connection.exec_driver_sql(statement).scalar_one() > 0
        names = tuple(lock_name(str(destination.url.database), table) for table in practice.tables)
        asked = " OR ".join(["IS_USED_LOCK(%s) IS NOT NULL"] * len(names))
        return bool(connection.exec_driver_sql(f"SELECT {asked}", names).scalar_one())


@dataclass(frozen=True)
class Scene:
    """Where the kills happen: a practice at work, the programs, and the destination."""

    practice: Practice
    destination: Destination
    programs: Programs
    random: Random

    def cut(self, program: str, number: signal.Signals) -> None:
        """Let a program get the signal at a random moment of a run, in another run if it had ended before."""
        for attempt in range(5):
            lines, seconds = self.random.randrange(1, FEWEST_LINES), self.random.uniform(0, LONGEST / 2**attempt)
            run = self.programs.start()
            run.reach(partial(run.is_at, lines), "the tap reads nothing")
            time.sleep(0 if program == TAP else seconds)
            hit, code = self.programs.send(program, number), run.wait()
            if hit and code:
                self._require_failure(run, program, number, code)
                return
            assert code == 0, run.log[-3000:]
            self.work()
        raise AssertionError(f"{program} had always ended before {number!r}")

    def orphan(self) -> None:
        """Kill Meltano while the target holds locks and hangs: the next run is refused; let on, the target ends."""
        run = self._stop_a_target()
        try:
            self.programs.send(RUNNER, signal.SIGKILL)
            assert run.wait() == -signal.SIGKILL
            self.practice.writer.work(1)
            refused = self.programs.start(TARGET_OPENDENTAL_REPLICA_LOCK_WAIT_SECONDS="1")
            assert refused.wait() == 1
            assert REFUSED.search(refused.log), refused.log[-3000:]
        finally:
            self.programs.send(TARGET, signal.SIGCONT)

    def _stop_a_target(self) -> Run:
        """A run whose target was stopped while it held locks."""
        for _ in range(5):
            run = self.programs.start()
            run.reach(partial(is_locked, self.destination, self.practice), "no table is locked")
            self.programs.send(TARGET, signal.SIGSTOP)
            if is_locked(self.destination, self.practice):
                return run
            self.programs.send(TARGET, signal.SIGCONT)
            assert run.wait() == 0, run.log[-3000:]
            self.work()
        raise AssertionError("the target was always done before it could be stopped")

    def work(self) -> None:
        """Wait until nothing of the run is left, and change some rows."""
        wait_until(lambda: not self.programs.find(), "a process of the run has not ended")
        wait_until(lambda: not is_locked(self.destination, self.practice), "a lock is not free")
        self.practice.writer.work(self.random.randrange(2, 20))

    def _require_failure(self, run: Run, program: str, number: signal.Signals, code: int) -> None:
        if program == RUNNER:
            assert code == 128 + number
            assert "The process was terminated" in run.log, run.log[-3000:]
        else:
            assert code == 1
            assert FAILED.search(run.log), run.log[-3000:]


def test_kills_inside_meltano_cost_nothing(practice, destination, programs, seeded):
    """Target, tap and Meltano, by SIGKILL and SIGTERM: each run fails and says so, nothing stays, nothing is lost."""
    scene = Scene(practice, destination, programs, seeded)
    kills: list[Callable[[], None]] = [
        lambda: scene.cut(TARGET, signal.SIGKILL),
        lambda: scene.cut(TARGET, signal.SIGTERM),
        lambda: scene.cut(TAP, seeded.choice((signal.SIGKILL, signal.SIGTERM))),
        lambda: scene.cut(RUNNER, signal.SIGTERM),
        scene.orphan,
    ]
    seeded.shuffle(kills)
    for kill in kills:
        kill()
        scene.work()
    clean = programs.start()
    assert clean.wait() == 0, clean.log[-3000:]
    assert destination.differing(practice) == {}
