"""A row as one line of text that the server builds, and what this side adds to it (pure).

The SELECT list is one expression, so the driver reads a row in 4 microseconds where typed values of 45 columns take it
50, and the server works no more than for those (docs/benchmarks.md). Two dialects: JSON tokens divided by tabs, from
which RECORD lines and JSON files are made, and CSV that COPY, LOAD DATA and Arrow read alike.

Three things are left to this side: rows that the server marked because a value needs a second look, NUL in text, and
columns that are read apart because they are bytes or long text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

from tap_opendental.errors import ValueRefusedError
from tap_opendental.quoting import quote
from tap_opendental.readings import Kind, encode_bytes

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Sequence

    from tap_opendental.readings import Mend, Reading
    from tap_opendental.types import NulInText

NUL = "values of text held U+0000"
MARK = "!"  # no field of either dialect begins with it
_ESCAPED = 6  # bytes that JSON may need for one of text: \u0000
_AROUND = 3  # bytes around a text: its quotes and what divides it from the next
_REPLACEMENT = "\ufffd"
# The mean row, in bytes, from which text is escaped on this side: REPLACE on documents of 1 to 4 KB cost the server
# 18 times what the plain column did (1.8 s against 0.1 s on 20,000 of them).
_WIDE_ROW = 1_000
# Fields of a column that are remembered as needing no mending: dates and truth values, of which there are few.
_MOST_KNOWN = 10_000
_CSV_FIELD = re.compile(r'("[^"]*(?:""[^"]*)*"|[^,"]*),')


@dataclass(frozen=True)
class Dialect:
    """How fields become a line: `write_text` is SQL around a text, ``{}`` its place; `escape` does the same here.

    `plain_quote` stands around text that needs no escaping; `nul` is how U+0000 in text looks.
    """

    name: str
    separator: str
    null: str
    plain_quote: str
    write_text: tuple[str, ...]
    escape: Callable[[str], str]
    split: Callable[[str], list[str]]
    nul: str


def _escape_csv(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _split_csv(line: str) -> list[str]:
    return _CSV_FIELD.findall(f"{line},")


def _split_json(line: str) -> list[str]:
    return line.split("\t")


# In JSON a tab inside text is written \t, so that a tab on its own divides fields; JSON_QUOTE is MySQL's from 5.7 and
# MariaDB's from 10.2 on.
JSON = Dialect("json", "\t", "null", '"', ("JSON_QUOTE({})",), encode_basestring, _split_json, "\\u0000")
_CSV_TEXT = ("'\"'", "REPLACE({}, '\"', '\"\"')", "'\"'")
CSV = Dialect("csv", ",", "NULL", "", _CSV_TEXT, _escape_csv, _split_csv, "\0")


@dataclass(frozen=True)
class Column:
    """A column that is sent: the property's name, the column's own, and its reading."""

    name: str
    source: str
    reading: Reading

    @property
    def quoted(self) -> str:
        """The column in SQL text."""
        return quote(self.source)


@dataclass(frozen=True)
class Layout:
    """Which columns the server puts into the line, and which are read apart and added behind it."""

    inline: tuple[Column, ...]
    apart: tuple[Column, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns in the line's order."""
        return (*self.inline, *self.apart)


def lay_out(columns: Sequence[Column], first: Sequence[str], *, packet: int, mean_row: int) -> Layout:
    """Choose what the server puts into the line; the columns named in `first` lead it.

    An expression beyond max_allowed_packet (`packet` bytes) is NULL with only a warning, so the widest columns stay out
    until the longest possible line fits. Where rows are wide (`mean_row` bytes), text is left to this side.
    """
    leading = {name: place for place, name in enumerate(first)}
    ordered = sorted(columns, key=lambda column: leading.get(column.name, len(leading)))
    apart = {column.name for column in ordered if _is_apart(column.reading, mean_row)}
    room = packet
    for column in sorted(ordered, key=lambda column: column.reading.max_bytes or 0):
        longest, is_text = column.reading.max_bytes or 0, column.reading.kind is Kind.TEXT
        room -= longest * _ESCAPED + _AROUND if is_text else longest
        if room < 0 and is_text:
            apart.add(column.name)
    return Layout(
        tuple(column for column in ordered if column.name not in apart),
        tuple(column for column in ordered if column.name in apart),
    )


def _is_apart(reading: Reading, mean_row: int) -> bool:
    long = reading.max_bytes is None or (mean_row > _WIDE_ROW and reading.max_bytes > _WIDE_ROW)
    return reading.kind is Kind.BYTES or (reading.kind is Kind.TEXT and long)


def render_select(layout: Layout, dialect: Dialect) -> tuple[str, ...]:
    """The SELECT list: the line, and each column that is read apart."""
    pieces = [_render_mark(layout)]
    for place, column in enumerate(layout.inline):
        pieces += [f"'{dialect.separator}'"] * bool(place) + _render_field(column, dialect)
    line = f"CONCAT({', '.join(filter(None, _join_constants(pieces)))})"
    apart = (column.reading.expression.replace("{0}", column.quoted) for column in layout.apart)
    return (line, *apart)


def _render_mark(layout: Layout) -> str:
    suspects = [
        f"({column.reading.suspect.replace('{0}', column.quoted)})"
        for column in layout.inline
        if column.reading.suspect
    ]
    return f"IF({' OR '.join(suspects)}, '{MARK}', '')" if suspects else "''"


