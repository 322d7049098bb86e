"""What the server says of a table as a whole: whether its rows changed since a moment, and whether they went back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_opendental.extraction.pages import Row
    from tap_opendental.source import Source

_FACTS = (
    "SELECT TABLE_NAME, ENGINE, CAST(CREATE_TIME AS CHAR), CAST(UPDATE_TIME AS CHAR), TABLE_ROWS, DATA_LENGTH, "
    "AUTO_INCREMENT, CAST(UTC_TIMESTAMP() AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
)
# UPDATE_TIME has seconds, and a second may see more edits after it was read.
_SETTLED = timedelta(seconds=2)
_MEGABYTE = 1_048_576


@dataclass(frozen=True)
class TableState:
    """A table at a moment: times as the server's text in UTC, `rows` exact on MyISAM and an estimate elsewhere."""

    engine: str
    created: str | None
    updated: str | None
    rows: int
    data_bytes: int
    auto_increment: int | None
    read_at: str

    @property
    def fingerprint(self) -> str | None:
        """Text that differs whenever a row changed since; None where that cannot be told.

        Only MyISAM keeps UPDATE_TIME: InnoDB forgets it at a restart. It must lie two seconds back, since an edit in
        its own second would not move it.
        """
        if self.engine != "MyISAM" or self.updated is None:
            return None
        if datetime.fromisoformat(self.read_at) - datetime.fromisoformat(self.updated) < _SETTLED:
            return None
        return f"{self.updated} {self.created} {self.rows} {self.data_bytes} {self.auto_increment or 0}"

    def to_state(self) -> dict[str, Any]:
        """Plain JSON types, of what a later run compares with."""
        return {name: value for name, value in asdict(self).items() if name in _REMEMBERED}

    def went_back(self, before: Mapping[str, Any]) -> str | None:
        """Say in which way the table is older than it was (`before` is `to_state`'s), as after a restored backup."""
        counter = before.get("auto_increment")
        if isinstance(counter, int) and self.auto_increment is not None and self.auto_increment < counter:
            return "its AUTO_INCREMENT went back"
        for name, label in (("created", "CREATE_TIME"), ("updated", "UPDATE_TIME")):
            then, now = before.get(name), getattr(self, name)
            # InnoDB's UPDATE_TIME is lost at a restart, and then says nothing
            if isinstance(then, str) and now is not None and now < then and (name == "created" or self.is_myisam):
                return f"its {label} went back"
        return None

    @property
    def is_myisam(self) -> bool:
        """True where UPDATE_TIME can be believed."""
        return self.engine == "MyISAM"


_REMEMBERED = frozenset({"created", "updated", "auto_increment"})


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
