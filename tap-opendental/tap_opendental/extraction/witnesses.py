"""The newest rows that a run read, asked again by the next one: they tell whether the table went back in time (pure).

A bookmark says where a table ended, not whether it is still the same table. When a backup is restored and worked on
before the next night, neither its counter of keys nor its times look older than they were, and reading on from the
bookmark would keep what the backup undid. But no work makes a row older: a row that carries an older timestamp than it
had, or a log that holds other rows under its keys, was set back.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from heapq import nlargest
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

from tap_opendental.extraction.pages import Place
from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from tap_opendental.extraction.overlap import Reach
    from tap_opendental.extraction.pages import PagePlan, Row, Statement

Cursor = str | int

# Each is some 40 bytes of the state, which every STATE message carries whole.
MOST = 8
# So many of the very newest that are gone together look like a restored backup. Where somebody deleted them, it costs
# one more read of that table.
_NEWEST = 4


@dataclass(frozen=True)
class Witness:
    """A row as it was: its key, its cursor and, in a log, whose cursor is the key, a digest of the whole row."""

    key: Row
    cursor: Cursor
    digest: str | None = None

    def to_state(self) -> list[Any]:
        """Plain JSON types."""
        return [Place("all", self.key).to_state()["after"], self.cursor, self.digest]

    @classmethod
    def from_state(cls, value: Any) -> Witness:  # noqa: ANN401 - whatever a state holds
        """Read what `to_state` wrote; KeyError, TypeError or ValueError of anything else."""
        key, cursor, digest = value
        after = Place.from_state({"stage": "all", "after": key}).after
        if after is None or type(cursor) not in (str, int) or not isinstance(digest, str | None):
            raise TypeError("witness")
        return cls(after, cursor, digest)


Witnesses = tuple[Witness, ...]


def digest_row(line: str, form: str) -> str:
    """Digest of a row's line; `form` tells lines apart that are made in another way."""
    return f"{form}:{blake2b(line.encode(), digest_size=8).hexdigest()}"


def gather(
    known: Witnesses,
    cursors: Sequence[Cursor | None],
    remember: Callable[[int, Cursor], Witness],
    upto: Cursor | None,
) -> Witnesses:
    """Return the witnesses among those that are known and a page's rows: the newest, none beyond `upto`.

    `remember` makes a witness of the row at a place of the page, by its cursor. Rows dated in the future move back once
    they are edited, so they are none.
    """
    floor = known[-1].cursor if len(known) >= MOST else None
    places = ((cursor, place) for place, cursor in enumerate(cursors) if _lies_between(floor, cursor, upto))
    newest = nlargest(MOST, cast("Iterable[tuple[Any, int]]", places))
    rows = {witness.key: witness for witness in (*known, *(remember(place, cursor) for cursor, place in newest))}
    return tuple(sorted(rows.values(), key=attrgetter("cursor"), reverse=True)[:MOST])


def _lies_between(floor: Cursor | None, cursor: Cursor | None, upto: Cursor | None) -> bool:
    return cursor is not None and (floor is None or cursor >= floor) and (upto is None or cursor <= upto)  # type: ignore[operator]


def ask_for(witnesses: Collection[Witness], plan: PagePlan) -> Statement:
    """The rows of the witnesses as they are now: the plan's expressions, then the key."""
    key = [f"{quote(name)}+0" if name in plan.keyed_by_number else quote(name) for name in plan.key]
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    for number, witness in enumerate(witnesses):
        names = [f"w{number}_{place}" for place in range(len(plan.key))]
        pairs = zip(plan.key, names, strict=True)
        conditions.append(f"({' AND '.join(f'{quote(column)} = %({name})s' for column, name in pairs)})")
        parameters.update(zip(names, witness.key, strict=True))
    columns = ", ".join([*plan.expressions, *key])
    return f"SELECT {columns} FROM {quote(plan.table)} WHERE {' OR '.join(conditions)}", parameters


def find_contradiction(before: Witnesses, now: Mapping[Row, Witness], reach: Reach) -> str | None:
    """Say why the table is an older one than it was, by the rows of `before` as they are `now`; or None.

    A little older than it was a row may be: its last edit may have waited for one that began later. What lies within
    `reach` is read again anyway.
    """
    present = [(witness, now[witness.key]) for witness in before if witness.key in now]
    if before and not any(witness.key in now for witness in before[:_NEWEST]):
        return "has none of its newest rows any more"
    if any(seen.cursor < reach.begin(witness.cursor) for witness, seen in present):  # type: ignore[operator]
        return "holds older versions of rows"
    logged = [(witness.digest, seen.digest) for witness, seen in present if _are_comparable(witness, seen)]
    if logged and all(was != is_now for was, is_now in logged):
        return "holds other rows under the keys of its newest"
    return None


def vouch(before: Witnesses, now: Mapping[Row, Witness]) -> bool:
    """True when all rows of `before` are `now` as they were: whatever was done to the table, it lost none of them."""
    return bool(before) and all(now.get(witness.key) == witness for witness in before)


def _are_comparable(one: Witness, other: Witness) -> bool:
    """True where both digests are of lines that were made in the same way."""
    if one.digest is None or other.digest is None:
        return False
    return one.digest.partition(":")[0] == other.digest.partition(":")[0]
