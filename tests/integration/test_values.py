"""Any value of any type that the server takes arrives as documented, by every path.

Portable values have three paths: RECORD lines that the server built, records of the SDK's loop, and the CSV dialect
read back by PostgreSQL's COPY. What must arrive is told by tests/values.py from what a client sees. Exact values have
two, files of CSV and RECORD lines, both read by LOAD DATA into a copy of the table that must be equal to the last bit.
"""

import csv
import io
import json
import math
import os
from base64 import b64encode
from dataclasses import replace
from decimal import Decimal

import psycopg
import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from pymysql.converters import conversions
from sqlalchemy.engine import make_url
from tests.delivery import BY_NAME, Delivery, Page, Servers, read_columns, table_of
from tests.integration.conftest import config_of
from tests.values import CASES, HOSTILE_NAMES, Sent

from opendental_analyze.sandbox.throw_away import mariadb_database, postgres_database
from tap_opendental.announcing import FACTS
from tap_opendental.connector import SourceAddress
from tap_opendental.errors import OpenDentalError
from tap_opendental.extraction.lines import CSV, JSON
from tap_opendental.quoting import quote, quote_plain
from tap_opendental.readings import Kind
from tap_opendental.source import DamagedPageError, Source

ROWS = 20
# Rows of two values to draw in all: 200,000 by `make test-values`, at random; without it the same 7,000 each time.
WISH = os.environ.get("TEST_VALUES")
SETTINGS = settings(
    max_examples=max(4, math.ceil(int(WISH or 0) / (ROWS * len(CASES)))),
    deadline=None,
    database=None,
    derandomize=WISH is None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
PACKET = 16_384
ENCODERS = {kind: encode for kind, encode in conversions.items() if isinstance(kind, type)}


# --- servers ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def servers(sandbox):
    """A table for each type in the source, and a copy of each beside it."""
    with mariadb_database(sandbox.state) as mariadb, postgres_database(sandbox.state) as postgres:
        owner = pymysql.connect(
            **config_of(mariadb.engine.url), charset="utf8mb4", autocommit=True, local_infile=True, conv=ENCODERS
        )
        address = SourceAddress(**config_of(make_url(mariadb.reader_url)))
        dsn = make_url(postgres.admin_url).set(drivername="postgresql").render_as_string(hide_password=False)
        with owner, psycopg.connect(dsn, autocommit=True) as warehouse:
            servers = Servers(owner, Source(address), warehouse, address, sandbox.state)
            servers.ask("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
            for case in CASES:
                for table in (table_of(case), f"copy_{table_of(case)}"):
                    servers.ask(f"CREATE TABLE {table} (Num int PRIMARY KEY, A {case.ddl} NULL, B {case.ddl} NOT NULL)")
            yield servers
        servers.source.close()


def hard_rows(case):
    return [*((value, value) for value in case.hard), (None, case.hard[0])]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hard_values_arrive(case, servers, tmp_path):
    """The edges of each type, and the values that break careless readers, arrive as documented by every path."""
    Delivery(servers, case, tmp_path).check(hard_rows(case))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_any_value_arrives(case, servers, tmp_path):
    """Whatever the server takes into a column of the type arrives as documented by every path."""
    delivery = Delivery(servers, case, tmp_path)

    @SETTINGS
    @given(st.lists(st.tuples(st.none() | case.values, case.values), min_size=ROWS, max_size=ROWS))
    def check(rows):
        delivery.check(rows)

    check()


@pytest.mark.parametrize("name", ["date", "datetime", "datetime(6)", "timestamp"])
def test_sentinel_dates_become_null_on_request(name, servers, tmp_path):
    """With sentinel_dates: null the day 0001-01-01 is NULL and counted, at any time of it, and no other day is."""
    case = BY_NAME[name]

    def send(stored):
        return Sent(None, altered=True) if stored.startswith("0001-01-01") else case.sent(stored)

    delivery = Delivery(servers, replace(case, sent=send), tmp_path, keep_sentinel_dates=False)
    delivery.store([*hard_rows(case), ("2024-02-29 00:00:00", "2024-02-29 23:59:59")])
    delivery.check_portable()


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("float", {"expression": "{0}"}),
        ("double", {"expression": "ROUND({0}, 10)"}),
        ("decimal(65,30)", {"exact": False}),
        ("int unsigned zerofill", {"expression": "{0}"}),
        ("date", {"suspect": None}),
        ("datetime", {"json_expression": None}),
        ("timestamp", {"suspect": None}),
        ("known boolean", {"suspect": None}),
        ("known time of day", {"suspect": None}),
        ("uuid", {"expression": "{0}"}),
        ("varchar(255) utf8mb3", {"kind": Kind.PLAIN}),
    ],
)
def test_a_spoiled_reading_is_noticed(name, spoil, servers, tmp_path):
    """The control: each of these ways to read a type, most of them the usual ones, fails the comparison above."""
    case = BY_NAME[name]
    with pytest.raises((AssertionError, TypeError, ValueError, OpenDentalError, psycopg.Error)):
        deliver(Delivery(servers, case, tmp_path, spoil), case).check_portable()


