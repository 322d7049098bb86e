"""A look at the data, bounded in rows and time: do references hold, and do rows change?

Nothing here decides anything: what it finds stands beside the judgement in analysis.json. Statements end after
`SECONDS_A_STATEMENT`, since on MyISAM a long SELECT blocks every writer; values are compared on the server and never
leave this module.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from tap_opendental.discovery.judgements import Reference, TableAnalysis
    from tap_opendental.discovery.model import Server

SAMPLE_ROWS = 1000
SECONDS_A_STATEMENT = 0.25
SECONDS_IN_ALL = 60.0
RECENT_DAYS = 7

_NEWEST = "SELECT DISTINCT {column} FROM (SELECT {column} FROM {table} ORDER BY {order} DESC LIMIT {rows}) AS newest"
_FOUND = "SELECT COUNT(DISTINCT {column}) FROM {table} WHERE {column} IN %(keys)s"
_RECENT = "SELECT COUNT(*) FROM {table} WHERE {column} >= NOW() - INTERVAL {days} DAY"
_NO_KEYS = frozenset({"tinyint", "text", "tinytext", "mediumtext", "longtext"})
_NONE = (None, 0, "0", "", -1)


class Probe:
    """Asks about tables until its time is over; what it did not get to stays unknown (None)."""

    def __init__(
        self,
        connection: Connection,
        server: Server,
        *,
        seconds: float = SECONDS_IN_ALL,
        tell: Callable[[str, int, int], None],
    ) -> None:
        self._connection = connection
        self._server = server
        self._tell = tell
        self._ends = time.monotonic() + seconds

    def look(self, tables: Sequence[TableAnalysis]) -> tuple[TableAnalysis, ...]:
        """Return the tables with what was found: orphans of references, rows changed in the last week."""
        return tuple(self._look_at(table, number, len(tables)) for number, table in enumerate(tables, start=1))

    def _look_at(self, table: TableAnalysis, number: int, total: int) -> TableAnalysis:
        if table.size.rows == 0 or not table.table.primary_key or time.monotonic() > self._ends:
            return table
        self._tell(f"probing {table.table.name}", number, total)
        references = tuple(self._check(table, one) if _may_be_key(table, one) else one for one in table.references)
        return replace(table, references=references, usage=replace(table.usage, recent_rows=self._count_recent(table)))

    def _check(self, table: TableAnalysis, reference: Reference) -> Reference:
        """Sample the newest rows' distinct values, and count those that the other table does not have."""
        order = ", ".join(f"{quote(name)} DESC" for name in table.table.primary_key).removesuffix(" DESC")
        column = quote(reference.column)
        statement = _NEWEST.format(column=column, table=quote(table.table.name), order=order, rows=SAMPLE_ROWS)
        rows = self._ask(statement)
        if rows is None:
            return reference
        keys = [value for (value,) in rows if value not in _NONE]
        found = self._count_found(reference, keys) if keys else 0
        if found is None:
            return reference
        return replace(reference, sampled=len(keys), orphans=len(keys) - found)

    def _count_found(self, reference: Reference, keys: Sequence[object]) -> int | None:
        statement = _FOUND.format(column=quote(reference.to_column), table=quote(reference.to_table))
        rows = self._ask(statement, {"keys": tuple(keys)})
        return int(rows[0][0]) if rows else None

    def _count_recent(self, table: TableAnalysis) -> int | None:
        """Count rows whose self-updating column moved lately; None where the limit ends the search."""
        replication = table.replication
        if replication.key is None or replication.append_only:
            return None
        statement = _RECENT.format(table=quote(table.table.name), column=quote(replication.key), days=RECENT_DAYS)
        rows = self._ask(statement, {})
        return int(rows[0][0]) if rows else None

    def _ask(self, statement: str, parameters: dict[str, object] | None = None) -> Sequence[Sequence[Any]] | None:
        """Run one statement with a limit of its own; None when its time or the whole time was over, or it failed."""
        if time.monotonic() > self._ends:
            return None
        try:
            return self._connection.exec_driver_sql(self._limited(statement), parameters or {}).all()
        except SQLAlchemyError:  # also of a connection that was killed: then nothing more is found out
            return None

    def _limited(self, statement: str) -> str:
        if self._server.flavour == "mariadb":
            return f"SET STATEMENT max_statement_time = {SECONDS_A_STATEMENT} FOR {statement}"
        milliseconds = int(SECONDS_A_STATEMENT * 1000)
        return statement.replace("SELECT", f"SELECT /*+ MAX_EXECUTION_TIME({milliseconds}) */", 1)


def _may_be_key(table: TableAnalysis, reference: Reference) -> bool:
    """True where a value without a row means something: not in free text, in enums, or where a row says whose key."""
    return reference.is_certain and table.table.column(reference.column).base_type not in _NO_KEYS
