"""The pace of reading: how large the next page is, and when it may begin.

On MyISAM a page keeps every writer of its table waiting until its last row is sent, whether the time goes into the
server's disk or into the line to us. So a page is bounded in time, by how long the pages before it took, and in bytes,
since we hold it whole. Nothing here reads a clock or sleeps but through the two functions that it is given.
"""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from statistics import median_low
from threading import Lock
from typing import TYPE_CHECKING

from tap_opendental.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONG = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBER = {name: number for names in (_DAYS, _LONG) for number, name in enumerate(names)}
_WINDOW = re.compile(r"(?P<days>[A-Za-z,\s-]+?)\s+(?P<begin>\d{1,2}:\d\d)\s*-\s*(?P<end>\d{1,2}:\d\d)", re.ASCII)
_WHOLE_DAY = 24 * 60

# What a page aims at, as a share of max_page_seconds: rows are not all alike, and a page that just fits would often
# not. A page between this and the limit changes nothing, so that sizes come to rest.
_AIM = 0.8
_GROWTH = 2
# How far a page that cannot be cut may go beyond the others, if the server was that fast.
_CROWD_GROWTH = 16
# A page of no more rows and bytes than these costs what any statement costs, the way there and back. Its time says
# nothing of its size: on a line with a delay above max_page_seconds, pages would end at one row and still be slow.
_FEW_ROWS, _FEW_BYTES = 50, 65_536
_PAGES_REMEMBERED = 9
# No sleep is longer, so that a sleep that looks for a signal finds one soon.
_LONGEST_SLEEP = 1.0


@dataclass(frozen=True)
class Window:
    """Some days of the week (0 is Monday) from one minute of the day to another, the last one not included.

    A window whose end is not after its begin goes over midnight: it belongs to the day on which it begins.
    """

    days: frozenset[int]
    begin: int
    end: int

    def covers(self, day: int, minute: int) -> bool:
        """True when that minute of that day of the week lies inside."""
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        return (day in self.days and minute >= self.begin) or ((day - 1) % 7 in self.days and minute < self.end)


@dataclass(frozen=True)
class OfficeHours:
    """When the clinic works, on its own wall clock."""

    windows: tuple[Window, ...]

    @classmethod
    def parse(cls, text: str) -> OfficeHours:
        """Read `Mon-Fri,Sun 07:30-18:00; Sat 22:00-02:00`; ConfigError with the part that cannot be read.

        Days are English names, three letters or whole, single, as a range (Sat-Mon goes over Sunday) or as a list.
        Hours are 00:00 to 24:00; an end that is not after its begin lies on the next day.
        """
        return cls(tuple(_parse_window(part) for part in text.split(";")))

    def covers(self, local: datetime) -> bool:
        """True when the wall clock reads a moment inside a window; a begin is inside, an end is not."""
        minute = local.hour * 60 + local.minute
        return any(window.covers(local.weekday(), minute) for window in self.windows)


def _parse_window(part: str) -> Window:
    found = _WINDOW.fullmatch(part.strip())
    if not found:
        raise _unreadable(part)
    days = frozenset(chain.from_iterable(_parse_days(item, part) for item in found["days"].split(",")))
    begin, end = _parse_minute(found["begin"], part), _parse_minute(found["end"], part)
    if begin in (end, _WHOLE_DAY):
        raise _unreadable(part)
    return Window(days, begin, end)


def _parse_days(item: str, part: str) -> Iterator[int]:
    """Days of `Mon` or `Fri-Mon`."""
    first, *rest = (_NUMBER.get(name.strip().lower()) for name in item.split("-"))
    last = rest[0] if rest else first
    if first is None or last is None or len(rest) > 1:
        raise _unreadable(part)
    return (day % 7 for day in range(first, first + (last - first) % 7 + 1))


