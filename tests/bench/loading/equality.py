"""Is what a tool wrote into PostgreSQL the source's table? Row by row and column by column, inside PostgreSQL.

The source's values are put beside the tool's table once, as the text that MySQL prints of them, by this module's own
reading (nothing of the product's): the reference. A value is right when, by the source's type:

| source | right in PostgreSQL |
| --- | --- |
| integers, year, bit | the same number, whatever the type; of a known boolean of Open Dental also true or false |
| decimal, double | the same number, every digit |
| float | a number that is nearest to the same float |
| date, datetime, timestamp | the same day and moment, UTC of a timestamp; midnight of a date and a zone of +00 aside |
| the same, of no day of the calendar (0000-00-00, 2020-00-00) | NULL, or the source's text |
| time | the same text |
| char, text, enum, set | the same characters; empty is not NULL |
| bytes | bytea of the same bytes, or their text in base64 or hex |

Columns and tables are found by their names in any spelling (ProcNum, procnum, proc_num). Columns that a tool adds are
not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pymysql
from psycopg import sql
from pymysql.cursors import SSCursor

from loading.findings import Difference, Verdict
from tap_opendental.discovery.knowledge import load_knowledge
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import sqlalchemy as sa

    from loading.jobs import Item

REFERENCE = "reference"
# A table that was filled a moment ago has no statistics yet: a nested loop over it would take for ever.
SESSION = "SET TIME ZONE 'UTC'; SET work_mem = '256MB'; SET enable_nestloop = off"
EXAMPLES = 4
LONGEST = 40
INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit")
FRACTIONS = ("decimal", "double", "float")
MOMENTS = ("date", "datetime", "timestamp")
BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
NUMBERS = ("smallint", "integer", "bigint", "numeric", "double precision", "real")
ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\0": "\ufffd"})


@dataclass(frozen=True)
class Column:
    """A column of the source: its name, its SQL type's first word, and whether Open Dental means a boolean."""

    name: str
    kind: str
    is_boolean: bool
    is_unsigned: bool


def read_source_columns(source: sa.URL, table: str) -> tuple[Column, ...]:
    """The columns of a source table, in their order."""
    with _connect(source) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE LIKE '%%unsigned%%' FROM information_schema.COLUMNS "
            "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            (table,),
        )
        described = cursor.fetchall()
    known = load_knowledge()
    return tuple(
        Column(name, kind, bool((fact := known.column(table, name)) and fact.is_boolean), bool(unsigned))
        for name, kind, unsigned in described
    )


def write_reference(source: sa.URL, warehouse: sa.URL, table: str) -> None:
    """Put the source's table beside the others in PostgreSQL, each value as MySQL's text, bytes as hex."""
    columns = read_source_columns(source, table)
    place = sql.Identifier(REFERENCE, table)
    described = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(column.name)) for column in columns)
    with psycopg.connect(_plain(warehouse)) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(REFERENCE)))
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(place))
        connection.execute(sql.SQL("CREATE UNLOGGED TABLE {} ({})").format(place, described))
        with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} FROM STDIN").format(place)) as copy:
            for line in _read_lines(source, table, columns):
                copy.write(line)
        connection.execute(sql.SQL("ANALYZE {}").format(place))


def _read_lines(source: sa.URL, table: str, columns: Iterable[Column]) -> Iterator[str]:
    """COPY's text, a line a row."""
    select = ", ".join(_read_text(column) for column in columns)
    with _connect(source) as connection, connection.cursor(SSCursor) as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(f"SELECT {select} FROM {quote(table)}")
        while rows := cursor.fetchmany(5000):
            yield "".join(_line(row) for row in rows)


def _line(row: Sequence[str | None]) -> str:
    return "\t".join(r"\N" if value is None else value.translate(ESCAPES) for value in row) + "\n"


def _read_text(column: Column) -> str:
    name = quote(column.name)
    if column.kind in BYTES:
        return f"LOWER(HEX({name}))"
    if column.kind in {"bit", "year"}:
        return f"CONCAT({name} + 0)"
    return f"CONCAT(CAST({name} AS DOUBLE))" if column.kind == "float" else f"CONVERT({name} USING utf8mb4)"


def _connect(source: sa.URL) -> pymysql.Connection[pymysql.cursors.Cursor]:
    return pymysql.connect(
        host=source.host,
        port=source.port or 3306,
        user=source.username,
        password=str(source.password),
        database=source.database,
        charset="utf8mb4",
    )