def _render_field(column: Column, dialect: Dialect) -> list[str]:
    """SQL of one field, as arguments of CONCAT."""
    reading = column.reading
    text = reading.expression
    if dialect.plain_quote and reading.json_expression:
        text = reading.json_expression
    text = text.replace("{0}", column.quoted)
    arguments = [text]
    if reading.kind is Kind.TEXT:
        arguments = [piece.replace("{}", text) for piece in dialect.write_text]
    elif reading.kind is Kind.PLAIN and dialect.plain_quote:
        arguments = [f"'{dialect.plain_quote}'", text, f"'{dialect.plain_quote}'"]
    if not reading.nullable:
        return arguments
    joined = ", ".join(arguments)
    return [f"IFNULL({f'CONCAT({joined})' if len(arguments) > 1 else joined}, '{dialect.null}')"]


def _join_constants(pieces: Iterable[str]) -> list[str]:
    """Make one constant of those that follow one another: three pieces of text cost the server three calls."""
    joined: list[str] = []
    for piece in pieces:
        if joined and _is_constant(piece) and _is_constant(joined[-1]):
            joined[-1] = joined[-1][:-1] + piece[1:]
        else:
            joined.append(piece)
    return [piece for piece in joined if piece != "''"] or ["''"]


def _is_constant(piece: str) -> bool:
    return len(piece) > 1 and piece[0] == piece[-1] == "'" and "'" not in piece[1:-1]


class LostLineError(ValueRefusedError):
    """A row did not come: the expression of its line was NULL."""


class NulError(ValueRefusedError):
    """Text holds U+0000, and nul_in_text is fail."""


class LineFinisher:
    """Makes finished lines of what the server sent: marked rows mended, columns added, NUL in text dealt with.

    `altered` counts what was mapped on the way. `finish` raises NulError as nul_in_text says, and
    LostLineError where the server gave no line.
    """

    def __init__(
        self, layout: Layout, dialect: Dialect, altered: Counter[str], *, encoding: str, nul: NulInText, table: str
    ) -> None:
        self._dialect = dialect
        self._altered = altered
        self._nul = nul
        self._table = table
        self._encoding = encoding
        self._apart = [column.reading for column in layout.apart]
        self._columns = layout.columns
        self._width = len(layout.inline)
        self._mends = [
            (place, column.reading.mend, {dialect.null})
            for place, column in enumerate(layout.inline)
            if column.reading.mend
        ]

    def finish(self, rows: Sequence[Sequence[Any]]) -> list[str]:
        """Finish a page: rows as the driver gave them, the line first, then the columns read apart."""
        lines = [row[0] for row in rows]
        if None in lines:
            raise LostLineError(
                f"the server gave no line for a row of table {self._table}: it is longer than its max_allowed_packet"
            )
        for place, line in enumerate(lines):
            if line[:1] == MARK:
                lines[place] = self._mend(line[1:])
        if self._apart:
            lines = [self._add(line, row) for line, row in zip(lines, rows, strict=True)]
        if self._nul != "keep":
            self._remove_nul(lines)
        return lines

    def _mend(self, line: str) -> str:
        """Mend what is odd in a row that the server marked; most of its fields are not, and known by then."""
        fields = self._split(line)
        for place, mend, known in self._mends:
            field = fields[place]
            if field in known:
                continue
            fields[place] = self._mend_field(field, mend)
            if fields[place] == field and len(known) < _MOST_KNOWN:
                known.add(field)
        return self._dialect.separator.join(fields)

    def _mend_field(self, field: str, mend: Mend) -> str:
        quote = self._dialect.plain_quote
        quoted = bool(quote) and field.startswith(quote)
        text = mend(field[1:-1] if quoted else field, self._altered)
        return self._dialect.null if text is None else f"{quote}{text}{quote}" if quoted else text

    def _split(self, line: str) -> list[str]:
        """Cut a line at its separators; by the dialect's rules, at ten times the price, where text holds one too."""
        fields = line.split(self._dialect.separator)
        return fields if len(fields) == self._width else self._dialect.split(line)

    def _add(self, line: str, row: Sequence[Any]) -> str:
        added = (self._write(value, reading) for value, reading in zip(row[1:], self._apart, strict=False))
        return self._dialect.separator.join((line, *added) if line else added)

    def _write(self, value: str | bytes | None, reading: Reading) -> str:
        if value is None:
            return self._dialect.null
        if reading.kind is Kind.BYTES:
            return f'"{encode_bytes(_as_bytes(value), self._encoding)}"'
        return self._dialect.escape(str(value))

    def _remove_nul(self, lines: list[str]) -> None:
        """Look for NUL at the speed of a substring search; nearly no page has one."""
        nul = self._dialect.nul
        for place, line in enumerate(lines):
            if nul in line:
                lines[place] = self._without_nul(line)

    def _without_nul(self, line: str) -> str:
        fields = self._dialect.split(line)
        for place, column in enumerate(self._columns):
            if column.reading.kind is Kind.TEXT and self._dialect.nul in fields[place]:
                fields[place] = self._replace_nul(fields[place], column.source)
        return self._dialect.separator.join(fields)

    def _replace_nul(self, field: str, column: str) -> str:
        is_json = bool(self._dialect.plain_quote)
        text = json.loads(field) if is_json else field
        if "\0" not in text:
            return field  # a backslash and the letters u0000
        if self._nul == "fail":
            raise NulError(
                f"column {self._table}.{column} holds U+0000, which nul_in_text: fail refuses; "
                "set it to replace or strip, or mend the row at the source"
            )
        self._altered[NUL] += 1
        text = text.replace("\0", "" if self._nul == "strip" else _REPLACEMENT)
        return self._dialect.escape(text) if is_json else text


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def parse_line(line: str, columns: Sequence[Column]) -> dict[str, Any]:
    """Read a finished JSON line as a record, for the SDK's path: exact numbers as Decimal, others as int or float."""
    return {
        column.name: Decimal(token) if column.reading.exact and token != JSON.null else json.loads(token)
        for column, token in zip(columns, line.split(JSON.separator), strict=True)
    }
