"""Which columns hold keys of other tables: documented references first, names for what nobody documented.

The names alone, with the knowledge switched off, are measured in tests/unit/test_relationship_rules.py against the
documented references of Open Dental 24.3; CONFIDENCE is that measurement. 0 in such a column means none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from tap_opendental.discovery.judgements import POLYMORPHIC_CONFIDENCE, Reference
from tap_opendental.discovery.rules.aliases import ALIASES, GENERIC_KEYS, OWNERS, TEXT_ALIASES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_opendental.discovery.judgements import ReferenceSource
    from tap_opendental.discovery.knowledge import Knowledge, KnownColumn
    from tap_opendental.discovery.model import Column, Table

# Of the answers of each rule on all columns of 24.3, the part that is documented. It is the worst case: many of the
# others are right as well (histappointment.AptNum), but nobody wrote them down.
CONFIDENCE: Mapping[ReferenceSource, float] = {
    "documented": 1.0,
    "name": 0.91,
    "contained_name": 0.84,
    "alias": 0.87,
}

_KEY_TYPES = frozenset({"bigint", "int", "mediumint"})
_TEXT_KEYS = frozenset({"char", "varchar"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SUFFIXES = frozenset({"num", "id", "key", "no"})
_SHORTEST_TABLE_NAME = 5  # letters: shorter names (cpt, fee, sop, task) are words of other columns' names
_FOREIGN_KEYS = frozenset(
    {"fkey", "foreignkey", "foreignid", "parentkey", "messagefk", "keynum", "objectnum", "objectid", "entityid"}
)


class _Target(NamedTuple):
    table: str
    column: str
    type: str


class _Finding(NamedTuple):
    target: _Target
    source: ReferenceSource
    reason: str


def find_references(tables: Sequence[Table], knowledge: Knowledge) -> tuple[Reference, ...]:
    """Find what the columns of `tables` refer to among `tables`, in the order of tables and columns.

    Where the knowledge knows a column, its documented references are the truth, none included; the names speak for
    the others. Polymorphic keys, whose table another column decides, are left to `find_polymorphic`.
    """
    present = {table.name.lower(): table for table in tables}
    names = _Names.of(tables, knowledge)
    return tuple(
        _doubt(reference) if column.name in polymorphic else reference
        for table in tables
        for polymorphic in [frozenset(find_polymorphic(table))]
        for column in table.columns
        for reference in _references(table, column, knowledge.column(table.name, column.name), present, names)
        if reference.source == "documented" or column.name not in polymorphic
    )


def _doubt(reference: Reference) -> Reference:
    """Keep what is documented of a polymorphic key (task.KeyNum is a patient's or an appointment's), in doubt."""
    reason = f"{reference.reason}, in rows of which another column says so"
    return replace(reference, confidence=POLYMORPHIC_CONFIDENCE, reason=reason)


def find_polymorphic(table: Table) -> tuple[str, ...]:
    """Name the columns that hold keys of different tables, as another column (``FKeyType``) says row by row."""
    typed = any(column.name.lower().endswith("type") for column in table.columns)
    return tuple(
        column.name
        for column in table.columns
        if typed
        and column.base_type in _KEY_TYPES
        and _compact(column.name) in _FOREIGN_KEYS
        and column.name not in table.primary_key
    )


def _references(
    table: Table, column: Column, known: KnownColumn | None, present: Mapping[str, Table], names: _Names
) -> Iterator[Reference]:
    if known is not None:
        yield from _documented(table, column, known, present)
        return
    finding = names.find(column)
    if finding and not _is_itself(finding.target, table, column):
        target, source, reason = finding
        yield Reference(table.name, column.name, target.table, target.column, source, CONFIDENCE[source], reason)


def _documented(table: Table, column: Column, known: KnownColumn, present: Mapping[str, Table]) -> Iterator[Reference]:
    for text in known.references:
        to_table, _, to_column = text.partition(".")
        target = present.get(to_table.lower())
        name = _spelling(target, to_column) if target else None
        if target and name:
            reason = f"documented for Open Dental: {text}"
            yield Reference(table.name, column.name, target.name, name, "documented", CONFIDENCE["documented"], reason)


def _spelling(table: Table, column: str) -> str | None:
    """The column's name as this database spells it, None if the table has no such column."""
    return next((name for name in table.column_names if name.lower() == column.lower()), None)


def _is_itself(target: _Target, table: Table, column: Column) -> bool:
    return (target.table, target.column) == (table.name, column.name)


