"""What the server says of a table as a whole."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tap_opendental.connector import TIMEOUT_CODES
from tap_opendental.errors import OpenDentalError
from tap_opendental.extraction.table_state import TableState
from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_opendental.extraction.pages import Row
    from tap_opendental.source import Source

_FACTS = (
    "SELECT TABLE_NAME, ENGINE, CAST(CREATE_TIME AS CHAR), CAST(UPDATE_TIME AS CHAR), TABLE_ROWS, DATA_LENGTH, "
    "AUTO_INCREMENT, CAST(UTC_TIMESTAMP(3) AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
)
_MEGABYTE = 1_048_576

# The sum of 60 bits of each row's MD5. CHECKSUM TABLE is not enough: it takes the columns of a row one after the other
# without a mark between them, so text that moves from the end of one to the begin of the next leaves it as it was.
# CONV gives text, of which SUM would make a float.
_DIGEST = "SELECT COUNT(*), CAST(SUM(CAST(CONV(LEFT(MD5({}), 15), 16, 10) AS UNSIGNED)) AS CHAR) FROM {}"


def read_table_states(source: Source) -> dict[str, TableState]:
    """Every table of the database by name: one statement.

    The server warns of a view without its table, or a table without its file, wherever it is, and has no facts of it.
    """
    return {str(row[0]): _state(row, source) for row in source.fetch((_FACTS, {}), warned=True)}


def read_table_state(source: Source, table: str) -> TableState | None:
    """One table, now; None when it is gone."""
    rows = source.fetch((f"{_FACTS} AND TABLE_NAME = %(table)s", {"table": table}), table=table)
    return next((_state(row, source) for row in rows if row[0] == table), None)


def read_digest(
    source: Source, table: str, state: TableState, expressions: Sequence[str], max_megabytes: int
) -> str | None:
    """Fingerprint of an InnoDB table: a digest of what would be sent of it, for which the server reads it whole.

    None where the table is larger than allowed, or takes longer than a statement may. The reading locks nothing.
    """
    if state.engine != "InnoDB" or state.data_bytes > max_megabytes * _MEGABYTE:
        return None
    try:
        ((rows, total),) = source.fetch((_DIGEST.format(_join(expressions), quote(table)), {}), table=table)
    except OpenDentalError as error:
        if error.mysql_code in TIMEOUT_CODES:
            return None
        raise
    return f"digest {rows} {total} {state.created}"


def _join(expressions: Sequence[str]) -> str:
    """One text of a row's expressions: a digest of each where there are several, since they may hold anything."""
    if len(expressions) == 1:
        return expressions[0]
    return f"CONCAT({', '.join(f'''IFNULL(MD5({expression}), '-')''' for expression in expressions)})"


def _state(row: Sequence[Any] | Row, source: Source) -> TableState:
    _, engine, created, updated, rows, data_bytes, counter, now = row
    return TableState(
        engine=str(engine),
        created=created,
        updated=updated if source.session.trusts_update_time else None,
        rows=int(rows or 0),
        data_bytes=int(data_bytes or 0),
        auto_increment=int(counter) if counter is not None else None,
        read_at=str(now),
        lead=round(datetime.fromisoformat(str(now)).replace(tzinfo=UTC).timestamp() - time.time()),
    )


def read_largest_key(source: Source, table: str, key: str) -> int | None:
    """Return the largest value of an integer key, at the cost of one look into its index; None of an empty table."""
    ((largest,),) = source.fetch((f"SELECT MAX({quote(key)}) FROM {quote(table)}", {}), table=table)
    return None if largest is None else int(largest)
