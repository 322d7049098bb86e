"""Rows of a batch into a table at bulk speed: LOAD DATA LOCAL, or INSERT of many rows where the server forbids that.

Either way a warning of the server refuses the batch: it means that a value would not be what it was. The one warning
that is expected is that of the value 0 in an ENUM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, BinaryIO

from target_opendental_replica.errors import (
    BrokenStreamError,
    NotFoundError,
    ReplicaError,
    StoreError,
    ValueRefusedError,
)
from target_opendental_replica.mysql.csv_rows import read_rows, skip_names
from target_opendental_replica.mysql.errors import code_of
from target_opendental_replica.mysql.statements import render_insert, render_load, render_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from target_opendental_replica.batches import Batch
    from target_opendental_replica.mysql.columns import Slot
    from target_opendental_replica.mysql.connection import Answer, Link

# LOAD DATA LOCAL is off at the server or in its client's announcement.
_NOT_ALLOWED = frozenset({1148, 2068, 3948, 4166})
_DUPLICATE = 1062
_TOO_LONG = 1301  # the result of a function is longer than max_allowed_packet, and became NULL
_COUNTS = re.compile(r"Records: (\d+) +(?:Deleted|Duplicates): (\d+)(?: +Skipped: (\d+))?")
_ROW = re.compile(r" at row (\d+)$")
_STATEMENT_BYTES = 1_048_576


@dataclass(frozen=True)
class Place:
    """The rows of a batch, whose columns are those of the slots, in order."""

    stream: str
    batch: Batch
    slots: tuple[Slot, ...]

    def say(self, row: int | None, column: str | None = None) -> str:
        """Say where a row came from, for an error."""
        where = f", column {column}" if column else ""
        return f"stream {self.stream}{where}, {self.batch.locate(row)}"

    def open(self) -> BinaryIO:
        """Open the rows' CSV; NotFoundError where its file is gone or closed to this user."""
        try:
            return self.batch.open()
        except OSError as error:
            raise NotFoundError(
                f"{self.say(None)}: its file cannot be read ({error.strerror}): tap and target must run on one machine"
            ) from None


def take(
    link: Link, place: Place, table: str, unsent: Sequence[Mapping[str, Any]] = (), *, replaces: bool = True
) -> int | None:
    """Store the rows of a batch and return how many they are; columns of `unsent` that need a value get an empty one.

    A row takes the place of one with its key. If it is not to, nothing may be there: None where something was, and the
    caller rolls back. ValueRefusedError names column and line.
    """
    if link.may_load:
        try:
            return _load(link, place, table, unsent, replaces=replaces)
        except ReplicaError as error:
            if code_of(error) not in _NOT_ALLOWED:
                raise
            link.may_load = False
    return _insert(link, place, table, unsent, replaces=replaces)


def read_counts(answer: Answer) -> tuple[int, int, int]:
    """Return records, those deleted or duplicate, and those skipped, of the server's message."""
    found = _COUNTS.search(answer.message)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (answer.affected, 0, 0)


def _load(link: Link, place: Place, table: str, unsent: Sequence[Mapping[str, Any]], *, replaces: bool) -> int | None:
    with place.open() as content:
        try:
            skip_names(content)
            answer = link.load(
                lambda file: render_load(file, table, place.slots, unsent, replaces=replaces), content, table=table
            )
        except BrokenStreamError as error:
            raise BrokenStreamError(f"{place.say(None)}: {error}") from None
        except ValueError:
            raise _broken(place, None) from None
        except OSError as error:
            raise _unreadable(place, error) from None
    records, _, skipped = read_counts(answer)
    if skipped and not replaces:
        return None
    if answer.warnings or skipped:
        _require_harmless(link, place, _count_zeros(place), 0)
    return records


def _insert(link: Link, place: Place, table: str, unsent: Sequence[Mapping[str, Any]], *, replaces: bool) -> int | None:
    begin = render_insert(table, place.slots, unsent, replaces=replaces)
    records = 0
    for rows, zeros in _chunk(link, place, unsent, len(begin)):
        try:
            answer = link.run(begin + ", ".join(rows), table=table)
        except ReplicaError as error:
            if code_of(error) == _DUPLICATE and not replaces:
                return None
            raise
        if answer.warnings:
            _require_harmless(link, place, zeros, records)
        records += len(rows)
    return records


