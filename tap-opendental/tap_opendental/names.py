"""Names that any Singer target can store: streams and properties that a target must not break on, or mix up (pure)."""

from __future__ import annotations

import hashlib
import re
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# PostgreSQL's limit in bytes (NAMEDATALEN - 1); MySQL's is 64 characters.
_MAX_NAME = 63
_HASH_DIGITS = 8

# What a target or PostgreSQL gives a meaning of its own, as a column's name. The SDK overwrites `_sdc_` columns in
# silence, and CREATE TABLE refuses the system columns.
_RESERVED = frozenset(
    [
        *("_sdc_extracted_at", "_sdc_received_at", "_sdc_batched_at", "_sdc_deleted_at"),
        *("_sdc_sequence", "_sdc_table_version", "_sdc_sync_started_at"),
        *("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"),
    ]
)


def safe_name(name: str) -> str:
    """A name of 1 to 63 characters of [A-Za-z0-9_], always the same for the same name.

    One that is already so, and is not reserved, stays. Any other gets `_` for each other character, and `_` and 8 hex
    digits of its SHA-256 at the end: what differed before differs still.
    """
    safe = re.fullmatch(rf"[A-Za-z0-9_]{{1,{_MAX_NAME}}}", name) and name.lower() not in _RESERVED
    return name if safe else _mark(name)


def rename_all(names: Iterable[str]) -> Mapping[str, str]:
    """Map each name to a safe one, no two of which are equal, nor equal when case is dropped.

    Stock target-postgres keeps `Log` and `log` apart. Most other SQL targets drop case, by the SDK's own rule, and
    would put the rows of both into one table. Of such names the one in lower case stays, or else the first in order.
    """
    chosen: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(set(names), key=_precedence):
        chosen[name] = next(safe for safe in _candidates(name) if safe.lower() not in taken)
        taken.add(chosen[name].lower())
    return MappingProxyType(chosen)


def _precedence(name: str) -> tuple[bool, bool, str]:
    """Names that may stay choose before those that cannot, lower case before the rest."""
    return safe_name(name) != name, name.lower() != name, name


def _candidates(name: str) -> Iterator[str]:
    yield safe_name(name)
    yield from (_mark(name, "" if salt == 0 else f"\0{salt}") for salt in count())


def _mark(name: str, salt: str = "") -> str:
    digest = hashlib.sha256((name + salt).encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return re.sub(r"[^A-Za-z0-9_]", "_", name)[: _MAX_NAME - 1 - _HASH_DIGITS] + f"_{digest}"
