"""Moments as text, in states and settings (pure)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache


def parse_moment(value: str) -> datetime:
    """Return an ISO 8601 moment without a zone: UTC when the text names one, else the clock reading as it stands."""
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


@lru_cache(maxsize=65_536)
def is_calendar_day(day: str) -> bool:
    """True of `2024-02-29`; of days that no calendar has, and of anything else, false."""
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True
