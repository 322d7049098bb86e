"""Makers: given a block and its random numbers, the fields of one column.

These know nothing of Open Dental; which maker suits which column is decided elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendental_analyze.sandbox.practice import nasty
from opendental_analyze.sandbox.practice.blocks import pick
from opendental_analyze.sandbox.practice.encoding import NULL, distinct, encode_field, fit
from opendental_analyze.sandbox.practice.history import (
    INSTANTS,
    NO_DATE,
    NO_DATETIME,
    UPGRADE_SECOND,
    day_at,
    day_before,
    moment_at,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random
    from typing import TypeAlias

    from opendental_analyze.sandbox.practice.blocks import Block, Fields

    Maker: TypeAlias = Callable[[Block, Random], Fields]

_POOL = 1_000
_UNTOUCHED = 0.7
_TOUCHED_BY_UPGRADE = 0.8
_EVENT_DAYS = 300


def constant(value: str) -> Maker:
    """The same field in every row."""
    return lambda block, _: [value] * block.count


def own_key(block: Block, _: Random) -> Fields:
    """The row's primary key."""
    return list(map(str, block.keys))


def chosen(pool: Sequence[str]) -> Maker:
    """One of the pool; a member that stands there twice comes twice as often."""
    return lambda block, random: pick(random.random, pool, block.count)


def by_key(value: Callable[[int], object]) -> Maker:
    """A function of the row's key."""
    return lambda block, _: [str(value(key)) for key in block.keys]


def invented(invent: Callable[[Random], str], column: str, length: int | None) -> Maker:
    """Texts of an invention; a large table repeats a thousand of them."""

    def make(block: Block, random: Random) -> Fields:
        stream = block.plan.stream(block.table, column, "pool")
        pool = [encode_field(fit(invent(stream), length)) for _ in range(min(_POOL, block.rows))]
        return pick(random.random, pool, block.count)

    return make


def referring(table: str, none_share: float) -> Maker:
    """An existing key of another table, or 0 where there is none."""

    def make(block: Block, random: Random) -> Fields:
        rows = block.plan.rows.get(table, 0)
        if not rows:
            return ["0"] * block.count
        draw, limit = random.random, rows / (1 - none_share)
        numbers = [1 + int(draw() * limit) for _ in range(block.count)]
        return [str(number) if number <= rows else "0" for number in numbers]

    return make


def referring_list(table: str) -> Maker:
    """A comma list of existing keys of another table, in a text column."""

    def make(block: Block, random: Random) -> Fields:
        rows = block.plan.rows.get(table, 0)
        draw = random.random
        return [",".join(str(1 + int(draw() * rows)) for _ in range(int(draw() * 4))) for _ in block.keys]

    return make


def inserted_day(block: Block, _: Random) -> Fields:
    """The day on which the row was made."""
    return list(map(day_at, block.instants()))


def inserted_moment(block: Block, _: Random) -> Fields:
    """The second in which the row was made."""
    return list(map(moment_at, block.instants()))


def changed_moment(block: Block, random: Random) -> Fields:
    """The second of the last change: the insert, a later edit, or an upgrade that touched many rows at once."""
    draw = random.random
    return [_change_after(instant, draw(), draw()) for instant in block.instants()]


def _change_after(instant: int, kind: float, delay: float) -> str:
    if kind < _UNTOUCHED:
        return moment_at(instant)
    if kind < _TOUCHED_BY_UPGRADE:
        return max(moment_at(instant), UPGRADE_SECOND)
    return moment_at(instant + int(delay * (INSTANTS - instant)))


def event_day(none_share: float) -> Maker:
    """A day before the row was made, or the day that stands for none."""

    def make(block: Block, random: Random) -> Fields:
        draw = random.random
        return [
            NO_DATE if draw() < none_share else day_before(instant, int(draw() * _EVENT_DAYS))
            for instant in block.instants()
        ]

    return make


def event_moment(none_share: float) -> Maker:
    """A second before the row was made, or the one that stands for none."""

    def make(block: Block, random: Random) -> Fields:
        draw = random.random
        return [
            NO_DATETIME if draw() < none_share else moment_at(int(instant * (0.9 + draw() / 10)))
            for instant in block.instants()
        ]

    return make


def sometimes_null(maker: Maker, share: float) -> Maker:
    """The maker's fields, some of them NULL."""

    def make(block: Block, random: Random) -> Fields:
        draw = random.random
        return [NULL if draw() < share else field for field in maker(block, random)]

    return make


def sprinkled(maker: Maker, column: str, values: Sequence[str]) -> Maker:
    """The maker's fields, a few of them replaced by nasty ones."""
    pool = distinct(values)
    return lambda block, random: nasty.sprinkle(maker(block, random), pool, block, column, random)


def planted(maker: Maker, at: Callable[[int], str | None], every: int, first: int) -> Maker:
    """The maker's fields, with values planted in the rows `first`, `first` + `every`, ... as far as `at` gives any."""

    def make(block: Block, random: Random) -> Fields:
        fields = maker(block, random)
        start = first + -(-max(block.first - first, 0) // every) * every
        for key in range(start, block.first + block.count, every):
            value = at(key)
            if value is not None:
                fields[key - block.first] = value
        return fields

    return make
