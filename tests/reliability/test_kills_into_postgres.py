"""Kills of the tap before the stock target-postgres: ten in a plain pipe, five inside `meltano run`; row-exact then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import yaml
from tests.e2e.conftest import FOREIGN_SETTINGS, MELTANO, ROOT
from tests.oracle import differing, read_columns, read_keys, read_raw, read_source
from tests.reliability.conftest import CLEAN_RUNS
from tests.reliability.harness import Pipe, send
from tests.wire import Rule, Wire

from opendental_analyze.sandbox.addresses import render_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.reliability.conftest import Practice

TARGET = ROOT / ".meltano/loaders/target-postgres/venv/bin/target-postgres"
FARTHEST = 300


def loader_settings() -> tuple[dict[str, Any], dict[str, str]]:
    """What meltano.yml sets for target-postgres, and its environment."""
    loaders = yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"]["loaders"]
    (loader,) = [loader for loader in loaders if loader["name"] == "target-postgres"]
    return loader["config"], loader["env"]


def compare(practice: Practice, warehouse: sa.Engine) -> dict[str, Any]:
    """What differs of any table between the source and `raw`, row by row over all columns."""
    source = practice.source
    columns, keys = read_columns(source.engine, source.name), read_keys(source.engine, source.name)
    problems = {
        table: differing(
            read_source(source.engine, table, columns[table], keys[table]),
            read_raw(warehouse, table, columns[table], keys[table]),
        )
        for table in practice.tables
    }
    return {table: found for table, found in problems.items() if found}


@pytest.fixture
def into_postgres(practice, make_pipe, postgres_database, tmp_path) -> Pipe:
    """The tap before target-postgres, with the settings of meltano.yml."""
    settings, environment = loader_settings()
    url = sa.make_url(postgres_database.admin_url)
    address = {name: getattr(url, name) for name in ("host", "port", "database", "password")} | {"user": url.username}
    config = tmp_path / "target.json"
    config.write_text(json.dumps(settings | address))
    pipe = make_pipe()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_SETTINGS)}
    command = (str(TARGET), "--config", str(config))
    return Pipe(pipe.folder, pipe.config, pipe.start, command, inherited | environment)


def test_kills_before_target_postgres_cost_nothing(practice, into_postgres, postgres_database, seeded):
    """Ten SIGKILLs of the tap, a writer between them; a clean run later `raw` is exact."""
    kills = 0
    while kills < 10:
        outcome = into_postgres.run({seeded.randrange(1, FARTHEST): send(signal.SIGKILL)})
        assert outcome.code in (0, -signal.SIGKILL), outcome.log[-3000:]
        kills += outcome.code != 0
        practice.writer.work(seeded.randrange(2, 20))
    into_postgres.settle(CLEAN_RUNS)
    assert compare(practice, postgres_database.engine) == {}


@pytest.fixture
def meltano(practice, sandbox, postgres_database, tmp_path) -> Iterator[dict[str, str]]:
    """The environment in which Meltano reads the test's source and loads its warehouse."""
    source, url = practice.source.reader, sa.make_url(postgres_database.admin_url)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_SETTINGS)}
    config = practice.source.config()
    return {
        **inherited,
        **render_environment(sandbox.state),
        "TAP_OPENDENTAL_USER": source.username,
        "TAP_OPENDENTAL_PASSWORD": source.password,
        "TAP_OPENDENTAL_DATABASE": source.database,
        "TAP_OPENDENTAL_TABLES_CONFIG": config["tables_config"],
        "TAP_OPENDENTAL_STATE_INTERVAL_SECONDS": "0",
        "TAP_OPENDENTAL_MAX_PAGE_BYTES": str(config["max_page_bytes"]),
        "TARGET_POSTGRES_USER": url.username,
        "TARGET_POSTGRES_PASSWORD": url.password,
        "TARGET_POSTGRES_DATABASE": url.database,
        "XDG_STATE_HOME": str(tmp_path),
        "MELTANO_ENVIRONMENT": "test",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "NO_COLOR": "1",
    }


def run_meltano(environment: Mapping[str, str], **settings: str) -> subprocess.CompletedProcess[str]:
    command = [MELTANO, "--env-file", os.devnull, "run", "--state-id-suffix=kills", "tap-opendental", "target-postgres"]
    return subprocess.run(
        command, cwd=ROOT, env={**environment, **settings}, capture_output=True, text=True, check=False
    )


def syncing_taps() -> list[int]:
    """Processes of a tap that is reading rows: of the command, with a catalog, and ours."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked
            words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if any(word.endswith("/tap-opendental") for word in words) and "--catalog" in words:
                found.append((int(path.name), (path / "environ").read_bytes()))
    return found


def test_kills_inside_meltano_cost_nothing(practice, meltano, postgres_database, seeded):
    """Five SIGKILLs of the tap inside `meltano run`: each run fails and says so; a clean one later `raw` is exact."""
    mark = f"TAP_OPENDENTAL_DATABASE={practice.source.name}".encode()

    def kill(_session):
        for pid, environment in syncing_taps():
            if mark in environment:
                os.kill(pid, signal.SIGKILL)

    for _ in range(5):
        rule = Rule("FROM `(room|shelf|visit|member|memo|label|journal)`", kill, skip=seeded.randrange(1, 40))
        with Wire("127.0.0.1", practice.source.engine.url.port, rule) as wire:
            run = run_meltano(meltano, TAP_OPENDENTAL_PORT=str(wire.port))
        assert rule.done == 1
        assert run.returncode == 1, run.stderr[-3000:]
        assert "Extractor failed" in run.stdout + run.stderr
        practice.writer.work(seeded.randrange(2, 20))
    for _ in range(CLEAN_RUNS):
        run = run_meltano(meltano)
        assert run.returncode == 0, run.stderr[-3000:]
    assert compare(practice, postgres_database.engine) == {}