def deliver(delivery, case):
    """Store the case's hard values."""
    delivery.store(hard_rows(case))
    return delivery


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("float", {"expression": "{0}"}),
        ("float", {"kind": Kind.BARE}),
        ("double", {"expression": "ROUND({0}, 10)"}),
        ("bit(17)", {"expression": "HEX({0})"}),
        ("enum utf8mb3", {"expression": "{0}", "kind": Kind.TEXT}),
        ("set utf8mb3", {"expression": "{0}", "kind": Kind.TEXT}),
        ("point, 4326", {"expression": "ST_AsBinary({0})"}),
        ("varchar(255) cp1251", {"expression": "{0}", "kind": Kind.TEXT}),
        ("datetime(6)", {"expression": "DATE_FORMAT({0}, '%%Y-%%m-%%d %%H:%%i:%%s')"}),
        ("time(3)", {"expression": "TIME_FORMAT({0}, '%%H:%%i:%%s')"}),
    ],
)
def test_a_spoiled_exact_reading_is_noticed(name, spoil, servers, tmp_path):
    """The control: read in any of these ways, the copy is not the source's to the last bit."""
    case = BY_NAME[name]
    with pytest.raises((AssertionError, OpenDentalError, pymysql.Error)):
        deliver(Delivery(servers, case, tmp_path, spoil), case).check_exact()


@pytest.mark.parametrize("name", ["year", "bit(17)", "enum utf8mb3", "set utf8mb3", "blob", "point, 4326"])
def test_a_field_stored_as_its_text_is_noticed(name, servers, tmp_path):
    """The control: without the documented expression LOAD DATA makes other values of these types."""
    case = replace(BY_NAME[name], load="{}")
    with pytest.raises((AssertionError, pymysql.Error)):
        deliver(Delivery(servers, case, tmp_path), case).check_exact()


@pytest.mark.parametrize(
    "name",
    ["date", "datetime", "timestamp", "known time of day", "known boolean", "varchar(255) utf8mb3", "decimal(65,30)"],
)
def test_portable_values_are_no_exact_ones(name, servers, tmp_path):
    """The control: what portable values map, or JSON makes a float of, is missed in a copy of them."""
    case = BY_NAME[name]
    delivery = deliver(Delivery(servers, case, tmp_path), case)
    delivery.exact = delivery.page
    with pytest.raises((AssertionError, pymysql.Error)):
        delivery.check_exact()


@pytest.mark.parametrize("name", [case.name for case in CASES if case.odd])
def test_bytes_that_are_no_character_are_exact(name, servers, tmp_path):
    """Bytes that the column's character set takes and does not know arrive in a copy as they are."""
    case = BY_NAME[name]
    delivery = Delivery(servers, case, tmp_path)
    servers.ask(f"TRUNCATE {delivery.table}")
    for number, odd in enumerate(case.odd):
        servers.ask(f"INSERT INTO {delivery.table} VALUES ({number}, x'{odd.hex()}', x'{odd.hex()}')")
    assert [a for a, _ in delivery.bits(delivery.table).values()] == [odd.hex().upper() for odd in case.odd]
    delivery.check_exact()


