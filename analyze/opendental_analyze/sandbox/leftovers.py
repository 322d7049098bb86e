"""What a live database holds beside the official tables: old copies, and tables of the clinic's own.

Facts and a few dozen nasty rows each, the same every time. Nothing here describes a person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from opendental_analyze.sandbox.nasty import choose_value
from tap_opendental.discovery.model import Column, Index, IndexColumn, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROWS = 36

_COPIES = {
    "tempschedule_bak_20200424": "schedule",
    "appointment_copy": "appointment",
    "temp_insplan_20180301": "insplan",
    "bak_definition": "definition",
}


@dataclass(frozen=True)
class Leftover:
    """A table that no version of Open Dental brings, with its rows in the order of its columns."""

    table: Table
    rows: tuple[tuple[object, ...], ...]


def choose_leftovers(official: Mapping[str, Table]) -> tuple[Leftover, ...]:
    """All leftovers; the copies take their columns from the official tables."""
    copies = (copy_as_select(official[source], name) for name, source in _COPIES.items())
    dead = replace(copy_as_select(official["recall"], "recall_backup"), primary_key=("RecallNum",))
    tables = (*copies, dead, _IMPORT, _FEES, _GOALS, _SETTINGS, ALL_TYPES)
    return tuple(Leftover(table, tuple(islice(_rows(table), ROWS))) for table in tables)


def copy_as_select(table: Table, name: str) -> Table:
    """What a copy of the rows leaves of a table: no key, no index, no counter, and timestamps that stand still."""
    columns = tuple(replace(column, auto_increment=False, on_update=None) for column in table.columns)
    return Table(name, columns, engine=table.engine, collation=table.collation)


def _rows(table: Table) -> Iterator[tuple[object, ...]]:
    for number in range(ROWS):
        yield tuple(choose_value(column, number, key=column.name in table.primary_key) for column in table.columns)


_IMPORT = Table(
    "import_scratch",
    (
        Column("row", "int(11)", nullable=False),
        Column("_column", "varchar(255)", default="NULL"),
        Column("select", "text", default="NULL"),
    ),
)
_FEES = Table(
    "tmp_fees",
    (
        Column("codenum", "bigint(20)", nullable=False),
        Column("proccode", "varchar(15)", nullable=False, collation="utf8mb3_bin"),
        Column("amount", "decimal(10,2)", default="NULL"),
        Column("datetstamp", "timestamp", nullable=False, default="current_timestamp()"),
    ),
    indexes=(Index("codenum", (IndexColumn("codenum"),)), Index("proccode", (IndexColumn("proccode", 5),))),
)
_GOALS = Table(
    "zz_provider_goals",
    (
        Column("provnum", "bigint(20)", nullable=False),
        Column("month", "date", nullable=False),
        Column("row", "smallint(6)", nullable=False, default="0"),
        Column("goal", "decimal(12,2)", nullable=False, default="0.00"),
    ),
    primary_key=("provnum", "month"),
)
_SETTINGS = Table(
    "zz_settings",
    (
        Column("name", "varchar(80)", nullable=False, collation="utf8mb3_bin"),
        Column("_column", "varchar(255)", default="''"),
        Column("value", "mediumtext", default="NULL"),
    ),
    primary_key=("name",),
    indexes=(Index("value", (IndexColumn("value"),), kind="FULLTEXT"),),
)
_MOMENT = "current_timestamp(3)"
_TYPES = {
    "money": "decimal(10,2)", "huge_decimal": "decimal(65,30)", "choice": "enum('small','it''s','back\\\\slash','')",
    "choices": "set('a','b','d')", "flag": "bit(1)", "byte_bits": "bit(8)", "long_bits": "bit(64)", "document": "json",
    "tiny": "tinyint(4)", "tiny_unsigned": "tinyint(3) unsigned", "small_unsigned": "smallint(5) unsigned",
    "medium": "mediumint(9)", "medium_unsigned": "mediumint(8) unsigned", "int_unsigned": "int(10) unsigned",
    "big": "bigint(20)", "big_unsigned": "bigint(20) unsigned", "padded": "int(8) unsigned zerofill", "year": "year(4)",
    "day": "date", "duration": "time", "duration_milli": "time(3)", "moment": "datetime", "moment_micro": "datetime(6)",
    "stamp": "timestamp", "fixed": "char(10)", "fixed_bytes": "binary(16)", "bytes": "varbinary(255)",
    "words": "varchar(255)", "short_text": "tinytext", "long_text": "longtext", "blob_tiny": "tinyblob",
    "blob_medium": "mediumblob", "single": "float", "double": "double",
}  # fmt: skip
ALL_TYPES = Table(
    "zz_alltypes",
    (
        Column("id", "bigint(20) unsigned", nullable=False, auto_increment=True),
        *(Column(name, kind, default="NULL")
          for name, kind in _TYPES.items()),
        Column("stamp_milli", "timestamp(3)", nullable=False, default=_MOMENT, on_update=_MOMENT),
    ),
    primary_key=("id",),
    indexes=(Index("money", (IndexColumn("money"),)), Index("words", (IndexColumn("words", 20),))),
)  # fmt: skip
