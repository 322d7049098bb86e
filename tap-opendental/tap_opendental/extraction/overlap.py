"""The rows that are read again each night, and how they are kept from being sent again (pure).

A bookmark alone loses rows that commit late, so every run reads again from somewhat before it. What is read there is
compared with a digest of the last run's: rows fall into buckets by their cursor (ten minutes, or a thousand keys), and
a bucket whose rows are the same as last time is not sent. Rows are held until their bucket is whole, within a limit
beyond which they are sent whatever they are: a row that comes twice does no harm, one that does not come is lost.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap_opendental.bookmarks import Buckets, Cursor

UNSET = "unset"
_BUCKET_KEYS = 1_000
_BUCKET_TEXT = len("2024-06-28T18:0")
_DIGEST_BYTES = 8
_MODULUS = 1 << (8 * _DIGEST_BYTES)
# A week of overlap, or a million keys. Rows dated in the future are read each time too; should they lie in very many
# buckets, the newest are remembered.
_MOST_BUCKETS = 1_000
MOST_HELD_BYTES = 32 * 1_048_576


@dataclass(frozen=True)
class Reach:
    """How far before its bookmark a stream is read again: seconds, or keys of an append-only table."""

    seconds: int = 3600
    keys: int = 10_000

    def begin(self, bookmark: Cursor, earlier: int = 0) -> Cursor:
        """Where to read from: the beginning of a bucket, so that buckets are read whole. The form stays the same.

        A moment keeps its zone, and may be told to begin so many seconds earlier; of year 1, from which nothing can be
        taken off, the bookmark itself is returned.
        """
        if isinstance(bookmark, int):
            return (bookmark - self.keys) // _BUCKET_KEYS * _BUCKET_KEYS
        moment = datetime.fromisoformat(bookmark)
        try:
            early = moment - timedelta(seconds=self.seconds + earlier)
        except OverflowError:
            return bookmark
        return early.replace(minute=early.minute // 10 * 10, second=0, microsecond=0).isoformat()


def name_bucket(cursor: Cursor | None) -> str:
    """Name the bucket of a row: ten minutes of ISO 8601 text, a thousand keys, or `unset`."""
    if cursor is None:
        return UNSET
    return str(cursor // _BUCKET_KEYS) if isinstance(cursor, int) else cursor[:_BUCKET_TEXT]


class Overlap:
    """Holds back what the last run sent already, and makes the digest for the next one.

    `remembered` is the last run's digest.
    """

    def __init__(self, remembered: Buckets, *, most_held_bytes: int = MOST_HELD_BYTES) -> None:
        self._remembered = dict(remembered)
        self._held: defaultdict[str, list[str]] = defaultdict(list)
        self._held_bytes = 0
        self._most = most_held_bytes
        self._sums: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._sent = 0

    @property
    def holds_most(self) -> bool:
        """True while more rows are held back than were sent: to release them would more than double what goes out."""
        return sum(map(len, self._held.values())) > self._sent

    def admit(self, lines: Sequence[str], cursors: Sequence[Cursor | None], keep_from: Cursor | None) -> list[str]:
        """Return the rows that go out now, in order; rows before `keep_from` need no digest any more."""
        self._forget_before(keep_from)
        for place in _find_recent(cursors, keep_from):
            self._add(name_bucket(cursors[place]), lines[place])
        now = self._hold_back(lines, cursors) if self._remembered else list(lines)
        self._sent += len(now)
        return now + self.release() if self._held_bytes > self._most else now

    def _hold_back(self, lines: Sequence[str], cursors: Sequence[Cursor | None]) -> list[str]:
        now = []
        for line, cursor in zip(lines, cursors, strict=True):
            bucket = name_bucket(cursor)
            if bucket in self._remembered:
                self._held[bucket].append(line)
                self._held_bytes += len(line)
            else:
                now.append(line)
        return now

    def settle(self, cursor: Cursor | None) -> list[str]:
        """Return the held rows of changed buckets before that of `cursor`, where rows come in the order of cursors."""
        if cursor is None:
            return []
        floor = name_bucket(cursor)
        return self._compare([bucket for bucket in self._held if not _is_wanted(bucket, floor)])

    def release(self) -> list[str]:
        """Return all rows that are held back: before a position is written, for one. Their buckets are not compared."""
        held = [line for lines in self._held.values() for line in lines]
        for bucket in self._held:
            del self._remembered[bucket]
        self._held.clear()
        self._held_bytes = 0
        self._sent += len(held)
        return held

    def finish(self) -> list[str]:
        """Return the held rows of those buckets that are not what they were."""
        return self._compare(list(self._held))

    def _compare(self, buckets: Iterable[str]) -> list[str]:
        """Let go of whole buckets; what is in those that changed goes out."""
        changed = []
        for bucket in buckets:
            lines = self._held.pop(bucket)
            self._held_bytes -= sum(map(len, lines))
            if self._remembered[bucket] != _digest(len(lines), sum(map(_hash, lines))):
                changed += lines
        self._sent += len(changed)
        return changed

    def digest(self, begin: Cursor | None) -> Buckets:
        """Digest of the buckets from `begin` on, for the state."""
        floor = None if begin is None else name_bucket(begin)
        wanted = [bucket for bucket in self._counts if _is_wanted(bucket, floor)]
        newest = sorted(wanted, key=_by_age)[-_MOST_BUCKETS:]
        return tuple((bucket, _digest(self._counts[bucket], self._sums[bucket])) for bucket in newest)

    def _forget_before(self, keep_from: Cursor | None) -> None:
        """Keep memory bounded: a first load goes through the buckets of all years."""
        if keep_from is not None and len(self._counts) > 2 * _MOST_BUCKETS:
            floor = name_bucket(keep_from)
            for bucket in [bucket for bucket in self._counts if not _is_wanted(bucket, floor)]:
                del self._counts[bucket], self._sums[bucket]

    def _add(self, bucket: str, line: str) -> None:
        self._sums[bucket] = (self._sums[bucket] + _hash(line)) % _MODULUS
        self._counts[bucket] += 1


def _find_recent(cursors: Sequence[Cursor | None], since: Cursor | None) -> list[int]:
    """Places of the rows at or after a bucket's begin, and of those without a cursor."""
    if since is None:
        return [*range(len(cursors))]
    return [place for place, cursor in enumerate(cursors) if cursor is None or cursor >= since]  # type: ignore[operator]


def _is_wanted(bucket: str, floor: str | None) -> bool:
    """True unless the bucket lies before `floor`; both are text of one length, or whole numbers."""
    if floor is None or bucket == UNSET:
        return True
    return int(bucket) >= int(floor) if _is_number(floor) else bucket >= floor


def _is_number(bucket: str) -> bool:
    return bucket.lstrip("-").isdecimal()


def _by_age(bucket: str) -> tuple[bool, int, str]:
    """Order buckets from the oldest on, rows without a cursor at the end: they are never too many."""
    return bucket == UNSET, int(bucket) if _is_number(bucket) else 0, bucket


def _hash(line: str) -> int:
    return int.from_bytes(blake2b(line.encode(), digest_size=_DIGEST_BYTES).digest(), "big")


def _digest(count: int, total: int) -> str:
    return f"{count}:{total % _MODULUS:016x}"


def find_largest(cursors: Sequence[Cursor | None]) -> Cursor | None:
    """Return the largest cursor, None when no row has one; text of one form is in the order of time."""
    known = [cursor for cursor in cursors if cursor is not None] if None in cursors else cursors
    return max(known, default=None)  # type: ignore[type-var]
