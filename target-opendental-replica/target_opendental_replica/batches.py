"""Rows on their way to the destination, as CSV: a file of the tap's, or rows of RECORD messages held in memory.

The one dialect that PostgreSQL's COPY and MySQL's LOAD DATA read alike: a first line of names; text in double quotes,
quotes inside doubled; everything else bare; NULL the bare word NULL; commas and newlines; nothing else is escaped.
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

_RUN_FOLDER = "opendental-run-"


@dataclass(frozen=True)
class Batch:
    """Rows of one stream and one version, none twice by promise of nobody: the last one of a key counts.

    `columns` are property names in the file's order; `_sdc_deleted_at` may be among them, and a row that has it is to
    be deleted. `content` is the whole CSV with its first line, or the path of a file of it. `size` is in bytes.
    `extracted_at` is when the rows were read (UTC). `lines` are the numbers of the Singer lines that the rows came in,
    empty of a file; `line` is the number of the message.
    """

    columns: tuple[str, ...]
    content: bytes | Path
    size: int
    extracted_at: datetime
    version: int | None = None
    line: int = 0
    lines: Sequence[int] = field(default=(), repr=False)

    def open(self) -> BinaryIO:
        """Open the CSV for reading, from its first line on."""
        return io.BytesIO(self.content) if isinstance(self.content, bytes) else self.content.open("rb")

    def locate(self, row: int | None) -> str:
        """Say where the row of that number (from 1 on, None if it is not known) came from, for an error."""
        if row is not None and 0 < row <= len(self.lines):
            return f"line {self.lines[row - 1]}"
        if self.lines:
            return f"lines {self.lines[0]} to {self.lines[-1]}"
        return f"line {self.line}" + (f", row {row} of its file" if row else "")


def remove_own(path: Path) -> None:
    """Remove a file of tap-opendental's, which lies in a folder of its run; one of any other tap stays."""
    if path.parent.name.startswith(_RUN_FOLDER):
        with suppress(OSError):
            path.unlink()
