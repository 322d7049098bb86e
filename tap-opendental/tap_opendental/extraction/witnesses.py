"""The newest rows that a run read, asked again by the next one: they tell whether the table went back in time (pure).

A bookmark says where a table ended, not whether it is still the same table. When a backup is restored and worked on
before the next night, neither its counter of keys nor its times look older than they were, and reading on from the
bookmark would keep what the backup undid. But no work makes a row older: a row that carries an older timestamp than it
had, or a log that holds other rows under its keys, was set back.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

from tap_opendental.extraction.key_values import read_values, write_values
from tap_opendental.extraction.pages import render_key
from tap_opendental.moments import parse_moment
from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tap_opendental.extraction.overlap import Reach
    from tap_opendental.extraction.pages import PagePlan, Row, Statement

Cursor = str | int

# Each is some 40 bytes of the state, which every STATE message carries whole.
MOST = 8
# So many of the newest that are gone together look like a restored backup.
_NEWEST = 4
# Rows of a page that are looked at: enough that some of them are settled.
_LOOKED_AT = 64


@dataclass(frozen=True)
class Witness:
    """A row as it was: its key, its cursor and, in a log, whose cursor is the key, a digest of the whole row."""

    key: Row
    cursor: Cursor
    digest: str | None = None

    def to_state(self) -> list[Any]:
        """Plain JSON types."""
        return [write_values(self.key), self.cursor, self.digest]

    @classmethod
    def from_state(cls, value: Any) -> Witness:  # noqa: ANN401 - whatever a state holds
        """Read what `to_state` wrote; KeyError, TypeError or ValueError of anything else."""
        key, cursor, digest = value
        if type(cursor) not in (str, int) or not isinstance(digest, str | None):
            raise TypeError("witness")
        if isinstance(cursor, str):
            parse_moment(cursor)
        return cls(read_values(key), cursor, digest)


Witnesses = tuple[Witness, ...]


def digest_row(line: str, form: str) -> str:
    """Digest of a row's line; `form` tells lines apart that are made in another way."""
    return f"{form}:{blake2b(line.encode(), digest_size=8).hexdigest()}"


def gather(
    known: Witnesses,
    cursors: Sequence[Cursor | None],
    remember: Callable[[int, Cursor], Witness],
    *,
    upto: Cursor | None = None,
    settled: int | None = None,
) -> Witnesses:
    """Return the witnesses among those that are known and a page's rows, the newest first, none beyond `upto`.

    `remember` makes a witness of the row at a place of the page, by its cursor. Rows dated in the future move back once
    they are edited, so they are none. Half of the witnesses have keys below `settled`, the next key that there was a
    run ago: a row that is inserted after a restore may take the key of a newer one, and then looks like its edit.
    """
    floor = known[-1].cursor if len(known) >= MOST else None
    newest = _find_newest(cursors, floor, upto)
    if not newest:
        return known
    seen = (remember(place, cursors[place]) for place in newest)  # type: ignore[arg-type]  # none of them is None
    rows = {witness.key: witness for witness in (*known, *seen)}
    return _choose(sorted(rows.values(), key=attrgetter("cursor"), reverse=True), settled)


def _find_newest(cursors: Sequence[Cursor | None], floor: Cursor | None, upto: Cursor | None) -> list[int]:
    """Places of a page's newest rows, none before `floor` or beyond `upto`.

    Every row of a first load comes through here. Its cursors mostly rise, which sorting takes a fifth of a heap's time
    for.
    """
    known: Any = [cursor for cursor in cursors if cursor is not None] if None in cursors else cursors
    if not known or (floor is not None and max(known) < floor):
        return []
    limits = (min(known) if floor is None else floor, max(known) if upto is None else upto)
    low, high = cast("tuple[Any, Any]", limits)
    places = [place for place, cursor in enumerate(cursors) if cursor is not None and low <= cursor <= high]
    places.sort(key=cursors.__getitem__)  # type: ignore[arg-type]
    return places[-_LOOKED_AT:]


def _choose(rows: Sequence[Witness], settled: int | None) -> Witnesses:
    """Choose from rows in the order of their cursors: the newest, and as many of the newest that are settled."""
    newest, others = rows[:_NEWEST], rows[_NEWEST:]
    old = [row for row in others if settled is not None and _is_below(row.key, settled)]
    chosen = [*newest, *old[: MOST - _NEWEST]]
    added = [row for row in others if row not in chosen][: MOST - len(chosen)]
    return tuple(sorted([*chosen, *added], key=attrgetter("cursor"), reverse=True))


def _is_below(key: Row, settled: int) -> bool:
    return len(key) == 1 and isinstance(key[0], int) and key[0] < settled


def ask_for(witnesses: Collection[Witness], plan: PagePlan) -> Statement:
    """The rows of the witnesses as they are now: the plan's expressions, then the key."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    for number, witness in enumerate(witnesses):
        names = [f"w{number}_{place}" for place in range(len(plan.key))]
        pairs = zip(plan.key, names, strict=True)
        conditions.append(f"({' AND '.join(f'{quote(column)} = %({name})s' for column, name in pairs)})")
        parameters.update(zip(names, witness.key, strict=True))
    columns = ", ".join([*plan.expressions, *render_key(plan)])
    return f"SELECT {columns} FROM {quote(plan.table)} WHERE {' OR '.join(conditions)}", parameters


def find_contradiction(before: Witnesses, now: Mapping[Row, Witness], reach: Reach) -> str | None:
    """Say why the table is an older one than it was, by the rows of `before` as they are `now`; or None.

    A little older than it was a row may be: its last edit may have waited for one that began later. What lies within
    `reach` is read again anyway. Rows that are gone are no sign while one that is older than they are is as it was:
    somebody deleted them.
    """
    present = [(was, now[was.key]) for was in before if was.key in now and _is_like(was, now[was.key])]
    if any(seen.cursor < reach.begin(was.cursor) for was, seen in present):  # type: ignore[operator]
        return "holds older versions of rows"
    if before and not any(was.key in now for was in before[:_NEWEST]) and not any(was == seen for was, seen in present):
        return "has none of its newest rows any more"
    logged = [(was.digest, seen.digest) for was, seen in present if _are_comparable(was, seen)]
    if logged and all(was != is_now for was, is_now in logged):
        return "holds other rows under the keys of its newest"
    return None


def vouch(before: Witnesses, now: Mapping[Row, Witness]) -> bool:
    """True when a row is as it was, and no newer one is gone: the table holds what there was at that moment."""
    for was in before:
        if was.key not in now or now[was.key] == was:
            return was.key in now
    return False


def _is_like(one: Witness, other: Witness) -> bool:
    """True where both cursors are of one column's type: a stream may go by another one since."""
    return type(one.cursor) is type(other.cursor)


def _are_comparable(one: Witness, other: Witness) -> bool:
    """True where both digests are of lines that were made in the same way."""
    if one.digest is None or other.digest is None:
        return False
    return one.digest.partition(":")[0] == other.digest.partition(":")[0]
