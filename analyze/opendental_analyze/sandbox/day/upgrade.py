"""The application is upgraded after hours: columns are added, and a whole table is touched in one second."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from opendental_analyze.sandbox.day.writer import Writer


@dataclass(frozen=True)
class NewColumn:
    """A column as an upgrade adds it: never NULL, with a default that the old rows show from then on."""

    table: str
    type: str
    default: Any


TOUCHED: Final = NewColumn("recall", "tinyint(4)", 0)
"""The upgrade also sets this one in every row: all timestamps of the table move in one second."""
ADDED: Final = (
    NewColumn("referral", "varchar(255)", "unset"),
    NewColumn("sheet", "bigint(20)", 0),
    NewColumn("operatory", "date", "0001-01-01"),
)


def upgrade(writer: Writer) -> None:
    """Add the columns, under names that no earlier day has used."""
    for column in ADDED:
        _add(writer, column)
    name = _add(writer, TOUCHED)
    keys = writer.find(TOUCHED.table)
    writer.run(f"UPDATE {writer.name(TOUCHED.table)} SET {quote(name)} = %s", [1])
    writer.note_update(TOUCHED.table, keys, [name])


def _add(writer: Writer, column: NewColumn) -> str:
    name = _free_name(writer.tables[column.table].columns)
    writer.run(
        f"ALTER TABLE {writer.name(column.table)} ADD COLUMN {quote(name)} {column.type} NOT NULL DEFAULT %s",
        [column.default],
    )
    added = {"name": name, "type": column.type, "default": column.default}
    writer.journal.added_columns[column.table].append(added)
    return name


def _free_name(columns: tuple[str, ...]) -> str:
    names = (f"ZyxAdded{number}" for number in count(1))
    return next(name for name in names if name not in columns)
