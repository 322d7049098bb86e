"""Text of others on the terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Escape the characters that a terminal might obey, or break the line at: names of tables may hold any."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
