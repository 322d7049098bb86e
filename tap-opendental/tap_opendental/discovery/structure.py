"""One spelling of a table's structure for every server, and the hash of it (pure).

Structure is columns, types, defaults, keys and indexes. Left out are the name, engine, character set, comments and
display widths: MySQL 8.0.19 stopped printing the widths, and they differ between offices for the same column
(tinyint(1), tinyint(3), tinyint(4)). How text compares (`_bin`, `_cs`) stays, since it decides which keys are equal.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tap_opendental.discovery.model import Column, Index, Table

_WIDTH = re.compile(r"^(tinyint|smallint|mediumint|int|integer|bigint|year)\(\d+\)")
_BARE_NUMBER = re.compile(r"'(-?\d+(?:\.\d+)?)'")
_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year"})


def hash_structure(table: Table) -> str:
    """Return the sha256 of a table's structure as 64 hexadecimal digits."""
    text = json.dumps(_describe(table), ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return sha256(text.encode("ascii")).hexdigest()


def describe_content(column: Column) -> str:
    """Say what a column's values depend on: its type, and what it is generated from."""
    generated = canonical_expression(column.generated)
    return canonical_type(column) + (f" as {generated}" if generated else "")


def canonical_type(column: Column) -> str:
    """Spell a column's type as every server would: ``tinyint unsigned`` of ``tinyint(3) unsigned``."""
    return _WIDTH.sub(r"\1", column.type if "'" in column.type else column.type.lower())


def _describe(table: Table) -> dict[str, Any]:
    return {
        "columns": [_describe_column(column, table) for column in table.columns],
        "primary_key": table.primary_key,
        "indexes": sorted((_describe_index(index) for index in table.indexes), key=lambda index: str(index[0])),
    }


def _describe_column(column: Column, table: Table) -> list[Any]:
    return [
        column.name,
        canonical_type(column),
        column.nullable,
        _canonical_default(column),
        column.on_update,
        column.auto_increment,
        _compares_as(column.collation or table.collation) if column.is_text else "",
        canonical_expression(column.generated),
    ]


def _describe_index(index: Index) -> list[Any]:
    parts = [[part.name, part.length, part.descending] for part in index.columns]
    return [index.name, index.unique, index.kind, parts]


def _canonical_default(column: Column) -> str | None:
    """Take the quotes off a number's default: some versions print them, and they change nothing."""
    quoted = _BARE_NUMBER.fullmatch(column.default or "")
    return quoted.group(1) if quoted and column.base_type in _NUMBERS else column.default


def _compares_as(collation: str) -> str:
    ending = collation.rpartition("_")[2]
    return ending if ending in {"bin", "cs"} else ""


def canonical_expression(expression: str | None) -> str | None:
    """Drop what servers add to a generated column's expression: backticks, introducers, spaces and outer brackets."""
    if expression is None:
        return None
    bare = re.sub(r"`|\b_(?:utf8mb[34]|latin1)(?=\\?')|\\(?=')|\s+", "", expression)
    return bare[1:-1] if _is_bracketed(bare) else bare


def _is_bracketed(text: str) -> bool:
    """True when the first bracket closes at the end: ``(a+b)``, and not ``(a)+(b)``."""
    depth = 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return letter == ")" and position == len(text) - 1
    return False