@dataclass(frozen=True)
class _Names:
    """What a column's name may refer to; keyed by names without underscores, in lower case."""

    keys: Mapping[str, _Target]
    tables: Mapping[str, _Target]
    codes: Mapping[str, _Target]
    _cache: dict[tuple[str, str], _Finding | None] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Sequence[Table], knowledge: Knowledge) -> _Names:
        """Index the keys of all tables once."""
        keyed = [table for table in tables if _has_integer_key(table)]
        holders: dict[str, list[Table]] = {}
        for table in keyed:
            holders.setdefault(_compact(table.primary_key[0]), []).append(table)
        chosen = {name: _choose_owner(name, found, knowledge) for name, found in holders.items()}
        return cls(
            keys={name: _key_of(table) for name, table in chosen.items() if table and name not in GENERIC_KEYS},
            tables={table.name.lower(): _key_of(table) for table in keyed},
            codes=dict(_codes(tables)),
        )

    def find(self, column: Column) -> _Finding | None:
        """What the name and the type of the column say; the same question is answered once."""
        question = (column.name, column.base_type)
        if question not in self._cache:
            self._cache[question] = self._find(*question)
        return self._cache[question]

    def _find(self, name: str, base_type: str) -> _Finding | None:
        if base_type in _TEXT_KEYS:
            return self._find_code(_compact(name))
        if base_type not in _KEY_TYPES:
            return None
        finding = (
            self._find_key(name)
            or self._find_table(_endings(name)[:1])
            or self._find_alias(name)
            or self._find_contained(name)
            or self._find_table(_endings(name))
        )
        return finding if finding and _fits(finding, base_type) else None

    def _find_code(self, name: str) -> _Finding | None:
        target = self.codes.get(name)
        source: ReferenceSource = "alias" if name in TEXT_ALIASES else "name"
        return _Finding(target, source, f"a code or a name from the list {target.table}") if target else None

    def _find_key(self, name: str) -> _Finding | None:
        target = self.keys.get(_compact(name))
        return _Finding(target, "name", f"named like the primary key of {target.table}") if target else None

    def _find_alias(self, name: str) -> _Finding | None:
        lower = _compact(name)
        for alias in ALIASES:
            if alias.pattern.fullmatch(lower):
                target = self.tables.get(alias.table)
                return _Finding(target, "alias", f"{alias.table}: {alias.reason}") if target else None
        return None

    def _find_contained(self, name: str) -> _Finding | None:
        for part in _parts(name):
            if target := self.keys.get(part):
                reason = f"contains {target.column}, the primary key of {target.table}"
                return _Finding(target, "contained_name", reason)
        return None

    def _find_table(self, parts: Sequence[str]) -> _Finding | None:
        for part in parts:
            if len(part) >= _SHORTEST_TABLE_NAME and (target := self.tables.get(part)):
                return _Finding(target, "contained_name", f"named after the table {target.table}")
        return None


def _fits(finding: _Finding, base_type: str) -> bool:
    """A key of the same type; an exact name may be narrower or wider, as in somebody's own tables."""
    return finding.source == "name" or base_type == finding.target.type


def _has_integer_key(table: Table) -> bool:
    return len(table.primary_key) == 1 and table.column(table.primary_key[0]).base_type in _KEY_TYPES


def _key_of(table: Table) -> _Target:
    column = table.column(table.primary_key[0])
    return _Target(table.name, column.name, column.base_type)


def _codes(tables: Sequence[Table]) -> Iterator[tuple[str, _Target]]:
    """Text columns that are keys in practice, by what refers to them.

    Icd10Code refers to ``icd10.Icd10Code``, County to ``county.CountyName``: both are named after their table. The
    aliases come last, so that they win.
    """
    present = {table.name.lower(): table for table in tables}
    for lower, table in present.items():
        for name, spelled in ((f"{lower}code", f"{lower}code"), (lower, f"{lower}name")):
            if target := _text_target(table, spelled):
                yield name, target
    for name, (owner, code) in TEXT_ALIASES.items():
        if owner in present and (target := _text_target(present[owner], code)):
            yield name, target


def _text_target(table: Table, column: str) -> _Target | None:
    for candidate in table.columns:
        if candidate.name.lower() == column.lower() and candidate.base_type in _TEXT_KEYS:
            return _Target(table.name, candidate.name, candidate.base_type)
    return None


def _choose_owner(key: str, tables: list[Table], knowledge: Knowledge) -> Table | None:
    """Choose the table that a key of several tables belongs to; None when nothing tells.

    In this order: the reviewed owner (PatNum is patient's); the only one; the only official one; the shortest of those
    that begin as the key does (document for DocNum, not files); the original among its copies, whose name they contain.
    """
    if key in OWNERS:
        return next((table for table in tables if table.name.lower() == OWNERS[key]), None)
    if len(tables) == 1:
        return tables[0]
    official = [table for table in tables if knowledge.table(table.name)]
    if len(official) == 1:
        return official[0]
    candidates = sorted(official or tables, key=lambda table: (len(table.name), table.name))
    stem = re.sub(r"(num|id|key|no)$", "", key)
    named = [table for table in candidates if stem and table.name.lower().startswith(stem)]
    shortest = candidates[0].name.lower()
    copied = all(shortest in table.name.lower() for table in candidates)
    return named[0] if named else candidates[0] if copied else None


def _parts(name: str) -> Iterator[str]:
    """Runs of whole words inside a name, the longest first and then the last; of one long word, its ends.

    ``SecUserNumEntry`` gives usernumentry, secusernum, numentry, usernum, secuser ...
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if len(words) == 1:
        word = words[0]
        for length in range(len(word) - 1, 4, -1):
            yield word[-length:]
            yield word[:length]
        return
    for length in range(len(words), 0, -1):
        for start in range(len(words) - length, -1, -1):
            yield "".join(words[start : start + length])


def _endings(name: str) -> list[str]:
    """What may be a table's name: payment of PaymentNum; copayfeesched, feesched and sched of CopayFeeSched.

    A name with a suffix must be the table's in full: WebFormSheetID is a key of somebody else's sheets.
    """
    words = [word.lower() for word in _WORD.findall(name) if not word.isdigit()]
    if words and words[-1] in _SUFFIXES:
        return ["".join(words[:-1])]
    return ["".join(words[start:]) for start in range(len(words))]


def _compact(name: str) -> str:
    return name.replace("_", "").lower()