def _chunk(
    link: Link, place: Place, unsent: Sequence[Mapping[str, Any]], begin: int
) -> Iterator[tuple[list[str], int]]:
    """Yield rows for one statement each, below the server's packet, with the number of their ENUMs that are 0."""
    limit = min(link.packet // 2, _STATEMENT_BYTES)
    rows: list[str] = []
    size = zeros = 0
    for number, values in enumerate(_read(place), 1):
        literals = ["NULL" if value is None else link.literal(value) for value in values]
        row = render_row(literals, place.slots, unsent)
        length = len(row.encode())
        if length + begin > link.packet - 64:
            raise StoreError(f"{place.say(number)}: a row larger than the server's max_allowed_packet: raise it there")
        if rows and size + length > limit:
            yield rows, zeros
            rows, size, zeros = [], 0, 0
        rows.append(row)
        size += length
        zeros += _zeros(place, values)
    if rows:
        yield rows, zeros


def _read(place: Place) -> Iterator[list[str | None]]:
    """Yield the batch's rows, each with a value for every column."""
    numbers = count(1)
    number = 1
    try:
        with place.open() as content:
            for number, values in zip(numbers, read_rows(content), strict=False):
                if len(values) != len(place.slots):
                    raise _broken(place, number)
                yield values
    except ValueError:
        raise _broken(place, number + 1) from None
    except OSError as error:
        raise _unreadable(place, error) from None


def _unreadable(place: Place, error: OSError) -> BrokenStreamError:
    return BrokenStreamError(f"{place.say(None)}: a file of rows cannot be read to its end: {error.strerror}")


def _broken(place: Place, row: int | None) -> BrokenStreamError:
    return BrokenStreamError(f"{place.say(row)}: no row of the CSV that its first line announces")


def _count_zeros(place: Place) -> int:
    """Count the values 0 of ENUM columns, which the server warns of and stores."""
    return sum(_zeros(place, row) for row in _read(place)) if any(s.warns_of_zero for s in place.slots) else 0


def _zeros(place: Place, row: Sequence[str | None]) -> int:
    return sum(slot.warns_of_zero and value == "0" for slot, value in zip(place.slots, row, strict=True))


def _require_harmless(link: Link, place: Place, expected: int, before: int) -> None:
    """Refuse the batch when the server warned of more than was expected; `before` rows went with other statements."""
    counted = int(link.run("SELECT @@warning_count").rows[0][0])
    if counted == expected:
        return
    zeros = {slot.column for slot in place.slots if slot.warns_of_zero} if expected else set()
    warnings = [_read_warning(place, int(code), str(text)) for _, code, text in link.run("SHOW WARNINGS").rows]
    named = [warning for warning in warnings if warning.column not in zeros] or warnings
    raise _refuse(place, named[0] if named else _Warning(0), before)


@dataclass(frozen=True)
class _Warning:
    """A warning, without its text."""

    code: int
    column: str | None = None
    row: int | None = None


def _read_warning(place: Place, code: int, text: str) -> _Warning:
    """Take column and row out of a warning. Its text may hold a value: only its end counts, and our columns."""
    row = _ROW.search(text)
    if row is None:
        return _Warning(code)
    before = text[: row.start()]
    found = (s.column for s in place.slots if before.endswith((f"column '{s.column}'", f".`{s.column}`")))
    return _Warning(code, next(found, None), int(row[1]))


def _refuse(place: Place, warning: _Warning, before: int) -> ReplicaError:
    row = None if warning.row is None else before + warning.row
    if warning.code == _TOO_LONG:
        return StoreError(
            f"{place.say(None)}: a value longer than the server's max_allowed_packet: raise it there, then run again"
        )
    if warning.code in (1261, 1262):
        return _broken(place, row)
    return ValueRefusedError(
        f"{place.say(row, warning.column)}: the column cannot hold a value as it is (MySQL warning {warning.code})"
    )
