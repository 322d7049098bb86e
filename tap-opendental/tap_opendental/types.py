"""MySQL type to JSON Schema and to the exact way of reading it: pure, one place for every decision.

Values come from the driver as int, float, Decimal, str or bytes, temporal ones as the server's text. What no target can
take as it stands (zero dates) is mapped here on purpose and counted, never silently.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from tap_opendental.errors import UnknownTypeError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

    from tap_opendental.discovery.knowledge import KnownColumn
    from tap_opendental.discovery.model import Column
    from tap_opendental.discovery.table_config import ColumnOverride

ZERO_DATE = "zero, partial or impossible dates sent as NULL"
ODD_BOOLEAN = "booleans stored as neither 0 nor 1, sent as true"
ODD_TIME = "times of day outside 00:00-23:59:59 sent as NULL"
SENTINEL_DATE = "dates 0001-01-01 sent as NULL"

# Storage sizes of https://mariadb.com/docs/server/reference/data-types/numeric-data-types
_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "integer": 32, "bigint": 64}
_TEXT = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json", "enum", "set"})
_TEXT |= frozenset({"uuid", "inet4", "inet6"})
_BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_GEOMETRY = frozenset({"geometry", "point", "linestring", "polygon", "geometrycollection", "geomcollection"})
_GEOMETRY |= frozenset({"multipoint", "multilinestring", "multipolygon"})
_SENTINEL = "0001-01-01"
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?")
_LENGTH = re.compile(r"\((\d+)\)")
_BIGINT_BITS = 63


@dataclass(frozen=True)
class ReadingOptions:
    """Choices of the user that change values: sentinel dates kept or NULL, blobs as base64 or hex."""

    keep_sentinel_dates: bool = True
    binary_encoding: str = "base64"


@dataclass(frozen=True)
class Reading:
    """How one column is read: its JSON Schema, an SQL expression around the quoted name, and a conversion if any."""

    schema: Mapping[str, Any]
    expression: str = "{}"
    convert: Callable[[Any, Counter[str]], Any] | None = None


def choose_reading(
    table: str,
    column: Column,
    known: KnownColumn | None,
    options: ReadingOptions,
    override: ColumnOverride | None = None,
) -> Reading:
    """Choose how to read a column; UnknownTypeError names a column whose type is not known here.

    `override` is a person's word in tables.yml, which is known to fit the column.
    """
    reading = _override(column, override) or _choose(column, known, options)
    if reading is None:
        raise UnknownTypeError(
            f"column {table}.{column.name} has type {column.type!r}, which this version cannot read: "
            f"leave the table out with exclude_tables, and report the type"
        )
    return reading


def _override(column: Column, override: ColumnOverride | None) -> Reading | None:
    """Read as a person decided: a tinyint as boolean, or a number rounded by the server, half away from zero."""
    if override is None or override.conversion_rule == "exclude":
        return None
    if override.conversion_rule == "tinyint_to_boolean":
        return Reading(_typed(column, "boolean"), convert=_boolean)
    exact = "{}+0e0" if column.base_type == "float" else "{}"
    return Reading(_typed(column, "number"), expression=f"ROUND({exact}, {override.precision})")


def is_keyed_by_number(column: Column) -> bool:
    """True where a key's text does not sort and compare as its column: FLOAT's is cut, ENUM and SET sort by index."""
    return column.base_type in {"float", "enum", "set", "bit"}


def _choose(column: Column, known: KnownColumn | None, options: ReadingOptions) -> Reading | None:
    base = column.base_type
    if known is not None and known.is_boolean and base == "tinyint":
        return Reading(_typed(column, "boolean"), convert=_boolean)
    if base in _INTEGER_BITS:
        return Reading(_integer_schema(column))
    if base in _TEXT:
        return Reading(_text_schema(column))
    if base in _BYTES or base in _GEOMETRY:
        return _binary(column, options)
    return _numeric(column) or _temporal(column, known, options)


def _numeric(column: Column) -> Reading | None:
    base = column.base_type
    if base == "float":
        # Text of a FLOAT has 6 digits (16777216 reads 16777200); a sum is a DOUBLE and exact, on every version.
        return Reading(_typed(column, "number"), expression="{}+0e0")
    if base in {"double", "real", "decimal", "numeric"}:
        return Reading(_typed(column, "number"))
    if base == "year":
        return Reading(_typed(column, "integer") | {"minimum": 0, "maximum": 2155})
    if base == "bit":
        return _bit(column)
    return None


def _temporal(column: Column, known: KnownColumn | None, options: ReadingOptions) -> Reading | None:
    base = column.base_type
    if base in {"date", "datetime", "timestamp"}:
        suffix = "+00:00" if base == "timestamp" else ""
        convert = partial(_moment, suffix, options.keep_sentinel_dates)
        return Reading(_nullable_text("date" if base == "date" else "date-time"), convert=convert)
    if base == "time" and known is not None and not known.is_interval:
        return Reading(_nullable_text("time"), convert=_time_of_day)
    return Reading(_typed(column, "string")) if base == "time" else None


def _typed(column: Column, name: str) -> dict[str, Any]:
    return {"type": [name, "null"] if column.nullable else [name]}


def _nullable_text(text_format: str) -> dict[str, Any]:
    """Schema of a value that may arrive as NULL although its column is NOT NULL: zero dates do."""
    return {"type": ["string", "null"], "format": text_format}


def _integer_schema(column: Column) -> dict[str, Any]:
    """Declare the range, from which targets choose smallint, integer or bigint.

    Unsigned bigint goes as number: the stock target makes any integer above 2^31 a bigint, which ends at 2^63 - 1.
    """
    bits = _INTEGER_BITS[column.base_type]
    if not column.unsigned:
        return _typed(column, "integer") | {"minimum": -(2 ** (bits - 1)), "maximum": 2 ** (bits - 1) - 1}
    if bits > _BIGINT_BITS:
        return _typed(column, "number")
    return _typed(column, "integer") | {"minimum": 0, "maximum": 2**bits - 1}


def _text_schema(column: Column) -> dict[str, Any]:
    schema = _typed(column, "string")
    length = _LENGTH.search(column.type) if column.base_type in {"char", "varchar"} else None
    return schema | {"maxLength": int(length.group(1))} if length else schema


def _binary(column: Column, options: ReadingOptions) -> Reading:
    hexadecimal = options.binary_encoding == "hex"
    return Reading(
        _typed(column, "string") | {"contentEncoding": "base16" if hexadecimal else "base64"},
        expression="ST_AsBinary({})" if column.base_type in _GEOMETRY else "{}",
        convert=_hex if hexadecimal else _base64,
    )


def _bit(column: Column) -> Reading:
    length = _LENGTH.search(column.type)
    bits = int(length.group(1)) if length else 1
    if bits > _BIGINT_BITS:
        return Reading(_typed(column, "number"), convert=_bits)
    return Reading(_typed(column, "integer") | {"minimum": 0, "maximum": 2**bits - 1}, convert=_bits)


def _boolean(value: int | None, odd: Counter[str]) -> bool | None:
    if value is None:
        return None
    if value not in (0, 1):
        odd[ODD_BOOLEAN] += 1
    return value != 0


def _bits(value: bytes | None, _odd: Counter[str]) -> int | None:
    return None if value is None else int.from_bytes(value, "big")


def _base64(value: bytes | None, _odd: Counter[str]) -> str | None:
    return None if value is None else b64encode(value).decode("ascii")


def _hex(value: bytes | None, _odd: Counter[str]) -> str | None:
    return None if value is None else value.hex()


def _moment(suffix: str, keep_sentinel: bool, value: str | None, odd: Counter[str]) -> str | None:  # noqa: FBT001
    """ISO 8601 text of a date, datetime or timestamp; NULL where the calendar has no such day."""
    if value is None:
        return None
    day, separator, clock = value.partition(" ")
    if not _is_calendar_day(day):
        odd[ZERO_DATE] += 1
        return None
    if day == _SENTINEL and not keep_sentinel:
        odd[SENTINEL_DATE] += 1
        return None
    return f"{day}T{clock}{suffix}" if separator else day


@lru_cache(maxsize=65_536)
def _is_calendar_day(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


def _time_of_day(value: str | None, odd: Counter[str]) -> str | None:
    if value is None or _TIME_OF_DAY.fullmatch(value):
        return value
    odd[ODD_TIME] += 1
    return None