def test_nul_that_is_kept_is_noticed(servers, tmp_path):
    """The control: NUL left in text reaches neither PostgreSQL nor the promise."""
    case = BY_NAME["varchar(255) utf8mb3"]
    with pytest.raises(AssertionError):
        deliver(Delivery(servers, case, tmp_path, nul="keep"), case).check_portable()


# --- names ------------------------------------------------------------------------------------------------------------


def test_any_name_arrives(servers, tmp_path):
    """Tables and columns of any name are read by both dialects, each value under its own name."""
    table = "t" + "".join(HOSTILE_NAMES)[:60]
    kinds = ("varchar(60) NULL", "float NULL", "datetime NOT NULL", "timestamp NULL", "blob NULL", "longtext NOT NULL")
    names = [f"{name} {number}" for number, name in enumerate(HOSTILE_NAMES * 2)]
    made = {name: kinds[number % len(kinds)] for number, name in enumerate(names)}
    definitions = ", ".join(f"{quote_plain(name)} {kind}" for name, kind in made.items())
    servers.ask(f"CREATE TABLE {quote_plain(table)} (Num int PRIMARY KEY, {definitions})")
    values = [name if "char" in kind or "text" in kind else None for name, kind in made.items()]
    values = ["0000-00-00" if "datetime" in made[name] else v for name, v in zip(names, values, strict=True)]
    marks = ", ".join(["%s"] * (len(values) + 1))
    servers.ask(f"INSERT INTO {quote(table)} VALUES ({marks})", [1, *values])
    with servers.another_session():
        page = Page(servers, table, read_columns(servers, table), servers.source.session.packet)
        in_json, in_csv = page.read(JSON)[0], page.read(CSV)[0]
    sent = {name: value if value != "0000-00-00" else None for name, value in zip(names, values, strict=True)}
    assert page.records(in_json) == {1: sent}
    page.write_csv(tmp_path / "names.csv", in_csv)
    assert copy_by_name(servers.warehouse, tmp_path / "names.csv") == {**sent, "Num": "1"}


def copy_by_name(warehouse, path):
    """The one row of a file that PostgreSQL reads, by the names of the file's first line."""
    header = next(csv.reader(io.StringIO(path.read_text(), newline="")))
    columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in header)
    with warehouse.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE TEMPORARY TABLE names ({})").format(columns))
        with cursor.copy("COPY names FROM STDIN (FORMAT csv, NULL 'NULL', HEADER MATCH)") as copy:
            copy.write(path.read_bytes())
        row = cursor.execute("TABLE names").fetchone()
        return dict(zip([column.name for column in cursor.description], row, strict=True))


# --- max_allowed_packet -----------------------------------------------------------------------------------------------

WIDE = 17  # columns of 1,000 characters: lines of up to 17,000 bytes pass the packet of 16,384
AROUND = len("1") + WIDE * len('\t""')


@pytest.fixture
def wide(servers):
    """A table whose lines are one byte below, at, and above max_allowed_packet, in either dialect."""
    columns = ", ".join(f"c{number} varchar(1000) NOT NULL" for number in range(WIDE))
    servers.ask(f"CREATE OR REPLACE TABLE wide (Num int PRIMARY KEY, {columns})")
    for number, length in enumerate((PACKET - 1, PACKET, PACKET + 1), 1):
        text = "x" * (length - AROUND)
        pieces = [text[place * 1000 : (place + 1) * 1000] for place in range(WIDE)]
        servers.ask(f"INSERT INTO wide VALUES (%s{', %s' * WIDE})", [number, *pieces])


@pytest.mark.parametrize("dialect", [JSON, CSV], ids=["json", "csv"])
def test_lines_at_the_packets_limit_arrive(dialect, servers, wide):
    """A row of many texts whose line would be max_allowed_packet -1, 0 or +1 bytes long arrives whole."""
    stored = {int(number): texts for number, *texts in servers.ask("SELECT * FROM wide")}
    with servers.another_session(PACKET):
        page = Page(servers, "wide", read_columns(servers, "wide"), PACKET)
        assert page.layout.apart
        lines, _ = page.read(dialect)
    fields = {int(dialect.split(line)[0]): dialect.split(line)[1:] for line in lines}
    names = [column.name for column in page.columns_sent[1:]]
    sent = {num: {name: text[1:-1] for name, text in zip(names, texts, strict=True)} for num, texts in fields.items()}
    assert sent == {num: {f"c{place}": text for place, text in enumerate(texts)} for num, texts in stored.items()}


