"""What a check found: rows that are there, and each column that differs, with a few values of each kind (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAMED = 3


@dataclass(frozen=True)
class Difference:
    """A column that is not the source's: in how many rows, and examples as `value at the source` became `value`."""

    column: str
    kind: str
    rows: int
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Verdict:
    """A table after a load, beside the source's: rows there and here, keys of one side only, columns that differ."""

    expected: int
    found: int
    missing: int = 0
    extra: int = 0
    differences: tuple[Difference, ...] = field(default=())

    @property
    def is_equal(self) -> bool:
        """True when every row and every column is the source's."""
        return self.expected == self.found and not (self.missing or self.extra or self.differences)

    def render(self, *, briefly: bool = False) -> str:
        """One sentence; `equal` for nothing wrong. Briefly: one example for each type."""
        if self.is_equal:
            return "equal"
        parts = [f"{self.missing:,} of {self.expected:,} rows missing"] if self.missing else []
        parts += [f"{self.extra:,} rows too many"] if self.extra else []
        parts += render_differences(_one_each(self.differences) if briefly else self.differences)
        return "; ".join(parts) or f"{self.found:,} rows for {self.expected:,}"


def render_differences(differences: Iterable[Difference]) -> list[str]:
    """One phrase for each kind of difference: columns of one type that differ alike are told together."""
    alike: dict[tuple[str, tuple[tuple[str, str], ...]], list[Difference]] = {}
    for difference in differences:
        alike.setdefault((difference.kind, difference.examples), []).append(difference)
    return [_render_alike(kind, examples, found) for (kind, examples), found in alike.items()]


def _render_alike(kind: str, examples: tuple[tuple[str, str], ...], found: list[Difference]) -> str:
    columns = ", ".join(difference.column for difference in found[:NAMED] if difference.column)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    place = f"{kind} {columns}{more}".strip()
    if not examples:
        return f"{place} missing"
    rows = max(difference.rows for difference in found)
    shown = ", ".join(f"{before} became {after}" for before, after in examples)
    return f"{place}: {shown}{f' (in {rows:,} rows)' if rows else ''}"


def _one_each(differences: Iterable[Difference]) -> Iterator[Difference]:
    """Columns of one type as one: in how many rows at most, and the shortest example."""
    kinds: dict[str, list[Difference]] = {}
    for difference in differences:
        kinds.setdefault(difference.kind, []).append(difference)
    for kind, found in kinds.items():
        examples = sorted((pair for difference in found for pair in difference.examples), key=_width)
        columns = f"in {len(found)} columns" if len(found) > 1 else found[0].column
        yield Difference(columns, kind, max(difference.rows for difference in found), tuple(examples[:1]))


def _width(pair: tuple[str, str]) -> int:
    return len(pair[0]) + len(pair[1])
