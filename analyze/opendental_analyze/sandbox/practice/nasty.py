"""The values that break pipelines, by kind of column. A seeded minority of rows holds them, in every practice."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from opendental_analyze.sandbox.practice.encoding import encode_field

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from opendental_analyze.sandbox.practice.blocks import Block, Fields

DATES: Final = ("0000-00-00", "2022-11-00", "2019-00-00", "0001-01-01", "1900-01-01")
DATETIMES: Final = (
    "0000-00-00 00:00:00",
    "2022-11-00 00:00:00",
    "0001-01-01 00:00:00",
    "1900-01-01 00:00:00",
    "2023-12-31 23:59:59",
)
INTERVALS: Final = ("-00:30:00", "100:00:00", "-838:59:59", "838:59:59", "-100:15:30", "24:00:00", "00:00:01")
TIMES: Final = ("00:00:00", "23:59:59", "12:00:00")
TICKS: Final = ("-600000000", "1", "864000000000", "36000000000001", "9223372036854775807")
BOOLEANS: Final = ("2",)
MONEY: Final = ("0.30000000000000004", "-0.01", "0.1", "1234567.89", "2.675", "1e-7", "-99999.99")
DOUBLES: Final = (
    *MONEY,
    "1.7976931348623157e308",
    "-1.7976931348623157e308",
    "2.2250738585072014e-308",
    "123456789012345.67",
    "9007199254740993",
)
FLOATS: Final = ("16777216", "0.1", "3.4028234e38", "1.17549435e-38", "0.333333343", "1e-7")

TEXTS: Final = (
    "",
    " ",
    " leading",
    "trailing ",
    "O'Zyxquote",
    'say "zyx"',
    "back\\slash\\",
    "tab\there",
    "line\nbreak",
    "crlf\r\nend\r",
    "NULL",
    "\\N",
    "null",
    "漢字かな",
    "€ 1.234,56",
    "combining e\u0301",
    "Üml\u00e4ut \u00f1",
    "100%",
    "under_score",
    "semi;colon--",
    "/*zyx*/",
    "<b>&amp;</b>",
    '{"zyx": [1, null]}',
    "zero\u200bwidth",
    "\ufeffbom",
    "ctrl \x01\x08\x1a\x1f",
    "'",
    "\\",
    "0",
)
LATIN1_TEXTS: Final = ("Üml\u00e4ut \u00f1", "£ \u00bd \u00ff", "d\u00e9j\u00e0\\vu", "\u00e9")

_EVERY: Final = 50
_AT_MOST: Final = 10
_LEAST_ROWS: Final = 3

_LIMITS: Final = {
    "tinyint": (-128, 127, 255),
    "smallint": (-32_768, 32_767, 65_535),
    "int": (-2_147_483_648, 2_147_483_647, 4_294_967_295),
    "bigint": (-9_223_372_036_854_775_808, 9_223_372_036_854_775_807, 18_446_744_073_709_551_615),
}


def integers(base_type: str, *, unsigned: bool) -> tuple[str, ...]:
    """The ends of an integer type's range."""
    low, high, unsigned_high = _LIMITS[base_type]
    return (str(unsigned_high), "1") if unsigned else (str(low), str(high), "-1")


def texts(length: int | None, *, latin1: bool) -> tuple[str, ...]:
    """The texts that fit into the column, as fields."""
    fitting = (text for text in (LATIN1_TEXTS if latin1 else TEXTS) if length is None or len(text) <= length)
    return tuple(map(encode_field, fitting))


def sprinkle(fields: Fields, nasty: Sequence[str], block: Block, column: str, random: Random) -> Fields:
    """Replace about one field in fifty, up to one in ten in a small table, at least one where there are a few rows."""
    if len(fields) < _LEAST_ROWS or not nasty:
        return fields
    turn = zlib.crc32(f"{block.table}.{column}".encode()) + block.first
    for step in range(max(1 + len(fields) // _EVERY, min(len(nasty), len(fields) // _AT_MOST))):
        fields[int(random.random() * len(fields))] = nasty[(turn + step) % len(nasty)]
    return fields
