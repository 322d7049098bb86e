"""What the server says of a table as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_opendental.extraction.table_state import TableState
from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_opendental.extraction.pages import Row
    from tap_opendental.source import Source

_FACTS = (
    "SELECT TABLE_NAME, ENGINE, CAST(CREATE_TIME AS CHAR), CAST(UPDATE_TIME AS CHAR), TABLE_ROWS, DATA_LENGTH, "
    "AUTO_INCREMENT, CAST(UTC_TIMESTAMP() AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
)
_MEGABYTE = 1_048_576


def read_table_states(source: Source) -> dict[str, TableState]:
    """Every table of the database by name: one statement."""
    return {str(row[0]): _state(row) for row in source.fetch((_FACTS, {}))}


def read_table_state(source: Source, table: str) -> TableState | None:
    """One table, now; None when it is gone."""
    rows = source.fetch((f"{_FACTS} AND TABLE_NAME = %(table)s", {"table": table}), table=table)
    return next((_state(row) for row in rows if row[0] == table), None)


def read_checksum(source: Source, table: str, state: TableState, max_megabytes: int) -> str | None:
    """Fingerprint of an InnoDB table by CHECKSUM TABLE, which reads it whole; None where it is larger than allowed."""
    if state.engine != "InnoDB" or state.data_bytes > max_megabytes * _MEGABYTE:
        return None
    ((_, checksum),) = source.fetch((f"CHECKSUM TABLE {quote(table)}", {}), table=table)
    return None if checksum is None else f"checksum {checksum} {state.created}"


def _state(row: Sequence[Any] | Row) -> TableState:
    _, engine, created, updated, rows, data_bytes, counter, now = row
    number = int(counter) if counter is not None else None
    return TableState(str(engine), created, updated, int(rows or 0), int(data_bytes or 0), number, str(now))


def read_largest_key(source: Source, table: str, key: str) -> int | None:
    """Return the largest value of an integer key, at the cost of one look into its index; None of an empty table."""
    ((largest,),) = source.fetch((f"SELECT MAX({quote(key)}) FROM {quote(table)}", {}), table=table)
    return None if largest is None else int(largest)
