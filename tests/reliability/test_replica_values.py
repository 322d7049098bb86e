"""2,000 rows of all types, hard and drawn values, through tap and target into a replica: equal to the last byte."""

import json
import tempfile

import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymysql.converters import conversions
from tests.delivery import table_of
from tests.integration.conftest import clean_environment
from tests.reliability.destinations import open_destination
from tests.values import CASES

from opendental_analyze.verify.comparison import Side, compare_all
from tap_opendental.discovery import SchemaDiscovery

ROWS = 2_000
ENCODERS = {kind: encode for kind, encode in conversions.items() if isinstance(kind, type)}
FILES = {"encoding": {"format": "jsonl", "compression": "gzip"}}


def draw_rows(case):
    """The hard values of a type, and as many more as make 2,000 rows of all types together."""
    wanted = max(0, -(-ROWS // len(CASES)) - len(case.hard))
    drawn = []

    @settings(max_examples=5, derandomize=True, database=None, deadline=None, suppress_health_check=[*HealthCheck])
    @given(st.lists(case.values, min_size=5, max_size=5))
    def draw(values):
        drawn.extend(values)

    draw()
    values = [*case.hard, *drawn[:wanted]]
    return [(None, values[0]), *((value, values[-number]) for number, value in enumerate(values, 1))]


def store(owner, case, rows):
    """Make the type's table, and fill it with what the server makes of the values without strictness."""
    table, one = table_of(case), f"(%s, {case.insert}, {case.insert})"
    values = [value for number, pair in enumerate(rows) for value in (number, *pair)]
    with owner.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (Num int PRIMARY KEY, A {case.ddl} NULL, B {case.ddl} NOT NULL)")
        cursor.execute(f"INSERT INTO {table} VALUES {', '.join([one] * len(rows))}", values)
    return len(rows)


@pytest.fixture
def replica(sandbox):
    with open_destination(sandbox, "mysql") as empty:
        yield empty


@pytest.fixture
def stored(source):
    """A source with a table for each type; the number of its rows."""
    url = source.engine.url
    owner = pymysql.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password,
        database=url.database,
        charset="utf8mb4",
        autocommit=True,
        ssl_disabled=True,
        conv=ENCODERS,
    )
    with owner:
        with owner.cursor() as cursor:
            cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
        return sum(store(owner, case, draw_rows(case)) for case in CASES)


@pytest.mark.parametrize("way", ["lines", "files", "without LOAD DATA"])
def test_every_value_is_the_same_byte_for_byte(source, stored, replica, forks, way):
    """As RECORD, as files, and by INSERT where the server allows no LOAD DATA LOCAL: no row of any type differs."""
    files = {"batch_config": {**FILES, "storage": {"root": str(source.folder)}}, "batch_format": "csv"}
    config = source.folder / "tap.json"
    settings = {**replica.tap_settings, "max_page_bytes": 500_000, **(files if way == "files" else {})}
    config.write_text(json.dumps(source.config(**settings)))
    target = replica.write_config(source.folder, local_infile=way != "without LOAD DATA")
    with tempfile.TemporaryFile() as messages, tempfile.TemporaryFile() as log:
        out, told = messages.fileno(), log.fileno()
        assert forks.start(["tap-opendental", "--config", str(config)], clean_environment(), out, told).wait() == 0
        messages.seek(0)
        command = ["target-opendental-replica", "--config", target]
        assert forks.start(command, clean_environment(), told, told, out).wait() == 0, read(log)
    sides = [
        Side(each, SchemaDiscovery(each, each.url.database), each.url.database)
        for each in (source.engine, replica.engine)
    ]
    results = compare_all(*sides, tables=[table_of(case) for case in CASES])
    assert [result for result in results if not result.is_equal] == []
    assert sum(result.counts[0] for result in results) == stored >= ROWS


def read(log):
    log.seek(0)
    return log.read()[-3000:]
