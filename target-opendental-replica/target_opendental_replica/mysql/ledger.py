"""What the replica's database remembers: the position of each stream, and what its table was when it was last made."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from target_opendental_replica.mysql.json_text import write_json
from target_opendental_replica.mysql.statements import CREATE_STATE, CREATE_TABLES, STATE, TABLES
from target_opendental_replica.positions import Position
from target_opendental_replica.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_opendental_replica.mysql.connection import Link

_COLUMNS = "active_version, gathered_version, replaced_versions, swapped_version, wanted, made, kept"


@dataclass(frozen=True)
class Entry:
    """A stream's table: the versions that it holds, that are gathered beside it, and that it has held.

    `swapped` is a version that was about to take the table's place when this was written. `wanted` and `made` are
    hashes of the facts and of SHOW CREATE TABLE; `kept` are facts of columns that are gone at the source and stay here.
    """

    table: str
    versions: Versions = field(default_factory=Versions)
    swapped: int | None = None
    wanted: str = ""
    made: str = ""
    kept: Sequence[Mapping[str, Any]] = field(default=())


class Ledger:
    """Reads and writes what is remembered; nothing but `create` and `forget` commits."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def create(self) -> None:
        """Make the two tables where they are not yet; sessions that do so at the same time do not mind each other."""
        self._link.run(CREATE_STATE.format(collation=self._link.collation), table=STATE)
        self._link.run(CREATE_TABLES.format(collation=self._link.collation), table=TABLES)

    def read(self, stream: str, table: str) -> Entry:
        """Return what is remembered of a stream; of one that is not known, an empty entry."""
        rows = self._link.run(f"SELECT {_COLUMNS} FROM {TABLES} WHERE stream = %s", (stream,)).rows
        if not rows:
            return Entry(table)
        active, gathered, replaced, swapped, wanted, made, kept = rows[0]
        versions = Versions(active, gathered, tuple(json.loads(replaced)))
        return Entry(table, versions, swapped, wanted, made, tuple(json.loads(kept)))

    def write(self, stream: str, entry: Entry) -> None:
        """Remember a stream's table."""
        self._link.run(
            f"REPLACE INTO {TABLES} (stream, table_name, {_COLUMNS}, changed_at) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, UTC_TIMESTAMP(6))",
            (
                *(stream, entry.table, entry.versions.active, entry.versions.gathered),
                *(write_json(entry.versions.replaced), entry.swapped, entry.wanted, entry.made, write_json(entry.kept)),
            ),
            table=TABLES,
        )

    def read_positions(self) -> Mapping[tuple[str, str], Position]:
        """Return every position, by stream and lineage."""
        rows = self._link.run(f"SELECT stream, lineage, serial, bookmark FROM {STATE}").rows
        return {(row[0], row[1]): Position(row[1], int(row[2]), json.loads(row[3])) for row in rows}

    def find_owner(self, stream: str, table: str) -> str | None:
        """Return another stream that has loaded the table, by the server's own rule for names; None for none."""
        rows = self._link.run(
            f"SELECT stream FROM {TABLES} WHERE (table_name = %s OR (@@lower_case_table_names <> 0 AND "
            "LOWER(table_name) = LOWER(%s))) AND stream <> %s ORDER BY stream LIMIT 1",
            (table, table, stream),
        ).rows
        return str(rows[0][0]) if rows else None

    def find_gone(self) -> Mapping[str, str]:
        """Return the streams whose table was made here and is not there any more, with the table's name."""
        made = self._link.run(f"SELECT stream, table_name FROM {TABLES} WHERE made <> ''").rows
        fold = str.lower if int(self._link.run("SELECT @@lower_case_table_names").rows[0][0]) else str
        there = {fold(str(row[0])) for row in self._link.run("SHOW TABLES").rows}
        return {str(stream): str(table) for stream, table in made if fold(str(table)) not in there}

    def read_position(self, stream: str, lineage: str) -> Position | None:
        """Return the position of a stream in a lineage; None for nothing."""
        rows = self._link.run(
            f"SELECT serial, bookmark FROM {STATE} WHERE stream = %s AND lineage = %s", (stream, lineage)
        ).rows
        return Position(lineage, int(rows[0][0]), json.loads(rows[0][1])) if rows else None

    def write_position(self, stream: str, position: Position) -> None:
        """Remember a position; it lasts with the rows that are committed with it."""
        self._link.run(
            f"REPLACE INTO {STATE} (stream, lineage, serial, bookmark, saved_at) "
            "VALUES (%s, %s, %s, %s, UTC_TIMESTAMP(6))",
            (stream, position.lineage, position.serial, write_json(position.bookmark)),
            table=STATE,
        )

    def forget(self, stream: str, entry: Entry) -> Entry:
        """Forget the positions of a stream, and which version it holds: its rows are no longer those it had; commit."""
        self._link.run(f"DELETE FROM {STATE} WHERE stream = %s", (stream,), table=STATE)
        forgotten = replace(entry, versions=Versions(gathered=entry.versions.gathered))
        self.write(stream, forgotten)
        self._link.commit()
        return forgotten
