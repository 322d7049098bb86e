"""What stands at the front of a line: its cursor, as a bookmark has it, and its key (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_opendental.extraction.lines import MARK
from tap_opendental.moments import is_calendar_day
from tap_opendental.readings import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_opendental.bookmarks import Cursor
    from tap_opendental.extraction.lines import Column, Dialect
    from tap_opendental.readings import Reading


def read_cursors(dialect: Dialect, reading: Reading) -> Callable[[list[str]], list[Cursor | None]]:
    """Return a function from lines to cursors: ISO 8601 text, UTC with its offset, or whole numbers; None for NULL.

    Where values are not mended, a moment that no calendar has is none, either.
    """
    separator, null = dialect.separator, dialect.null

    def read_fields(lines: list[str]) -> list[str]:
        # partition would copy all that follows; a line of one field has no separator
        return [line[:end] if (end := line.find(separator)) >= 0 else line for line in lines]

    if reading.kind is Kind.BARE:
        return lambda lines: [int(field) for field in read_fields(lines)]
    if dialect.plain_quote and reading.json_expression:
        return lambda lines: [None if field == null else field[1:-1] for field in read_fields(lines)]
    offset = "+00:00" if reading.in_utc else ""
    if reading.suspect is None:
        quote = dialect.plain_quote
        return lambda lines: [_read_any_moment(field.strip(quote), offset) for field in read_fields(lines)]
    return lambda lines: _read_moments(read_fields(lines), null, offset)


def _read_any_moment(field: str, offset: str) -> str | None:
    """Make ISO 8601 of a moment that nobody mended: one that no calendar has is none, and neither is NULL."""
    return field.replace(" ", "T") + offset if is_calendar_day(field[:10]) else None


def _read_moments(fields: list[str], null: str, offset: str) -> list[Cursor | None]:
    """Make ISO 8601 of moments as the server writes them, all at once: half of what each on its own costs."""
    if not fields:  # of a page without a row, split would make one
        return []
    moments = "\n".join(fields).replace(" ", "T").replace("\n", f"{offset}\n").split("\n")
    moments[-1] += offset
    if null not in fields:
        return list(moments)
    return [None if field == null else moment for field, moment in zip(fields, moments, strict=True)]


def choose_key_reader(
    dialect: Dialect, inline: Sequence[Column], key: Sequence[str]
) -> Callable[[tuple[Any, ...]], tuple[int, ...]] | None:
    """Return a function from a row as the server sent it to its key; None where the line does not lead to it.

    It does where the key is of whole numbers, which stand in the line's front behind the cursor, if there is one:
    selecting them beside the line costs the driver as much as the line itself.
    """
    places = [place for place, column in enumerate(inline) if column.source in key]
    whole = all("integer" in inline[place].reading.schema["type"] for place in places)
    if not places or [inline[place].source for place in places] != [*key] or not whole or places[-1] > len(key):
        return None
    separator, last = dialect.separator, places[-1] + 1

    def read(row: tuple[Any, ...]) -> tuple[int, ...]:
        fields = row[0].lstrip(MARK).split(separator, last)
        return tuple(int(fields[place]) for place in places)

    return read
