"""What it means for a stream that the structure of its table moved (pure).

Two structures are known of a table beside today's: the reviewed one, of which tables.yml has the hash, and the one that
the last run sent, which the stream's state remembers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


OnSchemaChange = Literal["evolve", "warn", "fail"]


@dataclass(frozen=True)
class Structure:
    """A table's hash, and what the values of its columns depend on: type, expression, name, a person's conversion.

    `form` identifies the stream maps and flattening that all of them go through; empty where there are none. `key` are
    the properties of the primary key.
    """

    schema_hash: str
    columns: Mapping[str, str] = field(default_factory=dict)
    form: str = ""
    key: tuple[str, ...] = ()

    @classmethod
    def from_state(cls, value: object) -> Structure | None:
        """Read what `to_state` wrote; None of anything else, which is the same as nothing remembered."""
        if not isinstance(value, dict) or not isinstance(value.get("hash"), str):
            return None
        pairs = value.get("columns") or []
        readable = isinstance(pairs, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)  # noqa: PLR2004 - a pair
        columns = {str(name): str(kind) for name, kind in pairs} if readable else {}
        key = value.get("key")
        return cls(value["hash"], columns, str(value.get("form", "")), tuple(key) if _is_texts(key) else ())

    def to_state(self) -> dict[str, Any]:
        """Write for a stream's state: columns as a list, since Meltano may merge mappings and keep what is gone."""
        columns = [[*pair] for pair in self.columns.items()]
        return {"hash": self.schema_hash, "columns": columns, "form": self.form, "key": [*self.key]}


def _is_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


@dataclass(frozen=True)
class Adoption:
    """How a stream goes on: with which columns (None for all), what to say, or why not at all.

    `remember` is the hash for the state once the stream is done. `past_is_unknown` says that the structure is not the
    reviewed one, and that nobody remembers what was sent before.
    """

    remember: str
    columns: frozenset[str] | None = None
    past_is_unknown: bool = False
    notice: str | None = None
    refusal: str | None = None


def adopt(
    today: Structure,
    remembered: Structure | None,
    reviewed_hash: str | None,
    mode: OnSchemaChange,
    *,
    key: Collection[str] = (),
) -> Adoption:
    """Decide by the mode; `key` is the primary key, `reviewed_hash` None where nothing was reviewed."""
    moved = reviewed_hash != today.schema_hash if reviewed_hash is not None else _moved(today, remembered)
    if not moved:
        return Adoption(today.schema_hash)
    notice = describe_change(today, remembered)
    if mode == "fail":
        return Adoption(today.schema_hash, refusal=notice)
    if mode == "warn":
        return hold_back(today, remembered, notice, key)
    return Adoption(today.schema_hash, past_is_unknown=remembered is None, notice=notice)


def hold_back(today: Structure, remembered: Structure | None, notice: str, key: Collection[str]) -> Adoption:
    """Go on with the columns of the last run, as long as tables.yml is not reviewed; without a last run with all.

    A primary key of which a column was never sent cannot be kept back and cannot be done without: refused.
    """
    if remembered is None or not remembered.columns:
        return Adoption(today.schema_hash, past_is_unknown=remembered is None, notice=notice)
    if not set(key) <= remembered.columns.keys():
        return Adoption(today.schema_hash, refusal=f"{notice}; its primary key is another one")
    return Adoption(remembered.schema_hash, columns=frozenset(remembered.columns), notice=notice)


def has_grown(sent: Structure, adoption: Adoption, remembered: Structure | None) -> bool:
    """True when old rows may hold values that were never sent, their timestamp unmoved: the table is read whole once.

    `sent` are the columns that go out now. One that is new, of another type or expression, under another name, newly
    selected, or no longer excluded fills such rows, as do other stream maps; what is dropped, or an index, does not.
    """
    if remembered is None:
        return adoption.past_is_unknown
    if remembered.form != sent.form:
        return True
    if not remembered.columns:
        return remembered.schema_hash != adoption.remember
    return any(remembered.columns.get(name) != kind for name, kind in sent.columns.items())


def _moved(today: Structure, remembered: Structure | None) -> bool:
    return remembered is not None and remembered.schema_hash != today.schema_hash


def describe_change(today: Structure, remembered: Structure | None) -> str:
    """Say what moved, by name."""
    if remembered is None or not remembered.columns or not _moved(today, remembered):
        return "not the reviewed structure"
    added = [name for name in today.columns if name not in remembered.columns]
    gone = [name for name in remembered.columns if name not in today.columns]
    altered = [name for name, kind in today.columns.items() if remembered.columns.get(name, kind) != kind]
    told = {"added": added, "dropped": gone, "of another type": altered}
    words = [f"{what} {' '.join(names)}" for what, names in told.items() if names]
    words += ["another primary key"] if {*today.key} != {*remembered.key} else []
    return ", ".join(words) or "defaults or indexes moved"
