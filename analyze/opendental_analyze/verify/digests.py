"""SQL that makes one number of a row, equal where every column holds the same bytes (pure).

Both sides are MySQL or MariaDB and compute it themselves, so that a comparison moves a few numbers, not the rows. No
expression is longer than its columns' digests: one beyond max_allowed_packet would be NULL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_opendental.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_opendental.discovery.model import Column

_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "integer", "bigint", "decimal", "numeric", "double"})
_MOMENTS = frozenset({"date", "time", "datetime", "timestamp"})
# As a number: the index of an ENUM, the bits of a SET, which tell an invalid value from an empty one.
_BY_NUMBER = frozenset({"bit", "year", "enum", "set"})
_GEOMETRY = frozenset({"geometry", "point", "linestring", "polygon", "geometrycollection"})
_GEOMETRY |= frozenset({"multipoint", "multilinestring", "multipolygon"})


def render_row_digest(columns: Sequence[Column]) -> str:
    """The MD5 of a row as 32 hexadecimal digits; no value of the columns can be taken for another."""
    texts = ", ".join(f"IFNULL({_text(column)}, '~')" for column in columns)
    return f"MD5(CONCAT_WS(',', {texts}))"


def render_sum(digest: str) -> str:
    """Three numbers of many rows, whatever their order: how many, and two sums of their digests' halves."""
    halves = (f"CAST(CONV({side}({digest}, 15), 16, 10) AS DECIMAL(20))" for side in ("LEFT", "RIGHT"))
    return ", ".join(["COUNT(*)", *(f"IFNULL(SUM({half}), 0)" for half in halves)])


def _text(column: Column) -> str:
    name, kind = quote(column.name), column.base_type
    if kind == "float":
        return f"{name} + 0e0"  # its text has six digits, which two values may share
    if kind in _BY_NUMBER:
        return f"{name} + 0"
    if kind in _NUMBERS or kind in _MOMENTS:
        return f"CONCAT({name})"
    if kind in _GEOMETRY:
        return f"MD5(HEX({name}))"
    return f"MD5(CAST({name} AS BINARY))"
