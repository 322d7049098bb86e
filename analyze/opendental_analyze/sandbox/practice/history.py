"""The practice's time: seven years of office hours that end on a fixed evening in the past.

The key decides when a row was made, so that the tables agree with each other and an append-only table grows in both.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

HISTORY_END: Final = dt.datetime(2024, 6, 28, 18, 0, 0)  # noqa: DTZ001 - a clinic's wall clock has no time zone
"""The last second in which anything happened."""

NO_DATE: Final = "0001-01-01"
NO_DATETIME: Final = "0001-01-01 00:00:00"
UPGRADE_SECOND: Final = "2023-03-04 05:06:07"
"""When an upgrade of the application touched a good part of every table with a self-updating column."""

_FIRST_DAY: Final = dt.date(2017, 1, 2)
_SUNDAY: Final = 6
_OPENS: Final = 8 * 3600
_OPEN_SECONDS: Final = 10 * 3600 + 1
_TIE: Final = range(500, 540)  # per mille of a table's rows that were written in one second, as by an import


def _working_days() -> tuple[str, ...]:
    span = (HISTORY_END.date() - _FIRST_DAY).days + 1
    days = (_FIRST_DAY + dt.timedelta(days=offset) for offset in range(span))
    return tuple(day.isoformat() for day in days if day.weekday() != _SUNDAY)


DAYS: Final = _working_days()
"""Every day on which the practice was open, as text."""
FUTURE_DAYS: Final = tuple((HISTORY_END.date() + dt.timedelta(days=offset)).isoformat() for offset in range(1, 400))
"""The days after the history's end: appointments are made for them."""
CLOCK: Final = tuple(
    f" {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}" for second in range(_OPENS, _OPENS + _OPEN_SECONDS)
)
"""Every second of the office hours, as text that follows a day."""

INSTANTS: Final = len(DAYS) * _OPEN_SECONDS
"""Seconds of office time in the whole history."""


def instant_of_row(key: int, rows: int) -> int:
    """When row `key` of `rows` was inserted: never before the row with a smaller key, the last one at the very end."""
    if (1000 * key) // rows in _TIE:
        key = max(_TIE.start * rows // 1000, 1)
    return (key * INSTANTS - 1) // rows


def day_at(instant: int) -> str:
    """The day, as a DATE field."""
    return DAYS[instant // _OPEN_SECONDS]


def moment_at(instant: int) -> str:
    """The second, as a DATETIME or TIMESTAMP field."""
    return DAYS[instant // _OPEN_SECONDS] + CLOCK[instant % _OPEN_SECONDS]


def day_before(instant: int, days: int) -> str:
    """The day so many working days earlier, at most the first."""
    return DAYS[max(instant // _OPEN_SECONDS - days, 0)]
