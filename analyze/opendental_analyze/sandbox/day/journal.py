"""What the day did to which row, and what follows from it: which changes no bookmark can see. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opendental_analyze.sandbox.day.live import LiveTable

    Keys = defaultdict[str, set[int]]


def _keys() -> Keys:
    return defaultdict(set)


@dataclass(frozen=True)
class Journal:
    """Primary keys by table: of rows inserted, deleted, and changed with or without their timestamp."""

    inserted: Keys = field(default_factory=_keys)
    deleted: Keys = field(default_factory=_keys)
    moved: Keys = field(default_factory=_keys)
    rewritten: Keys = field(default_factory=_keys)
    added_columns: defaultdict[str, list[Mapping[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def counts(self) -> dict[str, dict[str, int]]:
        """Rows that the day brought, changed and took, by table; a row that came and went counts nowhere."""
        names = sorted({name for keys in (self.inserted, self.deleted, self.moved, self.rewritten) for name in keys})
        counted = {
            name: {
                "inserted": len(self.inserted[name] - self.deleted[name]),
                "updated": len(self._changed(name, self.moved[name] | self.rewritten[name])),
                "deleted": len(self.deleted[name] - self.inserted[name]),
            }
            for name in names
        }
        return {name: counts for name, counts in counted.items() if any(counts.values())}

    def hidden(self, tables: Iterable[LiveTable]) -> dict[str, dict[str, list[Any]]]:
        """Rows of these tables that were deleted, or rewritten while no timestamp of theirs moved all day."""
        found: dict[str, dict[str, list[Any]]] = {
            table.name: {
                "key": list(table.key),
                "deleted": _listed(self.deleted[table.name] - self.inserted[table.name]),
                "rewritten": _listed(self._changed(table.name, self.rewritten[table.name] - self.moved[table.name])),
            }
            for table in tables
        }
        return {name: lists for name, lists in sorted(found.items()) if lists["deleted"] or lists["rewritten"]}

    def _changed(self, name: str, keys: set[int]) -> set[int]:
        """Those that were there in the morning and still are."""
        return keys - self.inserted[name] - self.deleted[name]


def _listed(keys: set[int]) -> list[list[int]]:
    return [[key] for key in sorted(keys)]
