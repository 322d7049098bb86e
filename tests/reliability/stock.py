"""The stock rule for incremental reading, in a few lines: what the negative controls run beside the tap."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclass
class StockReader:
    """`WHERE cursor >= bookmark`, and the largest value seen is the next bookmark; rows are kept by their `Num`.

    `behind` is an overlap in seconds: where the rule reads again from. `zone` is the session's time zone.
    """

    engine: sa.Engine
    table: str
    cursor: str = "Stamp"
    behind: int = 0
    zone: str = "+00:00"
    bookmark: str | None = None
    held: dict[int, tuple[Any, ...]] = field(default_factory=dict)

    def run(self) -> None:
        """One run."""
        since = f"WHERE {self.cursor} >= '{self.bookmark}' - INTERVAL {self.behind} SECOND" if self.bookmark else ""
        for row in self._read(since):
            self.held[int(row[0])] = row
            self.bookmark = max(filter(None, (self.bookmark, row[-1])), default=None)

    def lost(self) -> set[int]:
        """Rows of the source that it does not hold as they are."""
        now = {int(row[0]): row for row in self._read("")}
        return {number for number, row in now.items() if self.held.get(number) != row}

    def _read(self, where: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            connection.exec_driver_sql(f"SET time_zone = '{self.zone}'")
            statement = f"SELECT *, CAST({self.cursor} AS CHAR) FROM {self.table} {where}"
            return [tuple(row) for row in connection.exec_driver_sql(statement)]
