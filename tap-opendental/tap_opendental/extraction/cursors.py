"""The cursor of each finished line: its first field, as a bookmark has it (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_opendental.types import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_opendental.bookmarks import Cursor
    from tap_opendental.extraction.lines import Dialect
    from tap_opendental.types import Reading


def read_cursors(dialect: Dialect, reading: Reading) -> Callable[[list[str]], list[Cursor | None]]:
    """Return a function from lines to cursors: ISO 8601 text, UTC with its offset, or whole numbers; None for NULL."""
    separator, null = dialect.separator, dialect.null
    if reading.kind is Kind.BARE:
        return lambda lines: [int(line.partition(separator)[0]) for line in lines]
    if dialect.plain_quote:
        return lambda lines: [
            None if (field := line.partition(separator)[0]) == null else field[1:-1] for line in lines
        ]
    offset = "+00:00" if "+00:00" in (reading.json_expression or "") else ""
    return lambda lines: [
        None if (field := line.partition(separator)[0]) == null else f"{field[:10]}T{field[11:]}{offset}"
        for line in lines
    ]
