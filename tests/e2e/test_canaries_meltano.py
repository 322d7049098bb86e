"""No row's value in what a run by Meltano leaves behind: its console, its log files, the logs of both servers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from tests.aviary import Aviary, open_aviary
from tests.canaries import ROWS, TABLES, WORD, find_canaries
from tests.e2e.conftest import read_logs
from tests.reliability.fork_server import ForkServer
from tests.wire import Rule, Session, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Run:
    """A run's exit code, and what it left: console and Meltano's log files, the servers' logs."""

    code: int
    log: str = field(repr=False)
    servers: str = field(repr=False)


@pytest.fixture(scope="module")
def aviary(sandbox, tmp_path_factory) -> Iterator[Aviary]:
    """A source of canaries."""
    forks = ForkServer()
    with open_aviary(sandbox, tmp_path_factory.mktemp("aviary"), forks) as place:
        yield place
    forks.stop()


@pytest.fixture
def run_meltano(pipeline, aviary, sandbox, postgres_database, tmp_path):
    """`meltano run tap-opendental target-postgres` from the aviary into a database of its own."""
    target = sa.make_url(postgres_database.admin_url)
    logs = [sandbox.root / name / "server.log" for name in ("mariadb", "postgres")]

    def run(level: str, **settings: str) -> Run:
        begun = [path.stat().st_size for path in logs]
        source = {f"TAP_OPENDENTAL_{name.upper()}": str(value) for name, value in aviary.config.items()}
        command = [f"--log-level={level}", "run", "--state-id-suffix=canaries", "tap-opendental", "target-postgres"]
        places = {"TARGET_POSTGRES_DATABASE": str(target.database), "XDG_STATE_HOME": str(tmp_path)}
        done = pipeline.meltano(*command, **source | settings | places)
        written = "".join(path.read_bytes()[at:].decode(errors="replace") for path, at in zip(logs, begun, strict=True))
        return Run(done.returncode, done.stdout + done.stderr + read_logs(tmp_path), written)

    return run


def quote_a_value(session: Session) -> bool:
    """Answer a page as MySQL does: with an error that quotes a value."""
    session.answer_error(1062, f"Duplicate entry '{WORD}' for key 'PRIMARY'")
    return True


def test_a_run_that_fails_leaves_no_canary(run_meltano, aviary, postgres_database):
    """At INFO, of a run in which one stream fails on a value and four land whole; at DEBUG the stock parts sing.

    The second half is the control: the same search finds canaries where docs/security.md says that they are.
    """
    rule = Rule("FROM `patient`", quote_a_value, skip=1, times=None)
    with Wire(aviary.config["host"], aviary.config["port"], rule) as wire:
        run = run_meltano("info", TAP_OPENDENTAL_PORT=str(wire.port))
    assert find_canaries(run.log) == []
    assert find_canaries(run.servers) == []
    assert run.code != 0
    assert "patient (MySQL error 1062 while reading table patient)" in run.log
    with postgres_database.engine.connect() as connection:
        for table in TABLES.keys() - {"patient"}:
            assert connection.exec_driver_sql(f'SELECT count(*) FROM raw."{table}"').scalar_one() == ROWS
    loud = run_meltano("debug", TAP_OPENDENTAL_TABLES='["patient"]')
    assert loud.code == 0, loud.log[-3000:]
    assert any("Processed record" in found for found in find_canaries(loud.log))
