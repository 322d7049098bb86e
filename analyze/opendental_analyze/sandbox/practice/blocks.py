"""A block: consecutive rows of one table, generated and loaded together; what its generators may know."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from opendental_analyze.sandbox.practice.history import instant_of_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    Fields: TypeAlias = list[str]

BLOCK_ROWS: Final = 50_000


@dataclass(frozen=True)
class Plan:
    """What decides every byte of a practice: the seed and the rows of each table."""

    seed: int
    rows: Mapping[str, int]

    def stream(self, *names: object) -> Random:
        """A stream of random numbers of its own for these names, the same on every machine."""
        return Random(":".join(map(str, (self.seed, *names))))  # noqa: S311 - repeatable, not secret


@dataclass(frozen=True)
class Block:
    """Rows `first` to `first + count - 1` of a table, which are also their primary keys."""

    plan: Plan
    table: str
    first: int
    count: int

    @property
    def keys(self) -> range:
        """Primary keys of the rows."""
        return range(self.first, self.first + self.count)

    @property
    def rows(self) -> int:
        """Rows of the whole table."""
        return self.plan.rows[self.table]

    @property
    def is_last(self) -> bool:
        """True when the table ends with this block."""
        return self.first + self.count > self.rows

    def instants(self) -> list[int]:
        """When each row was inserted, on the practice's office clock."""
        rows = self.rows
        return [instant_of_row(key, rows) for key in self.keys]

    def stream(self, column: str) -> Random:
        """The random numbers of one column in this block."""
        return self.plan.stream(self.table, column, self.first)


def blocks_of(plan: Plan, table: str) -> Iterator[Block]:
    """The table's blocks in the order of their keys."""
    rows = plan.rows[table]
    for first in range(1, rows + 1, BLOCK_ROWS):
        yield Block(plan=plan, table=table, first=first, count=min(BLOCK_ROWS, rows - first + 1))


def pick(random: Callable[[], float], pool: Sequence[str], count: int) -> Fields:
    """So many members of the pool, with repetition; needs no more than `random()`, which no Python version changes."""
    size = len(pool)
    return [pool[int(random() * size)] for _ in range(count)]
