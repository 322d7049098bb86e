"""The hash of a structure: one spelling for every server, and nothing in it that is not structure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tap_opendental.discovery import introspect
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.model import Column, Index, IndexColumn, Server, Table
from tap_opendental.discovery.structure import canonical_type

MARIADB = Server(version="10.11.6-MariaDB", flavour="mariadb")
MYSQL = Server(version="8.0.35", flavour="mysql")

TABLE_ROW = {"TABLE_NAME": "t", "ENGINE": "MyISAM", "TABLE_COLLATION": "utf8mb3_general_ci"}
INDEX_ROW = {"INDEX_NAME": "PRIMARY", "COLUMN_NAME": "c", "SUB_PART": None, "NON_UNIQUE": 0, "INDEX_TYPE": "BTREE"}
ASCENDING = {"COLLATION": "A"}


def column_row(kind, default, extra="", *, nullable="NO", collation=None, generated=""):
    """A row of information_schema.COLUMNS."""
    return {
        "COLUMN_NAME": "c",
        "COLUMN_TYPE": kind,
        "IS_NULLABLE": nullable,
        "COLUMN_DEFAULT": default,
        "EXTRA": extra,
        "COLLATION_NAME": collation,
        "GENERATION_EXPRESSION": generated,
    }


def digest(server, column, table=TABLE_ROW, index=INDEX_ROW):
    """The hash of a table of one column, as introspection builds it from the server's rows."""
    return introspect._table(table, [column], [{**index, **ASCENDING}], server).schema_hash


SPELLINGS = {
    "display width": (column_row("bigint(20)", None), column_row("bigint", None)),
    "display width, unsigned": (column_row("tinyint(3) unsigned", "0"), column_row("tinyint unsigned", "0")),
    "display width, year": (column_row("year(4)", "2024"), column_row("year", "2024")),
    "auto_increment": (column_row("bigint(20)", None, "auto_increment"), column_row("bigint", None, "auto_increment")),
    "now": (
        column_row("timestamp", "current_timestamp()", "on update current_timestamp()"),
        column_row("timestamp", "CURRENT_TIMESTAMP", "DEFAULT_GENERATED on update CURRENT_TIMESTAMP"),
    ),
    "now with a fraction": (
        column_row("datetime(6)", "current_timestamp(6)", "on update current_timestamp(6)"),
        column_row("datetime(6)", "CURRENT_TIMESTAMP(6)", "DEFAULT_GENERATED on update CURRENT_TIMESTAMP(6)"),
    ),
    "now on insert only": (
        column_row("datetime", "current_timestamp()"),
        column_row("datetime", "CURRENT_TIMESTAMP", "DEFAULT_GENERATED"),
    ),
    "NULL": (column_row("text", "NULL", nullable="YES"), column_row("text", None, nullable="YES")),
    "no default": (column_row("text", None), column_row("text", None)),
    "empty text": (column_row("varchar(9)", "''"), column_row("varchar(9)", "")),
    "text with a quote": (column_row("varchar(9)", "'it''s'"), column_row("varchar(9)", "it's")),
    "text with a backslash": (column_row("varchar(9)", "'a\\\\b'"), column_row("varchar(9)", "a\\b")),
    "text like a number": (column_row("varchar(9)", "'0'"), column_row("varchar(9)", "0")),
    "text like a word": (column_row("varchar(9)", "'NULL'"), column_row("varchar(9)", "NULL")),
    "day": (column_row("date", "'0001-01-01'"), column_row("date", "0001-01-01")),
    "number": (column_row("double", "0"), column_row("double", "0")),
    "quoted number": (column_row("decimal(10,2)", "0.00"), column_row("decimal(10,2)", "0.00")),
    "negative number": (column_row("int(11)", "-1"), column_row("int", "-1")),
    "collation": (
        column_row("varchar(9)", "''", collation="utf8mb3_bin"),
        column_row("varchar(9)", "", collation="utf8_bin"),
    ),
    "expression": (
        column_row("double", "NULL", "STORED GENERATED", nullable="YES", generated="`c` * 2"),
        column_row("double", None, "STORED GENERATED", nullable="YES", generated="(`c` * 2)"),
    ),
    "expression with text": (
        column_row("varchar(9)", "NULL", "STORED GENERATED", nullable="YES", generated="concat('no ',`c`)"),
        column_row("varchar(9)", None, "STORED GENERATED", nullable="YES", generated="concat(_utf8mb4\\'no \\',`c`)"),
    ),
}


