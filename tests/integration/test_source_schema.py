"""The source of a sandbox is Open Dental 24.3 as the knowledge file describes it, on a real server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opendental_analyze.sandbox import databases
from opendental_analyze.sandbox.leftovers import choose_leftovers
from opendental_analyze.sandbox.source import create_source, create_tables
from tap_opendental.discovery.introspect import read_snapshot
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Column, Index, IndexColumn, Table
from target_opendental_replica.statements import quote, render_create_table

OFFICIAL = {name: known.table for name, known in load_knowledge().tables.items()}
JSON_AS_MARIADB_SAYS_IT = {"type": "longtext", "collation": "utf8mb4_bin"}


def ignore(_step, _count):
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def source(sandbox):
    """A database with the whole schema, kept for this module: a second per time is too much."""
    from opendental_analyze.sandbox.throw_away import mariadb_database  # noqa: PLC0415  # not the fixture of that name

    with mariadb_database(sandbox.state, "schema") as database:
        create_source(database.engine, OFFICIAL, database=database.name, storage="MyISAM", progress=ignore)
        yield database


def read_tables(database):
    with database.engine.connect() as connection:
        return read_snapshot(connection, database.name).tables


def as_the_server_says_it(table):
    """MariaDB has no JSON type of its own."""
    columns = tuple(replace(c, **JSON_AS_MARIADB_SAYS_IT) if c.type == "json" else c for c in table.columns)
    return replace(table, columns=columns)


def test_the_knowledge_and_the_sandbox_agree(source):
    """Every official table on the server has the knowledge's types, NULLs, defaults, keys, prefixes and collations."""
    found = read_tables(source)
    differing = [name for name, table in OFFICIAL.items() if found.get(table.name) != table]
    assert differing == []
    assert len(OFFICIAL) == 424


def test_the_leftovers_are_there_as_described(source):
    """About ten tables that no version brings: several without a key, one with a timestamp that stands still."""
    found = read_tables(source)
    leftovers = choose_leftovers(OFFICIAL)
    assert set(found) == {table.name for table in OFFICIAL.values()} | {left.table.name for left in leftovers}
    for left in leftovers:
        assert found[left.table.name] == as_the_server_says_it(left.table)
    keyless = [left.table.name for left in leftovers if not left.table.primary_key]
    assert len(keyless) >= 5
    assert "tempschedule_bak_20200424" in keyless
    assert {"row", "_column"} <= set(found["import_scratch"].column_names)
    dead = found["recall_backup"]
    assert dead.primary_key
    assert dead.column("DateTStamp").type == "timestamp"
    assert not any(column.updates_itself for column in dead.columns)


def test_rows_of_the_leftovers_are_stored_as_meant(source):
    """The server changed none of the nasty values: every cell reads back as it was written."""
    for left in choose_leftovers(OFFICIAL):
        columns = ", ".join(_readable(column) for column in left.table.columns)
        with source.engine.connect() as connection:
            connection.exec_driver_sql("SET time_zone = '+00:00'")
            stored = connection.exec_driver_sql(f"SELECT {columns} FROM {quote(left.table.name)}").all()
        expected = [tuple(map(_as_read, left.table.columns, row)) for row in left.rows]
        assert sorted(map(repr, map(tuple, stored))) == sorted(map(repr, expected)), left.table.name


def _is_text(column):
    return column.base_type.endswith(("char", "text")) or column.base_type in ("enum", "set", "json")


def _readable(column):
    """Text as the bytes that are stored, integers as they are, of all else whether it is NULL."""
    name = quote(column.name)
    return f"HEX({name})" if _is_text(column) else name if column.base_type.endswith("int") else f"{name} IS NULL"


def _as_read(column, value):
    if _is_text(column):
        text = value.rstrip(" ") if column.base_type == "char" and value else value
        return None if value is None else text.encode().hex().upper()
    return value if column.base_type.endswith("int") else int(value is None)


def test_innodb_takes_the_whole_schema(mariadb_database):
    """Every official table exists after a conversion to InnoDB, and differs in nothing else."""
    create_tables(mariadb_database.engine, OFFICIAL.values(), mariadb_database.name, "InnoDB", ignore)
    found = read_tables(mariadb_database)
    expected = {name: replace(table, engine="InnoDB") for name, table in OFFICIAL.items()}
    assert {name.lower(): table for name, table in found.items()} == expected


HOSTILE = ("order", "a`b", "a'b", 'a"b', "100%s %", ":name", "naïve 表", "a;b", "`; DROP TABLE x; --", " a", "é" * 64)


def test_server_accepts_hostile_names_and_types(mariadb_database):
    """Whatever `render_create_table` accepts, the server takes and reports as the same facts."""
    named = (Column(name, "varchar(20)", default="'it''s \\\\ %s'") for name in HOSTILE)
    columns = (*named, Column("e", "enum('it''s','a\\\\b','%s')"))
    for name in HOSTILE:
        table = Table(name, columns, indexes=(Index(name, (IndexColumn(name, 5),)),))
        databases.run(mariadb_database.engine, [render_create_table(table.to_dict())])
        expected = replace(table, columns=tuple(replace(c, default=c.default or "NULL") for c in columns))
        assert read_tables(mariadb_database)[name] == expected
