"""Any value of any type that the server takes arrives as documented, by every path.

Four paths: RECORD lines that the server built, records of the SDK's loop, the CSV dialect read back by PostgreSQL's
COPY, and by LOAD DATA into a copy of the table. What must arrive is told by tests/values.py from what a client sees.
"""

import csv
import io
import json
import os
from base64 import b64encode
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import psycopg
import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from pymysql.converters import conversions
from singer_sdk.singerlib.json import deserialize_json, serialize_json
from sqlalchemy.engine import make_url
from tests.integration.conftest import config_of
from tests.values import CASES, HOSTILE_NAMES, Case

from opendental_analyze.explain.dbt_columns import name_postgres_type
from opendental_analyze.sandbox.databases import mariadb_root, run
from opendental_analyze.sandbox.throw_away import mariadb_database, postgres_database
from tap_opendental.connector import SourceAddress
from tap_opendental.errors import OpenDentalError
from tap_opendental.extraction.lines import CSV, JSON, Column, LineFinisher, lay_out, parse_line, render_select
from tap_opendental.quoting import quote, quote_plain
from tap_opendental.records import render_objects, render_record_template
from tap_opendental.source import DamagedPageError, Source
from tap_opendental.types import Kind, ReadingOptions, choose_reading
from tap_opendental.writers import BatchWriter

