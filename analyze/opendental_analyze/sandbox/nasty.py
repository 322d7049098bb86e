"""Values that break careless readers: for each column type, the edges of its range and of good taste."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from target_opendental_replica.types import read_members

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_opendental.discovery.model import Column

_EPOCH = date(2020, 1, 1)
_SENTINEL = "0001-01-01"
_WORDS = (
    "", "plain", "it's", 'say "no"', "back\\slash", "tab\there", "two\nlines", "cr\r\nlf", "Zo\u00eb",
    "\u0141\u00f3d\u017a",
    "\u20ac 5", "%s %(x)s", "a,b,c", "NULL", "\\N", " padded ", "\u4e2d\u6587", "\x1a", '{"a": 1}', "<x/>&amp;",
    ":colon", "`tick`", "null\0byte", "x" * 200,
)  # fmt: skip
_BYTES = (b"", b"\x00", b"\xff\xfe", b"it's", b"\\", bytes(range(16)), b"\n\r\t\x1a")
_DAYS = (_SENTINEL, "0000-00-00", "2022-11-00", "2022-00-00", "1900-01-01", "1000-01-01", "2024-02-29", "9999-12-31")
_TIMES = ("00:00:00", "-00:00:01", "100:30:00", "-838:59:59", "838:59:59", "23:59:59", "12:00:00")
_STAMPS = (
    "1970-01-01 00:00:01",
    "2038-01-19 03:14:07",
    "2024-03-10 02:30:00",
    "2024-11-03 01:30:00",
    "0000-00-00 00:00:00",
)
_INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_TEXT = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
_BINARY = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_OTHER: dict[str, tuple[object, ...]] = {
    "date": _DAYS,
    "time": (*_TIMES, "01:02:03.456", "-00:00:00.001"),
    "datetime": (*(f"{day} 00:00:00" for day in _DAYS), "2024-06-30 23:59:59.999999", "2024-03-10 02:30:00.000001"),
    "timestamp": (*_STAMPS, "2024-06-30 23:59:59.123"),
    "year": (1901, 2155, 0, 2024),
    "float": (0.0, 16777216.0, -1.5, 3.4028234e38, 1.1754944e-38, 0.1),
    "double": (0.0, 1.7976931348623157e308, 5e-324, -0.1, 0.30000000000000004, 12345678901234567.0),
    "json": ("{}", "[]", '{"a": [1, null, "it\'s"]}', "12345678901234567890", '"\\u00e9"', "null"),
}


def choose_value(column: Column, number: int, *, key: bool) -> object:
    """The value of one column in row `number`: unique in a key, else one of the edges, now and then NULL."""
    if key:
        return _key_value(column, number)
    if column.updates_itself:
        return f"2024-05-01 08:00:{number % 60:02}.123"  # the server's own clock wrote it: never in the future
    values = choose_values(column)
    if column.nullable and number % (len(values) + 1) == len(values):
        return None
    return values[number % (len(values) + int(column.nullable))]


def choose_values(column: Column) -> tuple[object, ...]:
    """The edges of a column's type."""
    return _CHOICES.get(column.base_type, _other)(column)


def _key_value(column: Column, number: int) -> object:
    if column.base_type == "date":
        return (_EPOCH + timedelta(days=31 * number)).isoformat()
    if column.base_type in _TEXT:
        return f"{_WORDS[number % len(_WORDS)][:20].strip()} {number}"
    return number + 1


def _integers(column: Column) -> tuple[object, ...]:
    bits = _INTEGERS[column.base_type]
    if column.unsigned:
        return (0, 1, 2**bits - 1, 2 ** (bits - 1))
    return (0, 1, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)))


def _words(column: Column) -> tuple[object, ...]:
    length = _length(column) if column.base_type.endswith("char") else max(map(len, _WORDS))
    return tuple(word[:length] for word in _WORDS)


def _bytes(_column: Column) -> tuple[object, ...]:
    return _BYTES


def _bits(column: Column) -> tuple[object, ...]:
    width = _length(column)
    return (0, 1, 2**width - 1, 2 ** (width - 1))


def _decimals(column: Column) -> tuple[object, ...]:
    precision, scale = (int(part) for part in column.type.partition("(")[2].partition(")")[0].split(","))
    whole, rest = "9" * (precision - scale), "9" * scale
    return ("0", f"{whole}.{rest}", f"-{whole}.{rest}", "0." + "0" * (scale - 1) + "1", "-1")


def _members(column: Column) -> tuple[object, ...]:
    return read_members(column.type)


def _other(column: Column) -> tuple[object, ...]:
    return _OTHER[column.base_type]


def _length(column: Column) -> int:
    return int(column.type.partition("(")[2].partition(")")[0])


_CHOICES: dict[str, Callable[[Column], tuple[object, ...]]] = {
    **dict.fromkeys(_INTEGERS, _integers),
    **dict.fromkeys(_TEXT, _words),
    **dict.fromkeys(_BINARY, _bytes),
    "bit": _bits,
    "decimal": _decimals,
    "enum": _members,
    "set": _members,
}
