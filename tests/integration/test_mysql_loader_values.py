"""Every type's values, as tap-opendental sends them with `values: exact`, are in the replica to the last bit."""

import re
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pymysql
import pytest
from pymysql.converters import conversions
from sqlalchemy.engine import make_url
from tests.delivery import BY_NAME, Page, Servers, read_columns, table_of
from tests.integration.conftest import config_of
from tests.mysql_loading import Replica, position, settings_of
from tests.values import CASES

from opendental_analyze.sandbox.throw_away import mariadb_database
from tap_opendental.connector import SourceAddress
from tap_opendental.extraction.lines import CSV
from tap_opendental.source import Source
from target_opendental_replica.batches import Batch
from target_opendental_replica.stream_facts import Field, Start, StreamFacts
from target_opendental_replica.warehouse import Counts

ENCODERS = {kind: encode for kind, encode in conversions.items() if isinstance(kind, type)}
ODD = "CONVERT(CAST(%s AS BINARY) USING {})"


@contextmanager
def connect(database):
    """The owner's connection, which takes impossible dates."""
    config = config_of(database.engine.url)
    with pymysql.connect(**config, charset="utf8mb4", autocommit=True, conv=ENCODERS) as owner:
        with owner.cursor() as cursor:
            cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
        yield owner


@pytest.fixture(scope="module")
def servers(sandbox):
    """A source with a table for each type, filled with its hard values."""
    with mariadb_database(sandbox.state) as mariadb, connect(mariadb) as owner:
        address = SourceAddress(**config_of(make_url(mariadb.reader_url)))
        servers = Servers(owner, Source(address), None, address, sandbox.state)
        for case in CASES:
            table = table_of(case)
            servers.ask(f"CREATE TABLE {table} (Num int PRIMARY KEY, A {case.ddl} NULL, B {case.ddl} NOT NULL)")
            rows = [*((value, value) for value in case.hard), (None, case.hard[0])]
            values = [value for number, pair in enumerate(rows) for value in (number, *pair)]
            servers.ask(
                f"INSERT INTO {table} VALUES {', '.join([f'(%s, {case.insert}, {case.insert})'] * len(rows))}", values
            )
            for number, odd in enumerate(case.odd, 1000):
                servers.ask(
                    f"INSERT INTO {table} VALUES (%s, CAST(%s AS BINARY), CAST(%s AS BINARY))", (number, odd, odd)
                )
        yield servers
        servers.source.close()


@pytest.fixture(scope="module")
def replicas(sandbox):
    """A replica for LOAD DATA LOCAL, and one for INSERT."""
    with mariadb_database(sandbox.state, "load") as load, mariadb_database(sandbox.state, "insert") as insert:
        made = [
            Replica(database, settings_of(database, local_infile=allowed))
            for database, allowed in ((load, True), (insert, False))
        ]
        yield made
        for each in made:
            each.close()


def read_exactly(servers, table, path):
    """The stream's facts, and a file of its rows as the tap writes it."""
    columns = read_columns(servers, table, exact=True)
    page = Page(servers, table, columns, servers.source.session.packet, "keep")
    lines, altered = page.read(CSV)
    assert altered == {}
    page.write_csv(path, lines)
    found = servers.source.discovery.get_table_schema(table)
    fields = tuple(Field(c.name, c.reading.schema, asdict(found.column(c.name))) for c in page.columns_sent)
    facts = StreamFacts(table, fields, ("Num",), found.to_dict(), is_exact=True, start=Start("a" * 16, 0))
    batch = Batch(facts.names, path, path.stat().st_size, datetime.now(UTC))
    return facts, batch


def read_bits(servers, case, database):
    """Text of each row that is equal where the stored values are, to the last bit."""
    same = ", ".join(case.same.format(name) for name in "AB")
    return {row[0]: row[1:] for row in servers.ask(f"SELECT Num, {same} FROM {database}.{table_of(case)}")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_values_are_equal_to_the_last_bit(case, servers, replicas, tmp_path):
    """Loaded straight, merged and gathered: the bits and the structure are the source's, and all rows are unchanged."""
    table = table_of(case)
    facts, batch = read_exactly(servers, table, tmp_path / "rows.csv")
    source = servers.owner.db.decode()
    wanted = read_bits(servers, case, source)
    for replica in replicas:
        loader = replica.open(facts)
        loader.load(batch)
        assert loader.settle(position(1)) == Counts(inserted=len(wanted))
        assert read_bits(servers, case, replica.database.name) == wanted
    replica = replicas[0]
    loader = replica.open(facts)
    loader.load(batch)
    assert loader.settle(position(2)) == Counts(unchanged=len(wanted))
    loader.load(replace(batch, version=7))
    loader.activate(7)
    assert loader.settle(position(3)) == Counts(unchanged=len(wanted))
    assert read_bits(servers, case, replica.database.name) == wanted
    ddl = servers.ask(f"SHOW CREATE TABLE {source}.{table}")[0][1]
    # MariaDB's JSON is LONGTEXT with a CHECK, which is an expression: no facts have it, and none is ever run.
    ddl = re.sub(r" CHECK \(json_valid\(`\w+`\)\)", "", ddl)
    assert servers.ask(f"SHOW CREATE TABLE {replica.database.name}.{table}")[0][1] == ddl


@pytest.mark.parametrize("name", ["double", "varchar(255) utf8mb3", "timestamp(6)", "enum utf8mb3", "blob"])
def test_another_bit_is_seen(name, servers, replicas, tmp_path):
    """Values that a comparison takes for equal (A and a, a trailing space, 0 and -0) are written all the same."""
    case = BY_NAME[name]
    other = {
        "double": ("0", "-0e0"),
        "varchar(255) utf8mb3": ("'Abc'", "'abc '"),
        "timestamp(6)": ("'2024-01-01 00:00:00'", "'2024-01-01 00:00:00.000001'"),
        "enum utf8mb3": ("''", "0"),
        "blob": ("'a'", "'a\\0'"),
    }[name]
    table = table_of(case)
    replica = replicas[0]
    facts, batch = read_exactly(servers, table, tmp_path / "rows.csv")
    loader = replica.open(facts)
    loader.load(batch)
    loader.settle(None)
    qualified = f"{replica.database.name}.{table}"
    servers.ask("SET sql_mode = 'ALLOW_INVALID_DATES'")
    before = read_bits(servers, case, replica.database.name)
    for value in other:
        servers.ask(f"UPDATE {qualified} SET B = {value} WHERE Num = 1")
        differs = read_bits(servers, case, replica.database.name) != before
        loader.load(batch)
        assert loader.settle(None).updated == differs
        assert read_bits(servers, case, replica.database.name) == before
        servers.ask(f"UPDATE {qualified} SET B = {value} WHERE Num = 1")
        loader.load(replace(batch, version=100 + other.index(value)))
        loader.activate(100 + other.index(value))
        assert loader.settle(None).updated == differs
        assert read_bits(servers, case, replica.database.name) == before
