"""What the server says of its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_opendental_replica.errors import SchemaRefusedError
from target_opendental_replica.postgres.model import Column, Table

if TYPE_CHECKING:
    from target_opendental_replica.postgres.connection import Connection

_RELATION = """
SELECT c.oid, c.relkind::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""
_COLUMNS = """
SELECT attname, pg_catalog.format_type(atttypid, atttypmod), attnotnull, pg_catalog.col_description(attrelid, attnum)
FROM pg_catalog.pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_KEY = """
SELECT k.conname, a.attname FROM pg_catalog.pg_constraint k
CROSS JOIN LATERAL pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u (number, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number
WHERE k.conrelid = %s AND k.contype = 'p' ORDER BY u.place
"""
# What hangs on a table beside its type, its columns' NOT NULL, its primary key and its TOAST table.
_DEPENDENTS = """
SELECT count(*) FROM pg_catalog.pg_depend d
LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid
WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = %s
AND d.classid <> 'pg_catalog.pg_type'::pg_catalog.regclass AND d.deptype <> 'i'
AND coalesce(k.contype::text, '') NOT IN ('p', 'n')
"""
# What of a table was set by someone: rights, options, row security, identity, comments, rights on columns.
_TRAITS = """
SELECT c.relowner, c.relacl::text, c.reloptions::text, c.reltablespace, c.relrowsecurity, c.relreplident,
  c.relkind::text, (SELECT pg_catalog.array_agg((d.objsubid, d.description)::text ORDER BY d.objsubid)
   FROM pg_catalog.pg_description d
   WHERE d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objoid = c.oid),
  (SELECT pg_catalog.array_agg((a.attname, a.attacl, a.attstattarget, a.attcompression, a.attstorage)::text
   ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_catalog.pg_class c WHERE c.oid = %s
"""


def has_schema(connection: Connection, schema: str) -> bool:
    """True where the schema is there."""
    return (
        connection.execute("SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s", (schema,)).fetchone() is not None
    )


def read_table(connection: Connection, schema: str, table: str) -> Table | None:
    """Return the table, None where there is none; SchemaRefusedError where a view or another thing has its name."""
    found = connection.execute(_RELATION, (schema, table)).fetchone()
    if found is None:
        return None
    oid, kind = found
    if kind not in {"r", "p"}:
        raise SchemaRefusedError(f"{schema}.{table} is not a table: rename or drop what has that name")
    columns = tuple(Column(*each) for each in connection.execute(_COLUMNS, (oid,)))
    key = connection.execute(_KEY, (oid,)).fetchall()
    return Table(oid, columns, tuple(name for _, name in key), key[0][0] if key else None)


def can_replace(connection: Connection, oid: int, other: int) -> bool:
    """True where nothing hangs on a table that another one of the same columns would lack in its place."""
    [(dependents,)] = connection.execute(_DEPENDENTS, (oid,)).fetchall()
    return not dependents and _read_traits(connection, oid) == _read_traits(connection, other)


def _read_traits(connection: Connection, oid: int) -> tuple[Any, ...] | None:
    return connection.execute(_TRAITS, (oid,)).fetchone()
