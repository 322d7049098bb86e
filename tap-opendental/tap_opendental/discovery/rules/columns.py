"""What columns are beyond their SQL types: only what the knowledge, the type, the default or a key proves.

Nobody can tell a boolean from an enum of two values by its type: outside the knowledge no boolean is claimed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tap_opendental.discovery.judgements import ColumnMeaning
from tap_opendental.discovery.knowledge import REVIEWED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_opendental.discovery.judgements import ColumnKind, Reference
    from tap_opendental.discovery.knowledge import Knowledge, KnownColumn
    from tap_opendental.discovery.model import Column, Table

_LARGE_TYPES = {
    "blob": "64 KB",
    "mediumtext": "16 MB",
    "mediumblob": "16 MB",
    "longtext": "4 GB",
    "longblob": "4 GB",
    "json": "4 GB",
}
_DATES = frozenset({"date", "datetime", "timestamp"})
_SENTINEL = re.compile(r"'?(0001-01-01|0000-00-00)[\d:. ]*'?")

# Columns of type text that are full in every row: the pictures of a list of pictures.
_KNOWN_LARGE = frozenset({("document", "thumbnail")})


def describe_columns(table: Table, knowledge: Knowledge, references: Sequence[Reference]) -> tuple[ColumnMeaning, ...]:
    """Say what each column of the table is, in the table's order; `references` are those that leave this table."""
    targets: dict[str, list[str]] = {}
    for reference in references:
        if reference.table == table.name:
            targets.setdefault(reference.column, []).append(f"{reference.to_table}.{reference.to_column}")
    return tuple(_describe(table, column, knowledge, targets.get(column.name, [])) for column in table.columns)


def _describe(table: Table, column: Column, knowledge: Knowledge, targets: Sequence[str]) -> ColumnMeaning:
    known = knowledge.column(table.name, column.name)
    kinds = dict(_documented_kinds(known)) if known else {}
    kinds |= dict(_proven_kinds(table, column))
    if targets:
        kinds["reference"] = f"holds keys of {' or '.join(targets)}"
    return ColumnMeaning(
        name=column.name,
        kinds=kinds,
        patient_data=known.patient_data if known else _infer_patient_data(knowledge, column, targets),
        secret=_why_secret(knowledge, table.name, column.name),
    )


def _infer_patient_data(knowledge: Knowledge, column: Column, targets: Sequence[str]) -> tuple[str, ...]:
    """Classes of a column that nobody has reviewed: those of its namesakes, and record_number for a patient's key."""
    inherited = knowledge.patient_data_by_name(column.name)
    points_at_patient = any(target.lower() == "patient.patnum" for target in targets)
    return inherited or (("record_number",) if points_at_patient else ())


def _documented_kinds(known: KnownColumn) -> Iterator[tuple[ColumnKind, str]]:
    if known.is_boolean:
        yield "boolean", "documented: read as true or false and as nothing else"
    if known.is_enum:
        yield "enum", f"documented: one of {known.enum_name}" if known.enum_name else "documented: one of a list"
    if known.is_ticks:
        yield "ticks", "documented: a duration in units of 100 ns"
    if known.is_interval:
        yield "interval", "documented: a duration that may be negative or longer than a day"
    if known.is_colour:
        yield "colour", "documented: a colour as a signed ARGB number"


def _proven_kinds(table: Table, column: Column) -> Iterator[tuple[ColumnKind, str]]:
    if column.name in table.primary_key:
        yield "key", "primary key" if len(table.primary_key) == 1 else "part of the primary key"
    if column.base_type in {"enum", "set"}:
        yield "enum", f"its type is {column.base_type}"
    sentinel = _SENTINEL.fullmatch(column.default or "")
    if sentinel and column.base_type in _DATES:
        yield "sentinel_date", f"default is {sentinel[1]}, which means no date"
    if column.base_type in _LARGE_TYPES:
        yield "large_text", f"its type is {column.base_type}: up to {_LARGE_TYPES[column.base_type]} in one value"
    elif (table.name.lower(), column.name.lower()) in _KNOWN_LARGE:
        yield "large_text", "holds a picture as text in every row"


def _why_secret(knowledge: Knowledge, table: str, column: str) -> str | None:
    why = knowledge.why_secret(table, column)
    return "reviewed: opens something to whoever reads it" if why == REVIEWED else why
