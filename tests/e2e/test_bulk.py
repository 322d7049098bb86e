"""`meltano run nightly-bulk`: raw at bulk speed, in files that Meltano never sees the inside of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from tests.e2e.conftest import aim_at, read_logs
from tests.oracle import read_keys
from tests.reliability.conftest import Source
from tests.reliability.destinations import Destination

from opendental_analyze.sandbox.addresses import SOURCE
from opendental_analyze.sandbox.practice.canaries import CANARIES, CANARY_NAME, SECRET_CANARIES
from opendental_analyze.sandbox.throw_away import postgres_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ = re.compile(r"completed processing \d+ lines of input \(428 schemas, (\d+) records, (\d+) batch manifests")


@dataclass(frozen=True)
class Bulk:
    """What the run left: its code, its console and log files, the warehouse and the folder for temporary files."""

    code: int
    log: str
    warehouse: Destination
    temporary: Path


@pytest.fixture(scope="module")
def bulk(pipeline, sandbox, tmp_path_factory) -> Iterator[Bulk]:
    """One night into an empty warehouse."""
    logs, temporary = tmp_path_factory.mktemp("logs"), tmp_path_factory.mktemp("temporary")
    with postgres_database(sandbox.state) as empty:
        settings = {"TMPDIR": str(temporary), "XDG_STATE_HOME": str(logs), **aim_at(empty.engine)}
        run = pipeline.meltano("run", "nightly-bulk", **settings)
        raw = Destination("postgresql", empty.engine.url, empty.engine)
        yield Bulk(run.returncode, run.stdout + run.stderr + read_logs(logs), raw, temporary)


def test_raw_is_the_source(pipeline, bulk, tmp_path):
    """Every table with a key, empty or not, is there and equal in raw: counts, keys, every value."""
    assert bulk.code == 0, bulk.log[-3000:]
    source = Source(SOURCE, pipeline.source, pipeline.source.url, tmp_path)
    assert bulk.warehouse.differing_keys(source) == {}
    tables = set(sa.inspect(bulk.warehouse.engine).get_table_names(schema="raw"))
    assert tables == {*read_keys(source.engine, source.name), "_od_load_state", "_od_tables"}


def test_no_row_passes_through_meltano(bulk):
    """The target counts not one RECORD among its lines, and the rows that landed are thousands."""
    (records, files) = map(int, READ.search(bulk.log).groups())
    assert (records, files > 100) == (0, True)
    (inserted,) = set(
        re.findall(r"Loaded 428 streams: (\d+) rows inserted, 0 updated, 0 unchanged, 0 deleted", bulk.log)
    )
    assert int(inserted) > 10_000


def test_the_files_are_gone(bulk):
    """Where the files of rows were, nothing is left that anybody could read."""
    left = [path for path in bulk.temporary.rglob("*") if path.is_file()]
    assert [path.name for path in left if path.stat().st_size] == []
    assert {path.name for path in left} <= {"lock"}


def test_no_canary_in_any_log(bulk):
    """Names, notes and secrets of the practice are in raw or nowhere, and none is in the console or Meltano's logs."""
    with bulk.warehouse.engine.connect() as connection:
        statement = f"SELECT count(*) FROM raw.patient WHERE \"LName\" = '{CANARY_NAME}'"
        assert connection.exec_driver_sql(statement).scalar_one() == 1
    assert "Beginning sync of 'patient'" in bulk.log
    assert [canary for canary in (*CANARIES, *SECRET_CANARIES) if canary in bulk.log] == []
