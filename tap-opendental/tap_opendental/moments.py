"""Moments as text, in states and settings (pure)."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_moment(value: str) -> datetime:
    """Return an ISO 8601 moment without a zone: UTC when the text names one, else the clock reading as it stands."""
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