def _parse_minute(text: str, part: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if minutes >= 60 or hours * 60 + minutes > _WHOLE_DAY:  # noqa: PLR2004 - minutes of an hour
        raise _unreadable(part)
    return hours * 60 + minutes


def _unreadable(part: str) -> ConfigError:
    return ConfigError(
        f"office_hours: {part.strip()!r} is no window: write days and hours as in `Mon-Sat 07:30-18:00`, "
        "several separated by `;`, a whole day as 00:00-24:00"
    )


@dataclass(frozen=True)
class PaceLimits:
    """What a page may cost, and how many may begin in a second.

    `max_pages_per_second` holds inside `office_hours` only, and always where these are not set; None is no limit.
    """

    max_page_bytes: int = 8_388_608
    max_page_seconds: float = 0.25
    max_pages_per_second: float | None = None
    office_hours: OfficeHours | None = None


def follow_clock(local: datetime, clock: Callable[[], float] = time.monotonic) -> Callable[[], datetime]:
    """Return a wall clock that reads `local` now and goes on from there, whatever this machine's own clock does.

    It does not know of the server's change to or from daylight saving time: a run across it is an hour off, which moves
    office hours and nothing else.
    """
    origin = clock()
    return lambda: local + timedelta(seconds=clock() - origin)


class Throttle:
    """No more pages begin in a second than the limits allow: one for the whole run, shared by all its streams.

    Threads may share it: each takes the next free place. `local_clock` reads the server's wall clock, `clock` counts
    seconds and never goes back, `sleep` waits for seconds; an exception out of it ends the wait.
    """

    def __init__(
        self,
        limits: PaceLimits,
        local_clock: Callable[[], datetime],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limits = limits
        self._local_clock = local_clock
        self._clock = clock
        self._sleep = sleep
        self._next = clock()
        self._lock = Lock()

    def wait(self) -> None:
        """Return when a page may begin; at once where no limit holds."""
        if not self._limits.max_pages_per_second or not self._holds():
            return
        with self._lock:
            begin = max(self._next, self._clock())
            self._next = begin + 1 / self._limits.max_pages_per_second
        while (left := begin - self._clock()) > 0:
            self._sleep(min(left, _LONGEST_SLEEP))

    def _holds(self) -> bool:
        hours = self._limits.office_hours
        return hours is None or hours.covers(self._local_clock())


class Pace:
    """The size of one table's pages, learned from the pages before.

    A page examines `rows` rows of the table. Read in the order of the key it returns them all; a range in which changed
    rows are looked for returns few or none of them, yet took the time of examining them all, and the next range may
    return every one. So time is measured by the rows examined, and width by the rows returned.

    Time: a page above max_page_seconds shrinks the next at once, in proportion; one clearly below lets it grow, to
    twice its rows at most. There is no upper limit in rows. A slow page of at most 50 rows and 64 kB shrinks nothing:
    that time is the server's or the line's, and smaller pages would only add to it.

    Bytes: were all its rows returned, the next page should hold max_page_bytes. A row is taken to be as wide as the
    wider of two figures. One is the median of what a row measured in each of the last nine pages that returned any:
    one odd row, or a page of three rows at the end of a table, does not move it. The other is the bytes that the last
    page returned for each row it examined, fading by half with every page: rows that turn wide shrink the very next
    page, and a single row of 16 MB is forgotten after some pages. `row_bytes` is the first of those measures; where it
    is unknown (0), pages stay at the size that they start with until rows were seen.
    """

    def __init__(self, limits: PaceLimits, rows: int, row_bytes: int, throttle: Throttle | None = None) -> None:
        self._limits = limits
        self._throttle = throttle
        self._widths = deque([row_bytes or limits.max_page_bytes / rows], maxlen=_PAGES_REMEMBERED)
        self._peak = 0.0
        self._timely = 0
        self._rows = self._within_bytes(rows)

    @property
    def rows(self) -> int:
        """Rows that the next page may examine, at least 1."""
        return self._rows

    @property
    def crowd(self) -> int:
        """Rows that the next page may have if it cannot be cut, at least `rows`.

        As many as max_page_seconds holds, by the fastest page since one that was too slow, within max_page_bytes: up to
        16 times the rows of a page, which grows to that in four. Before any page nothing is known of the server.
        """
        return max(self._rows, self._within_bytes(min(self._timely, self._rows * _CROWD_GROWTH)))

    def note(self, rows: int, nbytes: int, seconds: float, *, found: int) -> None:
        """Learn from a page: the rows it examined, the bytes and rows that it returned, the seconds until the last one.

        Read in the order of the key, `rows` and `found` are both the number of rows returned. A page that had fewer
        rows than it might have had, as the last one, does not shrink the next by being small, and lets it grow only as
        far as its own rows and time can tell.
        """
        if found:
            self._widths.append(nbytes / found)
        self._peak = max(nbytes / max(rows, 1), self._peak / _GROWTH)
        limit = self._limits.max_page_seconds
        timely, slow = int(rows * _AIM * limit / max(seconds, 1e-6)), seconds > limit
        self._timely = timely if slow else max(self._timely, timely)
        self._rows = self._within_bytes(self._within_time(rows, timely, slow=slow))

    def failed(self) -> None:
        """Learn from a page that was given up for its time: the next has a quarter of its rows, down to a single one.

        The server's limit for a statement is far above max_page_seconds, so half would often fail again.
        """
        self._rows, self._timely = max(1, self._rows // 4), 0

    def wait(self) -> None:
        """Return when the next page may begin."""
        if self._throttle:
            self._throttle.wait()

    def _within_time(self, rows: int, timely: int, *, slow: bool) -> int:
        """Rows of a page that aims at its share of max_page_seconds: `timely`, by how long `rows` of them took."""
        few = self._few_rows()
        aim = max(few, timely)
        if slow and rows > few:
            return min(aim, self._rows)
        return max(self._rows, min(aim, self._rows * _GROWTH))

    def _within_bytes(self, rows: int) -> int:
        return max(1, min(rows, int(self._limits.max_page_bytes / self._width())))

    def _few_rows(self) -> int:
        """Rows of a page so small that its time is not its rows'."""
        return max(1, min(_FEW_ROWS, int(_FEW_BYTES / self._width())))

    def _width(self) -> float:
        """Bytes of a row, as wide as the pages of late make it."""
        return max(median_low(self._widths), self._peak, 1.0)
