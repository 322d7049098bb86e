"""`meltano run replica`, and the replica as a source: `meltano run replica-and-raw` reads the clinic's server once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from tests.e2e.conftest import aim_at, read_logs
from tests.oracle import read_keys
from tests.reliability.conftest import Source
from tests.reliability.destinations import Destination

from opendental_analyze.sandbox.addresses import READER, REPLICA, REPLICA_OWNER, SOURCE
from opendental_analyze.sandbox.databases import mariadb_root
from opendental_analyze.sandbox.practice.canaries import CANARIES, SECRET_CANARIES
from opendental_analyze.sandbox.throw_away import postgres_database
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opendental_analyze.sandbox.throw_away import ThrowAway

OF_PATIENTS = "FROM `patient`"


@dataclass(frozen=True)
class Run:
    """What a run printed and, of the chain, what the server was asked: user, kind and words, in order."""

    code: int
    log: str
    asked: list[tuple[str, str, str]]

    def task(self, number: int) -> str:
        """What one of the job's tasks said."""
        return self.log.split("Block run completed")[number]


@pytest.fixture(scope="module")
def source(pipeline, tmp_path_factory) -> Source:
    """The practice, as the comparisons want it."""
    return Source(SOURCE, pipeline.source, pipeline.source.url, tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def replica(pipeline) -> Iterator[Destination]:
    """The database that `meltano run replica` filled."""
    run = pipeline.meltano("run", "replica")
    assert run.returncode == 0, run.stderr[-3000:]
    engine = sa.create_engine(pipeline.environment["OPENDENTAL_REPLICA_URL"])
    yield Destination("mysql", engine.url, engine)
    engine.dispose()


@pytest.fixture(scope="module")
def warehouse(sandbox) -> Iterator[ThrowAway]:
    """An empty warehouse."""
    with postgres_database(sandbox.state) as empty:
        yield empty


@pytest.fixture(scope="module")
def filled(source, replica) -> list[str]:
    """Tables with rows: an empty one costs stock target-postgres as much time, and shows little."""
    with replica.engine.connect() as connection:
        tables = [*read_keys(source.engine, source.name)]
        counts = {table: f"SELECT EXISTS (SELECT 1 FROM {quote(table)})" for table in tables}
        return [table for table in tables if connection.exec_driver_sql(counts[table]).scalar_one()]


@pytest.fixture(scope="module")
def chain(pipeline, sandbox, filled, warehouse) -> Run:
    """The replica again, with nothing changed, and raw made from it, in one command under the server's eyes."""
    settings = {"TAP_OPENDENTAL_REPLICA_TABLES": json.dumps(filled), **aim_at(warehouse.engine)}
    root = mariadb_root(sandbox.state)
    with root.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in (
            "SET GLOBAL log_output = 'TABLE'",
            "TRUNCATE mysql.general_log",
            "SET GLOBAL general_log = 1",
        ):
            connection.exec_driver_sql(statement)
        run = pipeline.meltano("run", "replica-and-raw", **settings)
        connection.exec_driver_sql("SET GLOBAL general_log = 0")
        asked = connection.exec_driver_sql(
            "SELECT REGEXP_SUBSTR(user_host, '^[a-z_]+'), command_type, CONVERT(argument USING utf8mb4) "
            "FROM mysql.general_log ORDER BY event_time"
        ).fetchall()
    root.dispose()
    return Run(run.returncode, run.stdout + run.stderr, [tuple(row) for row in asked])


def test_the_replica_is_the_source(source, replica):
    """Every table with a key is there, with the same structure and the same rows to the last byte."""
    assert replica.differing_keys(source) == {}
    assert len(read_keys(source.engine, source.name)) >= 424


def test_the_comparison_sees_rows(replica):
    """The tables that matter hold rows, so that their equality proves something."""
    with replica.engine.connect() as connection:
        for table in ("patient", "procedurelog", "claimproc", "securitylog", "commlog"):
            assert connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar_one() >= 25


def read_definitions(engine: sa.Engine, tables: list[str]) -> dict[str, str]:
    """SHOW CREATE TABLE without counters, and without the check that MariaDB adds to what was declared as JSON."""
    with engine.connect().execution_options(no_parameters=True) as connection:
        found = {table: connection.exec_driver_sql(f"SHOW CREATE TABLE {quote(table)}").one()[1] for table in tables}
    added = r" AUTO_INCREMENT=\d+| CHECK \(json_valid\(`\w+`\)\)"
    return {table: re.sub(added, "", words) for table, words in found.items()}


def test_every_definition_is_the_sources(source, replica):
    """SHOW CREATE TABLE of every table with a key is the source's, but for AUTO_INCREMENT; it has no other tables."""
    tables = [*read_keys(source.engine, source.name)]
    assert read_definitions(replica.engine, tables) == read_definitions(source.engine, tables)
    others = set(sa.inspect(replica.engine).get_table_names()) - set(tables)
    assert others == {"_od_load_state", "_od_tables"}


def count_secrets(engine: sa.Engine) -> dict[tuple[str, str], int]:
    """How many rows hold something in each secret column that is there."""
    there = sa.inspect(engine).get_multi_columns()
    columns = [(table, column["name"]) for (_, table), found in there.items() for column in found]
    statement = "SELECT COUNT(*) FROM {} WHERE LENGTH({}) > 0"
    with engine.connect() as connection:
        return {
            (table, column): connection.exec_driver_sql(statement.format(quote(table), quote(column))).scalar_one()
            for table, column in columns
            if load_knowledge().is_secret(table, column)
        }


def test_secrets_are_there_and_empty(pipeline, replica):
    """Each secret column of the source is one of the replica, without a value, however many the source has."""
    admin, ours = count_secrets(pipeline.admin), count_secrets(replica.engine)
    assert ours == dict.fromkeys(admin, 0)
    assert sum(count > 0 for count in admin.values()) > 10


def test_a_second_run_loads_nothing(chain):
    """With nothing changed, not one stream is sent, and not one row is written."""
    assert chain.code == 0, chain.log[-3000:]
    assert "Read 0 rows: 0 from" in chain.task(0)
    assert "Loaded 0 streams: 0 rows inserted, 0 updated, 0 unchanged, 0 deleted" in chain.task(0)


def test_raw_from_the_replica_is_the_source(source, chain, filled, warehouse):
    """Made from the replica by stock target-postgres, raw equals the clinic's database, row by row."""
    raw = Destination("postgresql", warehouse.engine.url, warehouse.engine)
    assert len(filled) > 100
    assert raw.differing_keys(source, filled) == {}


def test_the_clinics_server_is_read_once(chain):
    """Who fills raw is logged in to the replica's database alone; the clinic's user is gone before it reads a row."""
    logins = [re.search(r"^(\w+)@\S+ on (\w*)", words) for _, kind, words in chain.asked if kind == "Connect"]
    assert {login.groups() for login in logins if login} == {(READER, SOURCE), (REPLICA_OWNER, REPLICA)}
    assert not [words for user, kind, words in chain.asked if user == REPLICA_OWNER and kind == "Init DB"]
    rows = [at for at, (user, _, words) in enumerate(chain.asked) if user == REPLICA_OWNER and OF_PATIENTS in words]
    assert rows
    assert READER not in [user for user, _, _ in chain.asked[rows[0] :]]


def test_no_canary_in_any_log(pipeline, replica, chain):
    """Every name, note and secret of the practice was at hand, and none is in the console or in Meltano's logs."""
    log = chain.log + read_logs(pipeline.logs)
    assert "Beginning sync of 'patient'" in log
    assert [canary for canary in (*CANARIES, *SECRET_CANARIES) if canary in log] == []