def _plain(warehouse: sa.URL) -> str:
    return warehouse.set(drivername="postgresql").render_as_string(hide_password=False)


def compare(source: sa.URL, warehouse: sa.URL, schema: str, item: Item) -> Verdict:
    """Compare a tool's table with the reference of it; a table that is not there has no row."""
    columns = read_source_columns(source, item.table)
    with psycopg.connect(_plain(warehouse)) as connection:
        connection.execute(SESSION)
        return compare_in(connection, columns, schema, item)


def compare_in(connection: psycopg.Connection, columns: Sequence[Column], schema: str, item: Item) -> Verdict:
    """The same in an open transaction, which may hold a change that is taken back."""
    table, key = item.table, item.key
    expected = _ask(connection, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(REFERENCE, table)))[0]
    place, types = _find_table(connection, schema, table)
    if place is None or _fold(key) not in types:
        return Verdict(expected, 0, missing=expected)
    there = [column for column in columns if _fold(column.name) in types]
    absent = [Difference(column.name, column.kind, expected) for column in columns if column not in there]
    joined = sql.SQL("FROM {reference} r FULL JOIN {place} d ON r.{theirs}::numeric = d.{ours}::text::numeric").format(
        reference=sql.Identifier(REFERENCE, table),
        place=place,
        theirs=sql.Identifier(key),
        ours=sql.Identifier(types[_fold(key)][0]),
    )
    tests = {column: _differs(column, *types[_fold(column.name)]) for column in there}
    missing, extra, counts = _count(connection, joined, list(tests.values()), key, types[_fold(key)][0])
    found = _ask(connection, sql.SQL("SELECT count(*) FROM {}").format(place))[0]
    wrong = [column for column, rows in zip(there, counts, strict=True) if rows]
    different = [
        Difference(
            column.name,
            column.kind,
            rows,
            _read_examples(connection, joined, column, types[_fold(column.name)][0], tests[column]),
        )
        for column, rows in zip(there, counts, strict=True)
        if column in wrong
    ]
    return Verdict(expected, found, missing, extra, (*absent, *different))


def _count(
    connection: psycopg.Connection, joined: sql.Composable, tests: list[sql.Composable], theirs: str, ours: str
) -> tuple[int, int, list[int]]:
    """Keys that only the source has, keys that only the destination has, and rows by column that differs."""
    both = sql.SQL("r.{} IS NOT NULL AND d.{} IS NOT NULL").format(sql.Identifier(theirs), sql.Identifier(ours))
    wanted = [
        sql.SQL("count(*) FILTER (WHERE d.{} IS NULL)").format(sql.Identifier(ours)),
        sql.SQL("count(*) FILTER (WHERE r.{} IS NULL)").format(sql.Identifier(theirs)),
        *(sql.SQL("count(*) FILTER (WHERE {} AND ({}))").format(both, test) for test in tests),
    ]
    missing, extra, *counts = _ask(connection, sql.SQL("SELECT {} {}").format(sql.SQL(", ").join(wanted), joined))
    return missing, extra, counts


def _read_examples(
    connection: psycopg.Connection, joined: sql.Composable, column: Column, ours: str, test: sql.Composable
) -> tuple[tuple[str, str], ...]:
    """The first pairs of values, shortened; the rows of a benchmark are made up."""
    query = sql.SQL(
        "SELECT r.{theirs}, d.{ours}::text {joined} WHERE r.ctid IS NOT NULL AND d.ctid IS NOT NULL AND ({test}) "
        "GROUP BY 1, 2 ORDER BY 1 LIMIT {limit}"
    ).format(
        theirs=sql.Identifier(column.name),
        ours=sql.Identifier(ours),
        joined=joined,
        test=test,
        limit=sql.Literal(EXAMPLES),
    )
    return tuple((_show(before), _show(after)) for before, after in connection.execute(query).fetchall())


def _show(value: str | None) -> str:
    """A value that can stand in a table of Markdown."""
    if value is None:
        return "NULL"
    shown = "".join(map(_show_mark, value))
    shown = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."
    return f"`{shown.replace('|', '/')}`" if shown else "''"


def _show_mark(mark: str) -> str:
    return mark if mark.isprintable() and mark != "\\" else mark.encode("unicode_escape").decode()


def _find_table(
    connection: psycopg.Connection, schema: str, table: str
) -> tuple[sql.Identifier | None, Mapping[str, tuple[str, str]]]:
    """The tool's table, and its columns as folded name to name and type; None when there is none."""
    rows = connection.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = %s", (schema,)
    ).fetchall()
    names = {name for name, _, _ in rows if _fold(name) == _fold(table)}
    if not names:
        return None, {}
    (name,) = names
    types = {_fold(column): (column, kind) for owner, column, kind in rows if owner == name}
    return sql.Identifier(schema, name), types


