"""Two files of one patient become one: every reference to the first is rewritten to the second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opendental_analyze.sandbox.day.writer import NOW
from target_opendental_replica.statements import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opendental_analyze.sandbox.day.writer import Writer
    from tap_opendental.discovery.knowledge import Knowledge

ARCHIVED: Final = 3
MERGE_LINK: Final = 1

_PATIENT: Final = "patient.PatNum"
_ONLY_WHERE: Final[Mapping[tuple[str, str], str]] = {("task", "KeyNum"): "`ObjectType` = 1"}
"""Columns that refer to a patient only in some rows, and which rows those are."""
_HAS_HISTORY: Final = """
`PatStatus` = 0
AND EXISTS (SELECT 1 FROM {procnote} n WHERE n.`PatNum` = p.`PatNum`)
AND EXISTS (SELECT 1 FROM {securitylog} l WHERE l.`PatNum` = p.`PatNum`)
"""


def patient_references(knowledge: Knowledge) -> Iterator[tuple[str, str, str]]:
    """Table, column and condition of every documented reference to a patient that a merge rewrites.

    A primary key is no reference to rewrite: the notes of both patients would collide.
    """
    for name, table in sorted(knowledge.tables.items()):
        for column in table.columns.values():
            place = (name, column.name)
            is_sure = column.references == (_PATIENT,) or place in _ONLY_WHERE
            if is_sure and column.name not in table.table.primary_key:
                yield name, column.name, _ONLY_WHERE.get(place, "TRUE")


def merge_patients(writer: Writer, knowledge: Knowledge) -> int | None:
    """Merge two neighbouring patients, in every table, whether it has a timestamp or not; return the one that stays."""
    condition = _HAS_HISTORY.format(procnote=writer.name("procnote"), securitylog=writer.name("securitylog"))
    pair = writer.choose("patient", 2, condition)
    if len(pair) < 2:  # noqa: PLR2004 - a pair
        return None
    merge_into(writer, knowledge, source=pair[0], target=pair[1])
    return pair[1]


def merge_into(writer: Writer, knowledge: Knowledge, *, source: int, target: int) -> None:
    """Rewrite every reference to `source`, then archive its own row."""
    for table, column, condition in patient_references(knowledge):
        if table not in writer.tables or column not in writer.tables[table].columns:
            continue
        where = f"{quote(column)} = %s AND {condition}"
        keys = writer.find(table, where, [source])
        if keys:
            writer.run(f"UPDATE {writer.name(table)} SET {quote(column)} = %s WHERE {where}", [target, source])
            writer.note_update(table, keys, [column])
    writer.update("patient", [source], {"PatStatus": ARCHIVED})
    link = {"PatNumFrom": source, "PatNumTo": target, "LinkType": MERGE_LINK, "DateTimeLink": NOW}
    writer.insert("patientlink", [link])
