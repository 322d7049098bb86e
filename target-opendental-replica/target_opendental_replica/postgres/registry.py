"""The target's own tables in the schema: which position each stream holds, and which version of it is active."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
from psycopg.sql import SQL, Composed, Identifier, Literal

from target_opendental_replica.positions import Position
from target_opendental_replica.postgres.catalog import has_schema, read_table
from target_opendental_replica.postgres.names import choose_lock
from target_opendental_replica.postgres.statements import qualify
from target_opendental_replica.versions import Versions
from target_opendental_replica.warehouse import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_opendental_replica.postgres.connection import Connection

_STATE, _TABLES = f"{PREFIX}load_state", f"{PREFIX}tables"
_DEFINITIONS = {
    _STATE: """(
        stream text NOT NULL, lineage text NOT NULL, serial bigint NOT NULL, bookmark json NOT NULL,
        saved_at timestamp with time zone NOT NULL DEFAULT now(), PRIMARY KEY (stream, lineage))""",
    _TABLES: """(
        stream text NOT NULL PRIMARY KEY, table_name text NOT NULL, active_version bigint, gathered_version bigint,
        replaced_versions bigint[] NOT NULL DEFAULT '{}',
        saved_at timestamp with time zone NOT NULL DEFAULT now())""",
}


class Registry:
    """`_od_load_state` and `_od_tables`; nothing is committed here but by `prepare`."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection, self._schema = connection, schema
        self._state, self._tables = qualify(schema, _STATE), qualify(schema, _TABLES)

    def prepare(self) -> None:
        """Create the schema and both tables where they are missing; sessions that do so at once wait for each other."""
        if self._missing():
            self._run(SQL("SELECT pg_catalog.pg_advisory_xact_lock({})").format(Literal(choose_lock(self._schema, ""))))
            if not has_schema(self._connection, self._schema):
                self._run(SQL("CREATE SCHEMA {}").format(Identifier(self._schema)))
            for name in self._missing():
                self._run(SQL("CREATE TABLE {} {}").format(qualify(self._schema, name), SQL(_DEFINITIONS[name])))
        self._connection.commit()

    def read_position(self, stream: str, lineage: str) -> Position | None:
        """Return the position that the rows of a stream are at, for one lineage of states."""
        query = SQL("SELECT serial, bookmark::text FROM {} WHERE stream = {} AND lineage = {}")
        found = self._connection.execute(query.format(self._state, Literal(stream), Literal(lineage))).fetchone()
        return None if found is None else Position(lineage, found[0], _read_json(found[1]))

    def read_positions(self) -> Mapping[tuple[str, str], Position]:
        """Return all positions, by stream and lineage."""
        rows = self._connection.execute(
            SQL("SELECT stream, lineage, serial, bookmark::text FROM {}").format(self._state)
        )
        return {
            (stream, lineage): Position(lineage, serial, _read_json(text)) for stream, lineage, serial, text in rows
        }

    def find_owner(self, stream: str, table: str) -> str | None:
        """Return another stream that has loaded the table; None where there is none."""
        query = SQL("SELECT stream FROM {} WHERE table_name = {} AND stream <> {} ORDER BY stream LIMIT 1")
        found = self._connection.execute(query.format(self._tables, Literal(table), Literal(stream))).fetchone()
        return None if found is None else str(found[0])

    def find_gone(self) -> Mapping[str, str]:
        """Return the streams whose table was made here and is not there any more, with the table's name."""
        query = SQL(
            "SELECT t.stream, t.table_name FROM {} t WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN "
            "pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = t.table_name)"
        )
        return dict(self._connection.execute(query.format(self._tables, Literal(self._schema))).fetchall())

    def save_position(self, stream: str, position: Position) -> None:
        """Save the position of a stream; as parameters: a bookmark holds keys, and servers log statements."""
        self._connection.execute(
            SQL(
                "INSERT INTO {0} (stream, lineage, serial, bookmark) VALUES (%s, %s, %s, %s) "
                "ON CONFLICT (stream, lineage) "
                "DO UPDATE SET serial = excluded.serial, bookmark = excluded.bookmark, saved_at = pg_catalog.now()"
            ).format(self._state),
            (stream, position.lineage, position.serial, _write_json(position.bookmark)),
        )

    def read_versions(self, stream: str) -> Versions | None:
        """Return the versions of a stream, None for one that this target has not loaded yet."""
        query = SQL("SELECT active_version, gathered_version, replaced_versions FROM {} WHERE stream = {}")
        found = self._connection.execute(query.format(self._tables, Literal(stream))).fetchone()
        return None if found is None else Versions(found[0], found[1], tuple(found[2]))

    def save_versions(self, stream: str, table: str, versions: Versions) -> None:
        """Save the versions of a stream."""
        values = (stream, table, versions.active, versions.gathered, [*versions.replaced])
        self._run(
            SQL(
                "INSERT INTO {0} (stream, table_name, active_version, gathered_version, replaced_versions) "
                "VALUES ({1}) "
                "ON CONFLICT (stream) DO UPDATE SET table_name = excluded.table_name, saved_at = pg_catalog.now(), "
                "active_version = excluded.active_version, gathered_version = excluded.gathered_version, "
                "replaced_versions = excluded.replaced_versions"
            ).format(self._tables, SQL(", ").join(map(Literal, values)))
        )

    def forget(self, stream: str) -> None:
        """Forget a stream whose table is gone: a position without rows would be a lie."""
        for table in (self._state, self._tables):
            self._run(SQL("DELETE FROM {} WHERE stream = {}").format(table, Literal(stream)))

    def _missing(self) -> list[str]:
        return [name for name in _DEFINITIONS if read_table(self._connection, self._schema, name) is None]

    def _run(self, statement: Composed) -> None:
        self._connection.execute(statement)


def _read_json(text: str) -> dict[str, object]:
    found = json.loads(text)
    return found if isinstance(found, dict) else {}


def _write_json(bookmark: Mapping[str, object]) -> str:
    return msgspec.json.Encoder(decimal_format="number").encode(bookmark).decode()