def _fold(name: str) -> str:
    return name.replace("_", "").lower()


def _ask(connection: psycopg.Connection, query: sql.Composable) -> tuple[int, ...]:
    return connection.execute(query).fetchone() or ()


def _differs(column: Column, name: str, kind: str) -> sql.Composable:
    """A condition over r, the reference, and d, the tool's table: true where d's value is not right."""
    theirs, ours = sql.SQL("r.{}").format(sql.Identifier(column.name)), sql.SQL("d.{}").format(sql.Identifier(name))
    right, given = _choose_texts(column, kind)
    return sql.SQL("{} IS DISTINCT FROM {}").format(
        sql.SQL(right).format(theirs, ours=ours), sql.SQL(given).format(ours, theirs=theirs)
    )


# What is not a day of PostgreSQL's calendar: zero and partial dates.
IMPOSSIBLE = "({0} LIKE '0000-%' OR {0} LIKE '____-00-%' OR {0} LIKE '____-__-00%')"


def _choose_texts(column: Column, kind: str) -> tuple[str, str]:
    """What is right, of the reference {0}, and what is given, of the tool's value {0}; NULL is NULL in both."""
    if kind == "boolean":
        return ("(({0})::numeric <> 0)::text" if column.is_boolean else "({0})"), (
            "({0})::text" if column.is_boolean else "(({0})::int)::text"
        )
    if column.kind in (*INTEGERS, *FRACTIONS):
        number = "({0})::text::float8::real" if column.kind == "float" else "({0})::text::numeric"
        return (number, number) if kind in NUMBERS else ("{0}", "({0})::text")
    if column.kind in MOMENTS:
        given = r"regexp_replace(({0})::text, '\+00$', '')"
        if column.kind == "date" and kind not in {"text", "character varying"}:
            given = f"regexp_replace({given}, ' 00:00:00$', '')"
        return f"CASE WHEN {IMPOSSIBLE} AND {{ours}} IS NULL THEN NULL ELSE {{0}} END", given
    if column.kind in BYTES:
        given = "encode({0}, 'hex')" if kind == "bytea" else _TEXT_OF_BYTES
        return "{0}", given
    return "{0}", "({0})::text"


# Text in base64 counts as the bytes that it says, so does text in hex.
_TEXT_OF_BYTES = (
    "CASE WHEN ({0})::text = translate(encode(decode({theirs}, 'hex'), 'base64'), E'\\n', '') THEN {theirs} "
    "WHEN lower(({0})::text) IN ({theirs}, '\\x' || {theirs}) THEN {theirs} ELSE ({0})::text END"
)


def prove(source: sa.URL, warehouse: sa.URL, schema: str, item: Item, changed: str) -> None:
    """Negative control: a changed value, a missing row and a row too many must each be seen; all is taken back.

    Raises AssertionError when the comparison is blind to one of them.
    """
    columns = read_source_columns(source, item.table)
    with psycopg.connect(_plain(warehouse)) as connection:
        place, types = _find_table(connection, schema, item.table)
        if place is None:
            raise AssertionError(f"{schema} has no {item.table} to prove the comparison with")
        ours, text = (sql.Identifier(types[_fold(name)][0]) for name in (item.key, changed))
        for plant in _plants(place, ours, text):
            connection.execute(SESSION)
            connection.execute(plant)
            if compare_in(connection, columns, schema, item).is_equal:
                raise AssertionError(f"the comparison does not see: {plant.as_string(connection)}")
            connection.rollback()


def _plants(place: sql.Identifier, key: sql.Identifier, text: sql.Identifier) -> Iterable[sql.Composed]:
    first = sql.SQL("{key} = (SELECT min({key}) FROM {place})").format(key=key, place=place)
    yield sql.SQL("UPDATE {place} SET {text} = coalesce({text}, '') || ' ' WHERE {first}").format(
        place=place, text=text, first=first
    )
    yield sql.SQL("UPDATE {place} SET {text} = NULL WHERE {first}").format(place=place, text=text, first=first)
    yield sql.SQL("DELETE FROM {place} WHERE {first}").format(place=place, first=first)
    yield sql.SQL("UPDATE {place} SET {key} = {key} + 1000000000 WHERE {first}").format(
        place=place, key=key, first=first
    )