@pytest.mark.parametrize("dialect", [JSON, CSV], ids=["json", "csv"])
def test_a_page_with_a_warning_is_not_believed(dialect, servers, wide):
    """The control: with all columns in the line, the row above the limit is NULL with only a warning, and refused."""
    with servers.another_session(PACKET):
        careless = Page(servers, "wide", read_columns(servers, "wide"), 16 * PACKET * PACKET)
        assert not careless.layout.apart
        with pytest.raises(DamagedPageError, match=r"while reading table wide.*max_allowed_packet"):
            careless.read(dialect)
        servers.ask("DELETE FROM wide WHERE Num = 3")
        assert len(careless.read(dialect)[0]) == 2


@pytest.mark.parametrize(("charset", "stored"), [("cp1251", "98"), ("ascii", "FF"), ("sjis", "81AD")])
def test_bytes_that_are_no_character_are_refused(charset, stored, servers):
    """The server warns of bytes that their character set does not know, so the page fails; a client would see `?`."""
    servers.ask(f"CREATE OR REPLACE TABLE odd (Num int PRIMARY KEY, A varchar(9) CHARACTER SET {charset})")
    servers.ask(f"INSERT INTO odd VALUES (1, x'{stored}')")
    assert servers.ask("SELECT HEX(A), A FROM odd") == ((stored, "?"),)
    with servers.another_session():
        page = Page(servers, "odd", read_columns(servers, "odd"), servers.source.session.packet)
        for dialect in (JSON, CSV):
            with pytest.raises(DamagedPageError, match="bytes that its character set does not know"):
                page.read(dialect)


def test_text_that_is_not_utf8_is_refused(servers):
    """Half of a surrogate pair, which MariaDB takes, fails its page with one clear line; the next page is read."""
    servers.ask("CREATE OR REPLACE TABLE half (Num int PRIMARY KEY, A varchar(9))")
    servers.ask("INSERT INTO half VALUES (1, x'41EDA080')")
    assert servers.ask("SELECT HEX(A) FROM half") == (("41EDA080",),)
    with servers.another_session():
        page = Page(servers, "half", read_columns(servers, "half"), servers.source.session.packet)
        for dialect in (JSON, CSV):
            with pytest.raises(DamagedPageError, match="table half holds text that is not UTF-8"):
                page.read(dialect)
        servers.ask("DELETE FROM half")
        assert page.read(JSON) == ([], {})


LONG = {
    "longtext": ("longtext", "REPEAT('x', {0})", "x"),
    "quotes": ("longtext", "REPEAT('\"', {0})", '"'),
    "latin1": ("longtext CHARACTER SET latin1", "REPEAT(_utf8mb4'\u20ac', {0})", "\u20ac"),
    "json": ("json", "CONCAT('\"', REPEAT('x', {0} - 2), '\"')", None),
    "longblob": ("longblob", "REPEAT('x', {0})", None),
    "linestring": ("linestring", "ST_GeomFromText(CONCAT('LINESTRING(0 0', REPEAT(',1 1', {0} / 16), ')'))", None),
}


@pytest.mark.parametrize("dialect", [JSON, CSV], ids=["json", "csv"])
@pytest.mark.parametrize("name", LONG)
def test_long_values_at_the_packets_limit_arrive(name, dialect, servers):
    """A text, a document, bytes or a shape of max_allowed_packet -1, 0 and +1 bytes, and ten times that, are whole."""
    kind, make, character = LONG[name]
    lengths = (PACKET - 1, PACKET, PACKET + 1, 10 * PACKET)
    servers.ask(f"CREATE OR REPLACE TABLE deep (Num int PRIMARY KEY, A {kind})")
    for number, length in enumerate(lengths):
        servers.ask(f"INSERT INTO deep VALUES ({number}, {make.format(length)})")
    with servers.another_session(PACKET):
        page = Page(servers, "deep", read_columns(servers, "deep"), PACKET)
        lines, _ = page.read(dialect)
    stored = servers.ask("SELECT A FROM deep ORDER BY Num")
    assert [dialect.split(line)[1] for line in lines] == [write(dialect, name, value) for (value,) in stored]
    assert character is None or [len(value) for (value,) in stored] == [*lengths]