ROWS = 20
# Rows of two values to draw in all: 200,000 by `make test-values`, at random; without it the same 7,000 each time.
WISH = os.environ.get("TEST_VALUES")
SETTINGS = settings(
    max_examples=max(4, int(WISH or 0) // (ROWS * len(CASES))),
    deadline=None,
    database=None,
    derandomize=WISH is None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
BY_NAME = {case.name: case for case in CASES}
PACKET = 16_384
ENCODERS = {kind: encode for kind, encode in conversions.items() if isinstance(kind, type)}
LOAD = (
    "LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table} CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' "
    "OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\n' IGNORE 1 LINES ({fields}) SET {sets}"
)


# --- servers ----------------------------------------------------------------------------------------------------------


@dataclass
class Servers:
    """A source as its owner sees it, the tap's own reading of it, and a warehouse."""

    owner: Any
    source: Source
    warehouse: Any
    address: SourceAddress
    state: Any

    def ask(self, statement, *arguments):
        """Run a statement as the owner; values arrive as the server's text."""
        with self.owner.cursor() as cursor:
            cursor.execute(statement, *arguments)
            return cursor.fetchall()

    @contextmanager
    def another_session(self, packet=67_108_864):
        """Read in a session of its own, which knows the tables of this moment, with this max_allowed_packet."""
        before, self.source = self.source, Source(self.address)
        root = mariadb_root(self.state)
        run(root, [f"SET GLOBAL max_allowed_packet = {packet}"])
        try:
            assert self.source.session.packet == packet
            yield
        finally:
            run(root, ["SET GLOBAL max_allowed_packet = 67108864"])
            self.source.close()
            self.source = before


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


def table_of(case):
    return f"t{CASES.index(case)}"


@dataclass
class Page:
    """One page of a table, read as the tap reads it; `packet` is what it takes for max_allowed_packet."""

    servers: Servers
    table: str
    columns: list
    packet: int
    nul: str = "replace"

    @cached_property
    def layout(self):
        """Which columns are read apart."""
        return lay_out(self.columns, ["Num"], packet=self.packet, mean_row=0)

    def read(self, dialect):
        """The finished lines, and what was counted as altered."""
        altered = Counter()
        finisher = LineFinisher(self.layout, dialect, altered, encoding="base64", nul=self.nul, table=self.table)
        select = ", ".join(render_select(self.layout, dialect))
        rows = self.servers.source.fetch((f"SELECT {select} FROM {quote(self.table)}", {}), table=self.table)
        return finisher.finish(rows), altered

    def records(self, lines):
        """The records of RECORD messages by `Num`: numbers as floats or, if exact, as Decimal."""
        template = render_record_template("t", self.columns_sent, None, datetime.now(UTC))
        messages = render_objects(template, lines).removesuffix("\n").split("\n")
        return self._by_number(json.loads(message, parse_float=Decimal)["record"] for message in messages)

    def records_of_the_sdk(self, lines):
        """The same by the SDK's path, written and read by the SDK."""
        return self._by_number(deserialize_json(serialize_json(parse_line(line, self.columns_sent))) for line in lines)

    @property
    def columns_sent(self):
        """The columns in the line's order."""
        return self.layout.columns

    def write_csv(self, path, lines):
        """Write a BATCH file as the tap does."""
        chunks: list[bytes] = []
        folder = type("Folder", (), {"write": staticmethod(lambda _stream, written, _suffix: chunks.extend(written))})
        writer = BatchWriter("t", folder, CSV, lambda _encoding, _url: None)
        writer.write(lines, self.columns_sent, None)
        writer.flush()
        path.write_bytes(b"".join(chunks))

    def _by_number(self, records):
        exact = {column.name for column in self.columns if column.reading.exact}
        return {
            record.pop("Num"): {
                name: float(value) if isinstance(value, Decimal) and name not in exact else value
                for name, value in record.items()
            }
            for record in records
        }


def read_columns(servers, table, known=None):
    """The columns of a table as the tap plans them."""
    found = servers.source.discovery.get_table_schema(table)
    return [
        Column(
            column.name,
            column.name,
            choose_reading(
                table, replace(column, collation=column.collation or found.collation), known, ReadingOptions()
            ),
        )
        for column in found.columns
    ]


# --- one type on its way ----------------------------------------------------------------------------------------------


@dataclass
class Delivery:
    """The table of one type, stored, sent by every path and compared; `spoil` alters how its values are read."""

    servers: Servers
    case: Case
    folder: Any
    spoil: dict[str, Any] = field(default_factory=dict)
    nul: str = "replace"

    def __post_init__(self):
        self.table = table_of(self.case)
        columns = read_columns(self.servers, self.table, self.case.known)
        for place, column in enumerate(columns[1:], 1):
            columns[place] = replace(column, reading=replace(column.reading, **self.spoil))
        self.page = Page(self.servers, self.table, columns, self.servers.source.session.packet, self.nul)
        kinds = ", ".join(f'"{c.name}" {name_postgres_type(c.reading.schema)}' for c in columns)
        for name in (self.table, f"want_{self.table}"):
            self.servers.warehouse.execute(f"CREATE TABLE IF NOT EXISTS {name} ({kinds})")

    def check(self, rows):
        """Store pairs of values; they must arrive as documented by each path."""
        self.store(rows)
        promised = self.promise()
        lines, altered = self.page.read(JSON)
        wanted = {num: {"A": a and a.value, "B": b and b.value} for num, (a, b) in promised.items()}
        assert self.page.records(lines) == wanted
        assert self.page.records_of_the_sdk(lines) == wanted
        assert altered.total() == sum(value.altered for values in promised.values() for value in values if value)
        path = self.folder / f"{self.table}.csv"
        self.page.write_csv(path, self.page.read(CSV)[0])
        assert self.differing_in_postgres(path, wanted) == [[], []]
        assert self.differing_in_copy(path, promised) == {}

    def store(self, rows):
        """Fill the source's table."""
        one = f"(%s, {self.case.insert}, {self.case.insert})"
        values = [value for number, pair in enumerate(rows) for value in (number, *pair)]
        self.servers.ask(f"TRUNCATE {self.table}")
        self.servers.ask(f"INSERT INTO {self.table} VALUES {', '.join([one] * len(rows))}", values)

    def promise(self):
        """What must be sent of each row, told by what is stored."""
        view = ", ".join(self.case.view.format(name) for name in "AB")
        stored = self.servers.ask(f"SELECT Num, {view} FROM {self.table}")
        return {int(num): [None if v is None else self.case.sent(v) for v in values] for num, *values in stored}

    def differing_in_postgres(self, path, wanted):
        """Rows that PostgreSQL has of the file and should not, and the other way round, by its columns' own types."""
        names = ", ".join(f'"{column.name}"' for column in self.page.columns_sent)
        rows = [(num, *(None if v is None else str(v) for v in values.values())) for num, values in wanted.items()]
        both = (self.table, f"want_{self.table}")
        with self.servers.warehouse.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(both)}")
            with cursor.copy(f"COPY {self.table} ({names}) FROM STDIN (FORMAT csv, NULL 'NULL', HEADER)") as copy:
                copy.write(path.read_bytes())
            cursor.executemany(f"INSERT INTO {both[1]} VALUES (%s, %s, %s)", rows)
            return [
                cursor.execute(f'SELECT "Num", "A"::text, "B"::text FROM (TABLE {a} EXCEPT TABLE {b}) AS d').fetchall()
                for a, b in (both, both[::-1])
            ]

    def differing_in_copy(self, path, promised):
        """Rows that LOAD DATA makes of the file and are not the source's own, but for what is altered on purpose."""
        copy = f"copy_{self.table}"
        fields = ", ".join(c.name if c.name == "Num" else f"@{c.name}" for c in self.page.columns_sent)
        sets = ", ".join(f"{name} = {self.case.load.format(f'@{name}')}" for name in "AB")
        self.servers.ask(f"TRUNCATE {copy}")
        self.servers.ask(LOAD.format(path=path, table=copy, fields=fields, sets=sets))
        source, loaded = self.bits(self.table), self.bits(copy)
        assert source.keys() == loaded.keys() == promised.keys()
        return {
            (num, place): (source[num][place], loaded[num][place])
            for num, values in promised.items()
            for place, value in enumerate(values)
            if source[num][place] != loaded[num][place] and not (value and value.altered)
        }

    def bits(self, table):
        """Text of each row that is equal where the stored values are, to the last bit."""
        same = ", ".join(self.case.same.format(name) for name in "AB")
        return {int(num): values for num, *values in self.servers.ask(f"SELECT Num, {same} FROM {table}")}


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
        Delivery(servers, case, tmp_path, spoil).check(hard_rows(case))


def test_nul_that_is_kept_is_noticed(servers, tmp_path):
    """The control: NUL left in text reaches neither PostgreSQL nor the promise."""
    case = BY_NAME["varchar(255) utf8mb3"]
    with pytest.raises(AssertionError):
        Delivery(servers, case, tmp_path, nul="keep").check(hard_rows(case))


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
        with pytest.raises(DamagedPageError, match="while reading table wide"):
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
        with pytest.raises(DamagedPageError):
            page.read(JSON)
        with pytest.raises(DamagedPageError):
            page.read(CSV)


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


def read_streams(output):
    """The messages of each stream but STATE, without what differs from run to run; fractions as Decimal."""
    streams = {}
    for line in output.removesuffix("\n").split("\n"):
        message = json.loads(line, parse_float=Decimal)
        if message["type"] != "STATE":
            facts = {name: value for name, value in message.items() if name not in {"time_extracted", "version"}}
            streams.setdefault(message["stream"], []).append({**facts, "stream": None})
    return streams
