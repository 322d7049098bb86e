"""Tables of values on their way: stored in a source, read as the tap reads them, and compared where they arrive."""

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from singer_sdk.singerlib.json import deserialize_json, serialize_json
from tests.values import CASES, Case

from opendental_analyze.explain.dbt_columns import name_postgres_type
from opendental_analyze.sandbox.databases import mariadb_root, run
from tap_opendental.connector import SourceAddress
from tap_opendental.extraction.lines import CSV, JSON, Column, LineFinisher, lay_out, parse_line, render_select
from tap_opendental.quoting import quote
from tap_opendental.records import render_objects, render_record_template
from tap_opendental.source import Source
from tap_opendental.types import ReadingOptions, choose_reading
from tap_opendental.writers import BatchWriter

BY_NAME = {case.name: case for case in CASES}
LOAD = (
    "LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table} CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' "
    "OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\n' IGNORE 1 LINES ({fields}) SET {sets}"
)


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


def table_of(case):
    return f"t{[*BY_NAME].index(case.name)}"


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


def read_columns(servers, table, known=None, **options):
    """The columns of a table as the tap plans them."""
    found = servers.source.discovery.get_table_schema(table)
    return [
        Column(
            column.name,
            column.name,
            choose_reading(
                table,
                replace(column, collation=column.collation or found.collation),
                known,
                ReadingOptions(**options),
            ),
        )
        for column in found.columns
    ]


@dataclass
class Delivery:
    """The table of one type, stored, sent by every path and compared; `spoil` alters how its values are read."""

    servers: Servers
    case: Case
    folder: Any
    spoil: dict[str, Any] = field(default_factory=dict)
    nul: str = "replace"
    keep_sentinel_dates: bool = True

    def __post_init__(self):
        self.table = table_of(self.case)
        self.page = self.plan(self.nul, keep_sentinel_dates=self.keep_sentinel_dates)
        self.exact = self.plan("keep", exact=True)
        kinds = ", ".join(f'"{c.name}" {name_postgres_type(c.reading.schema)}' for c in self.page.columns)
        for name in (self.table, f"want_{self.table}"):
            self.servers.warehouse.execute(f"CREATE TABLE IF NOT EXISTS {name} ({kinds})")

    def plan(self, nul, **options):
        """The table's page, read with these options."""
        columns = read_columns(self.servers, self.table, self.case.known, **options)
        for place, column in enumerate(columns[1:], 1):
            columns[place] = replace(column, reading=replace(column.reading, **self.spoil))
        return Page(self.servers, self.table, columns, self.servers.source.session.packet, nul)

    def check(self, rows):
        """Store pairs of values; they must arrive as documented by each path, portable and exact."""
        self.store(rows)
        self.check_portable()
        self.check_exact()

    def check_portable(self):
        """What is stored must arrive by both kinds of records, and in PostgreSQL; what is altered is counted."""
        promised = self.promise()
        lines, altered = self.page.read(JSON)
        wanted = {num: {"A": a and a.value, "B": b and b.value} for num, (a, b) in promised.items()}
        assert self.page.records(lines) == wanted
        assert self.page.records_of_the_sdk(lines) == wanted
        assert altered.total() == sum(value.altered for values in promised.values() for value in values if value)
        path = self.folder / f"{self.table}.csv"
        self.page.write_csv(path, self.page.read(CSV)[0])
        assert self.differing_in_postgres(path, wanted) == [[], []]

    def check_exact(self):
        """A copy that LOAD DATA makes of the rows must be the source's own to the last bit, and nothing is counted."""
        path = self.folder / f"{self.table}.csv"
        lines, altered = self.exact.read(CSV)
        self.exact.write_csv(path, lines)
        assert self.differing_in_copy(path) == {}
        records, also_altered = self.exact.read(JSON)
        write_records_as_csv(path, self.exact, records)
        assert self.differing_in_copy(path) == {}
        assert altered == also_altered == {}

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

    def differing_in_copy(self, path):
        """Values that LOAD DATA makes of the file and are not the source's own."""
        copy = f"copy_{self.table}"
        fields = ", ".join(c.name if c.name == "Num" else f"@{c.name}" for c in self.exact.columns_sent)
        sets = ", ".join(f"{name} = {self.case.load.format(f'@{name}')}" for name in "AB")
        self.servers.ask(f"TRUNCATE {copy}")
        self.servers.ask(LOAD.format(path=path, table=copy, fields=fields, sets=sets))
        source, loaded = self.bits(self.table), self.bits(copy)
        assert source.keys() == loaded.keys()
        return {
            (num, place): (value, loaded[num][place])
            for num, values in source.items()
            for place, value in enumerate(values)
            if value != loaded[num][place]
        }

    def bits(self, table):
        """Text of each row that is equal where the stored values are, to the last bit."""
        same = ", ".join(self.case.same.format(name) for name in "AB")
        return {int(num): values for num, *values in self.servers.ask(f"SELECT Num, {same} FROM {table}")}


def write_records_as_csv(path, page, lines):
    """Write RECORD lines as a loader without files does: text quoted, whole numbers bare, NULL for null."""
    names = [column.name for column in page.columns_sent]
    rows = [",".join(map(write_field, record)) for record in read_objects(page, lines, names)]
    path.write_text("\n".join([",".join(names), *rows, ""]), encoding="utf-8", newline="")


def read_objects(page, lines, names):
    """The values of RECORD messages by a plain reader of JSON, which makes floats of fractions."""
    template = render_record_template("t", page.columns_sent, None, datetime.now(UTC))
    messages = render_objects(template, lines).removesuffix("\n").split("\n")
    return ([json.loads(message)["record"][name] for name in names] for message in messages)


def write_field(value):
    """A CSV field of a value as JSON has it."""
    if value is None:
        return "NULL"
    assert isinstance(value, int | str)  # a float would not be exact
    return str(value) if isinstance(value, int) else '"' + value.replace('"', '""') + '"'