@pytest.mark.parametrize("name", ["cp1251", "linestring"])
def test_long_exact_values_at_the_packets_limit_arrive(name, servers):
    """Text of another character set, and a shape with its SRID, are read as bytes, however long they are."""
    make = {
        "cp1251": ("longtext CHARACTER SET cp1251", "REPEAT('\u0416', {0})", "CAST(A AS BINARY)"),
        "linestring": (*LONG["linestring"][:2], "A"),
    }
    lengths = (PACKET - 1, PACKET, PACKET + 1, 10 * PACKET)
    kind, value, stored = make[name]
    servers.ask(f"CREATE OR REPLACE TABLE deep (Num int PRIMARY KEY, A {kind})")
    for number, length in enumerate(lengths):
        servers.ask(f"INSERT INTO deep VALUES ({number}, {value.format(length)})")
    with servers.another_session(PACKET):
        page = Page(servers, "deep", read_columns(servers, "deep", exact=True), PACKET)
        lines, _ = page.read(CSV)
    stored = servers.ask(f"SELECT {stored} FROM deep ORDER BY Num")
    assert [CSV.split(line)[1] for line in lines] == [f'"{b64encode(value).decode()}"' for (value,) in stored]


def write(dialect, name, value):
    """A field as documented, of what a client sees."""
    if isinstance(value, bytes):
        return f'"{b64encode(value[4:] if name == "linestring" else value).decode()}"'
    return json.dumps(value, ensure_ascii=False) if dialect is JSON else '"' + value.replace('"', '""') + '"'


# --- the whole practice -----------------------------------------------------------------------------------------------


def test_the_fast_path_and_the_sdks_path_send_the_same(practice, run_tap):
    """Every message of every stream of the practice is equal by both paths: number by number, digit by digit.

    Flattening is asked for, which changes no table's columns; one stream gets another name, to show who sends it.
    """
    slow = {"flattening_enabled": True, "flattening_max_depth": 1, "stream_maps": {"zz_alltypes": {"__alias__": "zz"}}}
    fast, sdk = (read_streams(run_tap({**practice.config, **more}).stdout) for more in ({}, slow))
    assert "zz_alltypes" in fast
    assert "zz_alltypes" not in sdk
    sdk["zz_alltypes"] = sdk.pop("zz")
    assert len(fast) >= 424
    assert [name for name, messages in fast.items() if messages != sdk[name]] == []
    assert fast.keys() == sdk.keys()
    assert sum(len(messages) for messages in fast.values()) > 20_000


def test_both_paths_send_the_same_exact_values(practice, run_tap):
    """With `values: exact` as well, of a table of all types, one of the practice and a log."""
    exact = {**practice.config, "values": "exact", "tables": ["zz_alltypes", "patient", "securitylog"]}
    slow = {"flattening_enabled": True, "flattening_max_depth": 1}
    fast, sdk = (read_streams(run_tap({**exact, **more}).stdout) for more in ({}, slow))
    assert fast == sdk
    assert {name: len(messages) > 2 for name, messages in fast.items()} == dict.fromkeys(exact["tables"], True)
    kinds = {name: each["type"] for name, each in fast["patient"][0]["schema"]["properties"].items()}
    assert (kinds["Birthdate"], kinds["DateTStamp"], kinds["BalTotal"]) == (["string"], ["string"], ["string"])


def read_streams(output):
    """The messages of each stream but STATE, without what differs from run to run; fractions as Decimal.

    Facts of tables are left out: what goes through a stream map is not the table's any more.
    """
    streams = {}
    for line in output.removesuffix("\n").split("\n"):
        message = json.loads(line, parse_float=Decimal)
        if message["type"] == "SCHEMA":
            message["schema"].pop(FACTS)
            for schema in message["schema"]["properties"].values():
                schema.pop(FACTS, None)
        if message["type"] != "STATE":
            facts = {name: value for name, value in message.items() if name not in {"time_extracted", "version"}}
            streams.setdefault(message["stream"], []).append({**facts, "stream": None})
    return streams
