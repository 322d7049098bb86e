"""Names of tables and the patterns that people write for them."""

from __future__ import annotations

from fnmatch import fnmatchcase


def matches(name: str, pattern: str) -> bool:
    """Match as the shell does, without regard to case: table names fold to lower case on some servers."""
    return fnmatchcase(name.lower(), pattern.lower())
