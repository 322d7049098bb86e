"""Where finished lines go: RECORD messages on stdout, or files that BATCH messages name."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from tap_opendental.extraction.lines import CSV
from tap_opendental.records import cut, describe_extraction, render_slices, render_template, write_records

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_opendental.batch_files import BatchFolder
    from tap_opendental.extraction.lines import Column, Dialect

# Held in memory until a file is written. A bulk loader wants long files; an SDK target reads one into records at once
# (20,000 rows of 45 columns, 19 MB, took stock target-postgres to 360 MB).
_FILE_BYTES = {"csv": 16 * 1_048_576, "json": 8 * 1_048_576}
# A stream's first file ends early, so that the target loads while the tap reads on, and each may be twice the one
# before: with two long files, a tenth of the time of 200,000 narrow rows was the target's alone.
_FIRST_FILE_BYTES = 1_048_576


class Writer(Protocol):
    """Takes the lines of a stream."""

    def write(self, lines: Sequence[str], columns: Sequence[Column], version: int | None) -> None:
        """Take a page of finished lines."""

    def flush(self) -> None:
        """Send what is held: nothing that was written may come after a STATE."""


class RecordWriter:
    """RECORD messages, a page at a time."""

    def __init__(self, stream: str) -> None:
        self._stream = stream

    def write(self, lines: Sequence[str], columns: Sequence[Column], version: int | None) -> None:
        """Write a page."""
        write_records(self._stream, columns, version, lines)

    def flush(self) -> None:
        """Nothing is held."""


class BatchWriter:
    """Files of lines, small ones first, each announced by a BATCH message once it is whole.

    `announce` writes the message for an encoding and a file's URL. A CSV file begins with a line of its columns' names;
    a line of JSON holds what the stock targets would add to a RECORD.
    """

    def __init__(
        self, stream: str, folder: BatchFolder, dialect: Dialect, announce: Callable[[Mapping[str, str], str], None]
    ) -> None:
        self._stream = stream
        self._folder = folder
        self._dialect = dialect
        self._announce = announce
        self._chunks: list[bytes] = []
        self._size = 0
        self._enough = min(_FIRST_FILE_BYTES, _FILE_BYTES[dialect.name])

    def write(self, lines: Sequence[str], columns: Sequence[Column], version: int | None) -> None:
        """Add a page to the file."""
        if self._dialect is CSV:
            self._add("" if self._chunks else _render_header(columns))
            for part in cut(lines):
                self._add("\n".join(part) + "\n")
        else:
            facts = describe_extraction(version, datetime.now(UTC))
            for text in render_slices(render_template(columns, facts), lines):
                self._add(text)
        if self._size >= self._enough:
            self._enough = min(2 * self._enough, _FILE_BYTES[self._dialect.name])
            self.flush()

    def flush(self) -> None:
        """Close the file and announce it."""
        if self._chunks:
            chunks, self._chunks, self._size = self._chunks, [], 0
            suffix = ".csv" if self._dialect is CSV else ".jsonl.gz"
            self._announce(describe_encoding(self._dialect), self._folder.write(self._stream, chunks, suffix))

    def _add(self, text: str) -> None:
        if text:
            self._chunks.append(text.encode())
            self._size += len(self._chunks[-1])


def _render_header(columns: Sequence[Column]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(column.name for column in columns)
    return line.getvalue()


def describe_encoding(dialect: Dialect) -> dict[str, str]:
    """The encoding of a BATCH message: the SDK's own for JSON lines, ours for CSV."""
    return {"format": "csv", "compression": "none"} if dialect is CSV else {"format": "jsonl", "compression": "gzip"}
