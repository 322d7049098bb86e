"""Identifiers in SQL text."""

from __future__ import annotations


def quote_plain(name: str) -> str:
    """Quote an identifier for MySQL, for text that the driver sends as it stands."""
    return "`" + name.replace("`", "``") + "`"


def quote(name: str) -> str:
    """Quote an identifier for MySQL; percent signs are doubled for the driver's parameters."""
    return quote_plain(name).replace("%", "%%")