@pytest.mark.parametrize("what", SPELLINGS)
def test_mariadb_and_mysql_spell_one_structure(what):
    """What MariaDB 10.11 and MySQL 8 report of the same column hashes alike."""
    mariadb, mysql = SPELLINGS[what]
    assert digest(MARIADB, mariadb) == digest(MYSQL, mysql)


def test_the_spellings_are_different_structures_among_each_other():
    """The pairs above are not equal because nothing counts: each pair's hash is its own, on both servers."""
    for server, place in ((MARIADB, 0), (MYSQL, 1)):
        assert len({digest(server, pair[place]) for pair in SPELLINGS.values()}) >= len(SPELLINGS) - 2, server


@pytest.mark.parametrize(
    "table",
    [{"ENGINE": "InnoDB"}, {"TABLE_COLLATION": "utf8mb4_0900_ai_ci"}, {"TABLE_NAME": "another"}],
    ids=lambda table: next(iter(table)),
)
def test_engine_charset_and_name_are_not_structure(table):
    """A conversion to InnoDB or utf8mb4, and a copy under another name, hash as before."""
    column = column_row("varchar(9)", "''")
    assert digest(MARIADB, column, {**TABLE_ROW, **table}) == digest(MARIADB, column)


def test_widths_inside_an_enum_are_members_and_stay():
    """Only a type's own width goes: a member that reads like a type is kept in its spelling."""
    assert canonical_type(Column("c", "enum('int(11)','A')")) == "enum('int(11)','A')"
    assert canonical_type(Column("c", "TINYINT(1) UNSIGNED")) == "tinyint unsigned"
    assert canonical_type(Column("c", "varchar(11)")) == "varchar(11)"
    assert canonical_type(Column("c", "decimal(10,2)")) == "decimal(10,2)"
    assert canonical_type(Column("c", "int(8) unsigned zerofill")) == "int unsigned zerofill"


def test_the_order_of_indexes_is_not_structure():
    """A dump that is loaded again may list its indexes in another order; the order of columns in one counts."""
    first, second = Index("a", (IndexColumn("x"), IndexColumn("y"))), Index("b", (IndexColumn("y"),))
    table = Table("t", (Column("x", "int(11)"), Column("y", "int(11)")), ("x",), (first, second))
    assert replace(table, indexes=(second, first)).schema_hash == table.schema_hash
    turned = replace(first, columns=first.columns[::-1])
    assert replace(table, indexes=(turned, second)).schema_hash != table.schema_hash


def test_the_hash_survives_the_way_through_json():
    """A table that was written with to_dict() and read again has the hash that it had."""
    for known in load_knowledge().tables.values():
        assert Table.from_dict(known.table.to_dict()).schema_hash == known.table.schema_hash


def test_the_hash_of_a_table_stays_from_version_to_version():
    """Hashes stand in reviewed files: a change of the spelling would make every table look altered."""
    table = Table(
        "recall",
        (
            Column("RecallNum", "bigint(20)", nullable=False, auto_increment=True),
            Column("Note", "text", default="NULL"),
        ),
        ("RecallNum",),
        (Index("note", (IndexColumn("Note", 20),)),),
    )
    assert table.schema_hash == "785916788b02226433842fd7754d752f552214210a15f7209f67b081e9d93ac8"
