"""Views that hang on columns whose type changes: dropped, and made again as they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from target_opendental_replica.errors import SchemaRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_opendental_replica.postgres.connection import Connection

# Views on the columns, and views on those; `depth` is the longest way there, so that sorting by it is the order in
# which they can be made.
_DEPENDENT = """
WITH RECURSIVE uses AS (
  SELECT DISTINCT r.ev_class AS view, d.refobjid AS used, d.refobjsubid AS number
  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
  WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND r.ev_class <> d.refobjid
), found AS (
  SELECT u.view, 1 AS depth FROM uses u
  JOIN pg_catalog.pg_attribute a ON a.attrelid = u.used AND a.attnum = u.number
  WHERE u.used = %s AND a.attname = ANY (%s)
  UNION SELECT u.view, f.depth + 1 FROM uses u JOIN found f ON u.used = f.view
)
SELECT view, max(depth) FROM found GROUP BY view ORDER BY max(depth), view
"""
_VIEW = """
SELECT n.nspname, c.relname, c.relkind::text, pg_catalog.pg_get_viewdef(c.oid), c.reloptions,
  pg_catalog.pg_get_userbyid(c.relowner), pg_catalog.obj_description(c.oid, 'pg_class'),
  c.relhastriggers OR (SELECT count(*) > 1 FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s
"""
_COLUMNS = """
SELECT a.attname, pg_catalog.col_description(a.attrelid, a.attnum), pg_catalog.pg_get_expr(d.adbin, d.adrelid)
FROM pg_catalog.pg_attribute a
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_GRANTS = """
SELECT g.privilege_type, nullif(g.grantee, 0)::pg_catalog.regrole::text, g.is_grantable, a.attname
FROM (SELECT NULL::name AS attname, relacl AS acl FROM pg_catalog.pg_class WHERE oid = %(oid)s AND relacl IS NOT NULL
      UNION ALL SELECT attname, attacl FROM pg_catalog.pg_attribute WHERE attrelid = %(oid)s AND attacl IS NOT NULL) a
CROSS JOIN LATERAL pg_catalog.aclexplode(a.acl) g
"""
_GRANTEES = """
SELECT DISTINCT nullif(g.grantee, 0)::pg_catalog.regrole::text
FROM pg_catalog.pg_class c CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) g
WHERE c.oid = %s::pg_catalog.regclass AND g.grantee <> c.relowner
"""


@dataclass(frozen=True)
class Grant:
    """A right on a view, or on a column of it; `grantee` is a role as the server quotes it, None for everyone."""

    privilege: str
    grantee: str | None
    grantable: bool
    column: str | None

    def render(self, view: Composed) -> Composed:
        """Grant it."""
        column = SQL(" ({})").format(Identifier(self.column)) if self.column else SQL("")
        option = SQL(" WITH GRANT OPTION" if self.grantable else "")
        grantee = SQL(self.grantee or "PUBLIC")
        return SQL("GRANT {}{} ON {} TO {}{}").format(SQL(self.privilege), column, view, grantee, option)


@dataclass(frozen=True)
class View:
    """A view as it was; its definition names everything with its schema."""

    schema: str
    name: str
    definition: str
    options: tuple[str, ...]
    owner: str
    comment: str | None
    columns: tuple[tuple[str, str | None, str | None], ...]
    grants: tuple[Grant, ...]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> Composed:
        """Its name in SQL text."""
        return Composed([Identifier(self.schema, self.name)])

    def restore(self, connection: Connection) -> None:
        """Make it again, with owner, rights and comments; SchemaRefusedError where it does not fit its columns now."""
        options = (
            SQL(" WITH ({})").format(SQL(", ").join(map(_render_option, self.options))) if self.options else SQL("")
        )
        statement = SQL("CREATE VIEW {} ({}){} AS {}").format(
            self.quoted,
            SQL(", ").join(Identifier(name) for name, _, _ in self.columns),
            options,
            SQL(self.definition.rstrip().rstrip(";")),
        )
        try:
            connection.execute(statement)
        except psycopg.ProgrammingError as error:
            raise SchemaRefusedError(
                f"view {self} does not fit the new types of its columns (SQLSTATE {error.sqlstate}): "
                "drop it, run, and create it anew"
            ) from None
        self._restore_words(connection)
        self._restore_rights(connection)

    def _restore_words(self, connection: Connection) -> None:
        if self.comment is not None:
            connection.execute(SQL("COMMENT ON VIEW {} IS {}").format(self.quoted, Literal(self.comment)))
        for name, comment, default in self.columns:
            place = SQL("{}.{}").format(self.quoted, Identifier(name))
            if comment is not None:
                connection.execute(SQL("COMMENT ON COLUMN {} IS {}").format(place, Literal(comment)))
            if default is not None:
                column = SQL("ALTER VIEW {} ALTER COLUMN {} SET DEFAULT {}")
                connection.execute(column.format(self.quoted, Identifier(name), SQL(default)))

    def _restore_rights(self, connection: Connection) -> None:
        """Take away what default privileges gave, and give what there was."""
        for (grantee,) in connection.execute(_GRANTEES, (self.quoted.as_string(connection),)).fetchall():
            connection.execute(SQL("REVOKE ALL ON {} FROM {}").format(self.quoted, SQL(grantee or "PUBLIC")))
        for grant in self.grants:
            connection.execute(grant.render(self.quoted))
        connection.execute(SQL("ALTER VIEW {} OWNER TO {}").format(self.quoted, Identifier(self.owner)))


def drop_views(connection: Connection, oid: int, columns: Sequence[str]) -> tuple[View, ...]:
    """Drop the views that use these columns of a table, and the views on them; return them in the order to make them.

    Raises SchemaRefusedError for what cannot be made again: a materialized view, a view with triggers or rules.
    """
    found = connection.execute(_DEPENDENT, (oid, list(columns))).fetchall()
    views = tuple(_read_view(connection, view) for view, _ in found)
    for view in reversed(views):
        connection.execute(SQL("DROP VIEW {}").format(view.quoted))
    return views


def _read_view(connection: Connection, oid: int) -> View:
    [row] = connection.execute(_VIEW, (oid,)).fetchall()
    schema, name, kind, definition, options, owner, comment, is_special = row
    if kind != "v" or is_special:
        what = "materialized view" if kind == "m" else "view with triggers or rules"
        raise SchemaRefusedError(
            f"{what} {schema}.{name} uses a column whose type must change: drop it, run, and create it again"
        )
    columns = tuple(connection.execute(_COLUMNS, (oid,)).fetchall())
    grants = tuple(Grant(*each) for each in connection.execute(_GRANTS, {"oid": oid}).fetchall())
    return View(schema, name, definition, tuple(options or ()), owner, comment, columns, grants)


def _render_option(option: str) -> Composed:
    name, _, value = option.partition("=")
    return SQL("{} = {}").format(Identifier(name), Literal(value))
