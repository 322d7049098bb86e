"""What a table lacks of what its stream needs: existing and wanted columns in, steps out (pure).

Nothing is ever narrowed, and no step loses a value (but for a column that is dropped because the settings say so).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from target_opendental_replica.postgres.model import METADATA, Column, Table, Wanted
from target_opendental_replica.postgres.types import unify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

_MARK = re.compile(r"^dropped at the source on \d{4}-\d\d-\d\d(; )?")


@dataclass(frozen=True)
class AddColumn:
    """A column that the source got."""

    column: str
    kind: str


@dataclass(frozen=True)
class RenameColumn:
    """A column whose name is written in another case now: views on it stay as they are."""

    column: str
    to: str


@dataclass(frozen=True)
class DropColumn:
    """A column that the source no longer has, and the settings say drop; kept and marked where a view uses it."""

    column: str
    comment: str


@dataclass(frozen=True)
class Comment:
    """A column that the source no longer has, or has again; `is_gone` says which."""

    column: str
    comment: str | None
    is_gone: bool


@dataclass(frozen=True)
class AlterType:
    """A column that must hold values of another type as well."""

    column: str
    old: str
    kind: str


@dataclass(frozen=True)
class ReplaceKey:
    """The primary key is another one now, or none. `freed` are columns that no longer have to be NOT NULL."""

    constraint: str | None
    key: tuple[str, ...]
    freed: tuple[str, ...]


Step = AddColumn | RenameColumn | DropColumn | Comment | AlterType | ReplaceKey


def plan_drift(table: Table, wanted: Wanted, *, drops_columns: bool, today: date) -> tuple[Step, ...]:
    """Return the steps, in their order, after which the table takes the stream's rows."""
    renamed = dict(_find_renamed(table, wanted))
    there = {
        renamed.get(column.name, column.name): replace(column, name=renamed.get(column.name, column.name))
        for column in table.columns
    }
    key = tuple(renamed.get(name, name) for name in table.key)
    return (
        *(RenameColumn(old, new) for old, new in renamed.items()),
        *(AddColumn(name, kind) for name, kind in wanted.kinds.items() if name not in there),
        *_alter(there, wanted),
        *_replace_key(table, key, wanted),
        *_leave(there, wanted, drops_columns=drops_columns, today=today),
    )


def _find_renamed(table: Table, wanted: Wanted) -> Iterator[tuple[str, str]]:
    spare: dict[str, list[str]] = {}
    for column in table.columns:
        if column.name not in wanted.kinds:
            spare.setdefault(column.name.casefold(), []).append(column.name)
    missing = wanted.kinds.keys() - table.kinds.keys()
    for name in wanted.kinds:
        candidates = spare.get(name.casefold(), [])
        rivals = [other for other in missing if other.casefold() == name.casefold()]
        if name in missing and len(candidates) == len(rivals) == 1:
            yield candidates[0], name


def _alter(there: dict[str, Column], wanted: Wanted) -> Iterator[Step]:
    for name, kind in wanted.kinds.items():
        column = there.get(name)
        if column is None:
            continue
        if (unified := unify(column.kind, kind)) != column.kind:
            yield AlterType(name, column.kind, unified)
        if _MARK.match(column.comment or ""):
            yield Comment(name, _MARK.sub("", column.comment or "") or None, is_gone=False)


def _replace_key(table: Table, key: tuple[str, ...], wanted: Wanted) -> Iterator[Step]:
    if set(key) != set(wanted.key):
        yield ReplaceKey(table.constraint, wanted.key, tuple(name for name in key if name not in wanted.key))


def _leave(there: dict[str, Column], wanted: Wanted, *, drops_columns: bool, today: date) -> Iterator[Step]:
    gone = (column for column in there.values() if column.name not in wanted.kinds and column.name not in METADATA)
    for column in gone:
        comment = f"dropped at the source on {today}" + (f"; {column.comment}" if column.comment else "")
        if drops_columns:
            yield DropColumn(column.name, comment)
        elif not _MARK.match(column.comment or ""):
            yield Comment(column.name, comment, is_gone=True)
