"""The tables of a database as they stand: which has a key, which has a column that updates itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

_COLUMNS: Final = """
SELECT c.TABLE_NAME, c.COLUMN_NAME, c.COLUMN_KEY = 'PRI', LOWER(c.EXTRA) LIKE '%%on update%%'
FROM information_schema.COLUMNS c
JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
WHERE c.TABLE_SCHEMA = %s AND t.TABLE_TYPE = 'BASE TABLE'
ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION
"""


@dataclass(frozen=True)
class LiveTable:
    """What matters of a table when rows are written to it."""

    name: str
    columns: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    stamp: str | None = None

    @property
    def is_incremental(self) -> bool:
        """True when a bookmark on the self-updating column can follow the table."""
        return bool(self.key) and self.stamp is not None


def read_live_tables(connection: Connection, database: str) -> Mapping[str, LiveTable]:
    """Every table of the database by its name."""
    tables: dict[str, LiveTable] = {}
    for name, column, is_key, updates_itself in connection.exec_driver_sql(_COLUMNS, (database,)):
        table = tables.get(name, LiveTable(name))
        tables[name] = replace(
            table,
            columns=(*table.columns, column),
            key=(*table.key, column) if is_key else table.key,
            stamp=column if updates_itself else table.stamp,
        )
    return tables
