"""What it means for a stream that the structure of its table moved (pure).

Two structures are known of a table beside today's: the reviewed one, of which tables.yml has the hash, and the one that
the last run read, which the stream's state remembers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tap_opendental.discovery.structure import canonical_type

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tap_opendental.discovery.model import Table
    from tap_opendental.discovery.table_config import ColumnOverride

OnSchemaChange = Literal["evolve", "warn", "fail"]


@dataclass(frozen=True)
class Structure:
    """A table's hash, and its columns with their types where they must be known to compare with the next run's."""

    schema_hash: str
    columns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, table: Table, *, without: Collection[str] = (), overrides: Mapping[str, ColumnOverride] | None = None
    ) -> Structure:
        """Structure of a table, without the columns that are never read; a person's conversions are part of a type."""
        asked = overrides or {}
        hidden = {*without, *(name for name, override in asked.items() if override.conversion_rule == "exclude")}
        return cls(
            table.schema_hash,
            {
                column.name: " ".join([canonical_type(column), *_name_conversion(asked.get(column.name))])
                for column in table.columns
                if column.name not in hidden
            },
        )

    @classmethod
    def from_state(cls, value: object) -> Structure | None:
        """Read what `to_state` wrote; None of anything else, which is the same as nothing remembered."""
        if not isinstance(value, dict) or not isinstance(value.get("hash"), str):
            return None
        pairs = value.get("columns") or []
        readable = isinstance(pairs, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)  # noqa: PLR2004 - a pair
        return cls(value["hash"], {str(name): str(kind) for name, kind in pairs} if readable else {})

    def to_state(self, *, with_columns: bool) -> dict[str, Any]:
        """Write for a stream's state: columns as a list, since Meltano may merge mappings and keep what is gone."""
        return {"hash": self.schema_hash, "columns": [[*pair] for pair in self.columns.items()] if with_columns else []}


def _name_conversion(override: ColumnOverride | None) -> list[str]:
    if override is None:
        return []
    return [override.conversion_rule, *([] if override.precision is None else [str(override.precision)])]


@dataclass(frozen=True)
class Adoption:
    """How a stream goes on: with which columns (None for all), whether from the start, what to say, or why not at all.

    `remember` is the structure for the state once the stream is done.
    """

    remember: Structure
    columns: frozenset[str] | None = None
    read_whole: bool = False
    notice: str | None = None
    refusal: str | None = None


def adopt(today: Structure, remembered: Structure | None, reviewed_hash: str | None, mode: OnSchemaChange) -> Adoption:
    """Decide by the mode; `reviewed_hash` is None where no tables.yml says what was reviewed.

    A column that was added or changed its type may hold new values in rows whose timestamp did not move: the table is
    then read whole once. What was only dropped, or an index, needs no such run.
    """
    moved = reviewed_hash != today.schema_hash if reviewed_hash is not None else _moved(today, remembered)
    if not moved:
        return Adoption(today, read_whole=_has_grown(today, remembered))
    if mode == "fail":
        return Adoption(today, refusal=_describe(today, remembered))
    if mode == "warn" and remembered is not None and remembered.columns:
        return Adoption(remembered, columns=frozenset(remembered.columns), notice=_describe(today, remembered))
    return Adoption(today, read_whole=_has_grown(today, remembered), notice=_describe(today, remembered))


def _moved(today: Structure, remembered: Structure | None) -> bool:
    return remembered is not None and remembered.schema_hash != today.schema_hash


def _has_grown(today: Structure, remembered: Structure | None) -> bool:
    """True when a column is new or of another type; unknown columns of a moved structure count as grown.

    A column that tables.yml no longer excludes is new too, though the structure did not move.
    """
    if remembered is None:
        return False
    if not remembered.columns:
        return _moved(today, remembered)
    return any(remembered.columns.get(name) != kind for name, kind in today.columns.items())


def _describe(today: Structure, remembered: Structure | None) -> str:
    """Say what moved, by name."""
    if remembered is None or not remembered.columns or not _moved(today, remembered):
        return "not the reviewed structure"
    added = [name for name in today.columns if name not in remembered.columns]
    gone = [name for name in remembered.columns if name not in today.columns]
    altered = [name for name, kind in today.columns.items() if remembered.columns.get(name, kind) != kind]
    told = {"added": added, "dropped": gone, "of another type": altered}
    return (
        ", ".join(f"{what} {' '.join(names)}" for what, names in told.items() if names) or "defaults or indexes moved"
    )
