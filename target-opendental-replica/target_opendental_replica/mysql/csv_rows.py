"""The CSV dialect, read here: for servers that do not allow LOAD DATA LOCAL (pure but for the file it is given)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELD = re.compile(rb'(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n|\Z)')


def read_rows(content: BinaryIO) -> Iterator[list[str | None]]:
    """Yield the rows after the first line as texts, NULL as None; ValueError for what is not of the dialect."""
    lines = _read_records(content)
    next(lines, None)
    for record in lines:
        yield _split(record)


def skip_names(content: BinaryIO) -> None:
    """Go to where the rows begin. The server's IGNORE 1 LINES would take a newline in a name for the end of them."""
    next(_read_records(content), None)


def _read_records(content: BinaryIO) -> Iterator[bytes]:
    """Yield records: lines that go on while a quote is open."""
    parts: list[bytes] = []
    quotes = 0
    while line := content.readline():
        parts.append(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            yield b"".join(parts)
            parts, quotes = [], 0
    if parts:
        raise ValueError("a quote is open at the end")


def _split(record: bytes) -> list[str | None]:
    row: list[str | None] = []
    at = 0
    while True:
        found = _FIELD.match(record, at)
        if found is None:
            raise ValueError("a quote where none may be")
        quoted, bare, end = found.groups()
        if quoted is not None:
            row.append(quoted.replace(b'""', b'"').decode())
        else:
            row.append(None if bare == b"NULL" else bare.decode())
        at = found.end()
        if end != b",":
            return row
