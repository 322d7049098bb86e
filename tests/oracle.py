"""The oracle of the pipeline: what PostgreSQL must hold for every row of the source, by rules of its own.

Written against MySQL's types and the documentation: source values are read as the server's text, brought into one plain
form, and compared with the text that PostgreSQL prints. None of the product's code for reading or converting is used;
its reviewed knowledge (which columns are booleans, intervals and secrets) is, so a mistake in that is not seen here.
"""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tap_opendental.discovery.knowledge import load_knowledge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Key = tuple[str, ...]
Rows = dict[Key, dict[str, Any]]
NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double", "float", "year")
BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")


def read_columns(source: sa.Engine, database: str) -> Mapping[str, dict[str, str]]:
    """Column types by table, secrets left out."""
    statement = sa.text(
        "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS "
        "WHERE TABLE_SCHEMA = :database ORDER BY TABLE_NAME, ORDINAL_POSITION"
    )
    tables: dict[str, dict[str, str]] = {}
    with source.connect() as connection:
        for table, column, kind in connection.execute(statement, {"database": database}):
            if not load_knowledge().is_secret(table, column):
                tables.setdefault(table, {})[column] = kind
    return tables


def read_keys(source: sa.Engine, database: str) -> Mapping[str, tuple[str, ...]]:
    """Primary keys by table; tables without one are missing."""
    statement = sa.text(
        "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE CONSTRAINT_NAME = 'PRIMARY' "
        "AND TABLE_SCHEMA = :database ORDER BY TABLE_NAME, ORDINAL_POSITION"
    )
    keys: dict[str, tuple[str, ...]] = {}
    with source.connect() as connection:
        for table, column in connection.execute(statement, {"database": database}):
            keys[table] = (*keys.get(table, ()), column)
    return keys


def read_cursors(source: sa.Engine, database: str) -> Mapping[str, str]:
    """The self-updating column of each table that has one, and the key of the tables that are only added to."""
    statement = sa.text(
        "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS "
        "WHERE TABLE_SCHEMA = :database AND EXTRA LIKE '%on update%'"
    )
    known = load_knowledge().tables.values()
    growing = {table.table.name: table.change_column for table in known if table.change_tracking == "append_only"}
    with source.connect() as connection:
        return growing | dict(connection.execute(statement, {"database": database}).all())


def read_source(source: sa.Engine, table: str, columns: Mapping[str, str], key: tuple[str, ...]) -> Rows:
    """Every row of a source table in plain form."""
    select = ", ".join(_source_expression(name, kind) for name, kind in columns.items())
    with source.connect() as connection:
        connection.exec_driver_sql("SET time_zone = '+00:00'")
        rows = connection.exec_driver_sql(f"SELECT {select} FROM {_quote(table)}").fetchall()
    plain = (
        {name: plain_source(table, name, kind, value) for (name, kind), value in zip(columns.items(), row, strict=True)}
        for row in rows
    )
    return rows_by_key(plain, key)


def read_raw(warehouse: sa.Engine, table: str, columns: Mapping[str, str], key: tuple[str, ...]) -> Rows:
    """Every row of `raw`'s table in plain form."""
    select = ", ".join(f'"{name}"::text' for name in columns)
    with warehouse.connect() as connection:
        rows = connection.exec_driver_sql(f'SELECT {select} FROM raw."{table}"'.replace("%", "%%")).fetchall()
    plain = (
        {name: plain_raw(kind, value) for (name, kind), value in zip(columns.items(), row, strict=True)} for row in rows
    )
    return rows_by_key(plain, key)


def rows_by_key(rows: Iterable[dict[str, Any]], key: tuple[str, ...]) -> Rows:
    """Rows by their key; ValueError when two share one, so that equal keys mean equal counts as well."""
    found: Rows = {}
    for row in rows:
        values = tuple(str(row[name]) for name in key)
        if values in found:
            raise ValueError(f"two rows have the key {dict(zip(key, values, strict=True))}")
        found[values] = row
    return found


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def _source_expression(name: str, kind: str) -> str:
    column = _quote(name)
    if kind in {"date", "datetime", "timestamp", "time"}:
        return f"CAST({column} AS CHAR)"
    return f"CAST({column} AS DOUBLE)" if kind == "float" else column


def plain_source(table: str, name: str, kind: str, value: Any) -> Any:  # noqa: PLR0911
    """What the documentation promises of one source value."""
    if value is None:
        return None
    known = load_knowledge().column(table, name)
    if kind == "tinyint" and known is not None and known.is_boolean:
        return "false" if value == 0 else "true"
    if kind in NUMBERS:
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if kind == "bit":
        return Decimal(int.from_bytes(value, "big"))
    if kind in BYTES:
        return b64encode(value).decode()
    if kind in {"date", "datetime", "timestamp"}:
        return plain_moment(value)
    if kind == "time" and known is not None and not known.is_interval:
        return value if "00:00:00" <= value < "24" and not value.startswith("-") and len(value) == 8 else None
    return str(value).replace("\0", "\ufffd")


def plain_raw(kind: str, value: str | None) -> Any:
    """PostgreSQL's text in the same form."""
    if value is None:
        return None
    if kind in (*NUMBERS, "bit") and value not in {"true", "false"}:
        return Decimal(value)
    return plain_moment(value) if kind in {"date", "datetime", "timestamp"} else value


def plain_moment(text: str) -> str | None:
    """A date or moment without trailing zeros of its fraction; None where the calendar has no such day."""
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return None
    return re.sub(r"\.?0+$", "", text) if "." in text else text


def differing(expected: Rows, found: Rows) -> dict[Key, str]:
    """Keys that are missing, extra or different, with the names of the differing columns (no values)."""
    problems = dict.fromkeys(expected.keys() - found.keys(), "missing")
    problems |= dict.fromkeys(found.keys() - expected.keys(), "extra")
    for key in expected.keys() & found.keys():
        if expected[key] != found[key]:
            names = [name for name in expected[key] if expected[key][name] != found[key].get(name)]
            problems[key] = "different: " + ", ".join(names)
    return problems
