"""MySQL type to JSON Schema and to the exact way of reading it: pure, one place for every decision.

A value is read as text that the server writes. What no target can take as it stands (zero dates) is mapped here on
purpose and counted, never silently: the server marks the rows that hold such a value, and `mend` maps it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from tap_opendental.errors import UnknownTypeError
from tap_opendental.exact_types import choose_exact_reading
from tap_opendental.moments import is_calendar_day
from tap_opendental.readings import (
    BYTES,
    GEOMETRY,
    INTEGER_BITS,
    MOMENT_BYTES,
    TEXT,
    WORDS,
    Kind,
    Reading,
    describe_text,
    is_utf8,
    read_length,
    typed,
)

if TYPE_CHECKING:
    from collections import Counter

    from tap_opendental.discovery.knowledge import KnownColumn
    from tap_opendental.discovery.model import Column
    from tap_opendental.discovery.table_config import ColumnOverride

ZERO_DATE = "zero, partial or impossible dates sent as NULL"
ODD_BOOLEAN = "booleans stored as neither 0 nor 1, sent as true"
ODD_TIME = "times of day outside 00:00-23:59:59 sent as NULL"
SENTINEL_DATE = "dates 0001-01-01 sent as NULL"

_SENTINEL = "0001-01-01"
_ODD = "odd"
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?")
_BIGINT_BITS = 63

# A day that no calendar has: in the year zero, month or day zero, or beyond the month's last day (legal under
# ALLOW_INVALID_DATES). LAST_DAY comes last: MySQL warns of month zero, which would fail the page (MariaDB does not);
# and only days that not every month has ask for it: a fifth of what the question costs.
_NO_DAY = (
    "{0} < '{first}' OR MONTH({0}) = 0 OR "
    "(DAYOFMONTH({0}) NOT BETWEEN 1 AND 28 AND DAYOFMONTH({0}) NOT BETWEEN 1 AND DAYOFMONTH(LAST_DAY({0})))"
)
_FIRST_DAY, _FIRST_AFTER_SENTINEL = "0001-01-01", "0001-01-02"
_NO_MOMENT = "{0} = 0"  # a TIMESTAMP may be zero, is never partial, and begins in 1970
_NO_TIME_OF_DAY = "{0} NOT BETWEEN '00:00:00' AND '23:59:59.999999'"


NulInText = Literal["replace", "strip", "fail", "keep"]


@dataclass(frozen=True)
class ReadingOptions:
    """Choices of the user that change values: sentinel dates kept or NULL, blobs as base64 or hex, NUL in text.

    `exact` sends every value as the source has it; the others are then as they are here.
    """

    keep_sentinel_dates: bool = True
    binary_encoding: str = "base64"
    nul_in_text: NulInText = "replace"
    exact: bool = False


def choose_reading(
    table: str,
    column: Column,
    known: KnownColumn | None,
    options: ReadingOptions,
    override: ColumnOverride | None = None,
) -> Reading:
    """Choose how to read a column; UnknownTypeError names a column whose type is not known here.

    `override` is a person's word in tables.yml, which is known to fit the column; exact values take no notice of it.
    """
    if options.exact:
        reading = choose_exact_reading(column)
    else:
        reading = _override(column, override) or _choose(column, known, options)
    if reading is None:
        raise UnknownTypeError(
            f"column {table}.{column.name} has type {column.type!r}, which this version cannot read: "
            f"leave the table out with exclude_tables, and report the type"
        )
    return replace(reading, nullable=column.nullable)


def is_keyed_by_number(column: Column) -> bool:
    """True where a key's text does not sort and compare as its column: FLOAT's is cut, ENUM and SET sort by index."""
    return column.base_type in {"float", "enum", "set", "bit"}


def _override(column: Column, override: ColumnOverride | None) -> Reading | None:
    """Read as a person decided: a tinyint as boolean, or a number rounded by the server, half away from zero."""
    if override is None or override.conversion_rule == "exclude":
        return None
    if override.conversion_rule == "tinyint_to_boolean":
        return _boolean(column)
    number = "{0}+0e0" if column.base_type == "float" else "{0}"
    return Reading(
        typed(column, "number"),
        expression=f"ROUND({number}, {override.precision})",
        exact=column.base_type in {"decimal", "numeric"},
        note=f"rounded {override.precision}",
    )


def _choose(column: Column, known: KnownColumn | None, options: ReadingOptions) -> Reading | None:
    base = column.base_type
    if known is not None and known.is_boolean and base == "tinyint":
        return _boolean(column)
    if base in BYTES or base in GEOMETRY:
        return _binary(column, options)
    return _text(column, options) or _numeric(column) or _temporal(column, known, options)


def _boolean(column: Column) -> Reading:
    """In JSON true or false, in CSV 1 or 0, which COPY takes and which cost the server nothing; odd until mended."""
    return Reading(
        typed(column, "boolean"),
        json_expression=f"CASE {{0}} WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE CONCAT('{_ODD}', {{0}}) END",
        suspect="{0} & -2",  # any bit but the lowest: cheaper than NOT IN (0, 1)
        mend=_mend_boolean,
        note="boolean",
    )


def _numeric(column: Column) -> Reading | None:
    base = column.base_type
    # JSON knows no leading zeros; a sum drops those of ZEROFILL, and that of the year 0000.
    plain = "{0}+0" if "zerofill" in column.type.lower() else "{0}"
    if base in INTEGER_BITS:
        return Reading(_integer_schema(column), expression=plain)
    if base == "float":
        # Text of a FLOAT has 6 digits (16777216 reads 16777200); a sum is a DOUBLE and exact, on every version.
        return Reading(typed(column, "number"), expression="{0}+0e0")
    if base in {"double", "real"}:
        return Reading(typed(column, "number"), expression=plain)
    if base in {"decimal", "numeric"}:
        return Reading(typed(column, "number"), expression=plain, exact=True)
    if base == "year":
        return Reading(typed(column, "integer") | {"minimum": 0, "maximum": 2155}, expression="{0}+0")
    return _bit(column) if base == "bit" else None


def _temporal(column: Column, known: KnownColumn | None, options: ReadingOptions) -> Reading | None:
    base = column.base_type
    if base in {"date", "datetime", "timestamp"}:
        return _moment(base, options)
    if base == "time" and known is not None and not known.is_interval:
        return Reading(
            _nullable_text("time"),
            Kind.PLAIN,
            suspect=_NO_TIME_OF_DAY,
            mend=_mend_time_of_day,
            max_bytes=MOMENT_BYTES,
            note="time of day",
        )
    return Reading(typed(column, "string"), Kind.PLAIN, max_bytes=MOMENT_BYTES) if base == "time" else None


def _moment(base: str, options: ReadingOptions) -> Reading:
    first = _FIRST_DAY if options.keep_sentinel_dates else _FIRST_AFTER_SENTINEL
    written = {"date": None, "datetime": "INSERT({0}, 11, 1, 'T')", "timestamp": _TIMESTAMP_IN_JSON}[base]
    return Reading(
        _nullable_text("date" if base == "date" else "date-time"),
        Kind.PLAIN,
        json_expression=written,
        suspect=_NO_MOMENT if base == "timestamp" else _NO_DAY.replace("{first}", first),
        mend=partial(_mend_moment, options.keep_sentinel_dates),
        max_bytes=MOMENT_BYTES,
        in_utc=base == "timestamp",
        note="" if options.keep_sentinel_dates else "no sentinels",
    )


_TIMESTAMP_IN_JSON = "CONCAT(INSERT({0}, 11, 1, 'T'), '+00:00')"


def _nullable_text(text_format: str) -> dict[str, Any]:
    """Schema of a value that may arrive as NULL although its column is NOT NULL: zero dates do."""
    return {"type": ["string", "null"], "format": text_format}


def _integer_schema(column: Column) -> dict[str, Any]:
    """Declare the range, from which targets choose smallint, integer or bigint.

    Unsigned bigint goes as number: the stock target makes any integer above 2^31 a bigint, which ends at 2^63 - 1.
    """
    bits = INTEGER_BITS[column.base_type]
    if not column.unsigned:
        return typed(column, "integer") | {"minimum": -(2 ** (bits - 1)), "maximum": 2 ** (bits - 1) - 1}
    if bits > _BIGINT_BITS:
        return typed(column, "number")
    return typed(column, "integer") | {"minimum": 0, "maximum": 2**bits - 1}


def _text(column: Column, options: ReadingOptions) -> Reading | None:
    base = column.base_type
    if base in WORDS:  # IFNULL would make an address of the word NULL
        return Reading(typed(column, "string"), Kind.PLAIN, expression="CAST({0} AS CHAR)", max_bytes=MOMENT_BYTES)
    if base not in TEXT:
        return None
    schema, longest = describe_text(column)
    return Reading(
        schema,
        Kind.TEXT,
        # Other character sets do not always mix in one CONCAT.
        expression="{0}" if is_utf8(column) else "CONVERT({0} USING utf8mb4)",
        max_bytes=longest,
        note="" if options.nul_in_text == "replace" else f"NUL {options.nul_in_text}",
    )


def _binary(column: Column, options: ReadingOptions) -> Reading:
    hexadecimal = options.binary_encoding == "hex"
    return Reading(
        typed(column, "string") | {"contentEncoding": "base16" if hexadecimal else "base64"},
        Kind.BYTES,
        expression="ST_AsBinary({0})" if column.base_type in GEOMETRY else "{0}",
        max_bytes=None,
        note="hex" if hexadecimal else "",
    )


def _bit(column: Column) -> Reading:
    bits = read_length(column) or 1
    if bits > _BIGINT_BITS:
        return Reading(typed(column, "number"), expression="{0}+0")
    return Reading(typed(column, "integer") | {"minimum": 0, "maximum": 2**bits - 1}, expression="{0}+0")


def _mend_boolean(text: str, odd: Counter[str]) -> str:
    """In JSON an odd number comes behind the word of `_boolean`, in CSV as itself."""
    if text in {"0", "1", "false", "true"}:
        return text
    odd[ODD_BOOLEAN] += 1
    return "true" if text.startswith(_ODD) else "1"


def _mend_moment(keep_sentinel: bool, text: str, odd: Counter[str]) -> str | None:  # noqa: FBT001 - bound by partial
    """Return the text of a date or moment; None where the calendar has no such day, or the user wants no sentinel."""
    day = text[:10]
    if not is_calendar_day(day):
        odd[ZERO_DATE] += 1
        return None
    if day == _SENTINEL and not keep_sentinel:
        odd[SENTINEL_DATE] += 1
        return None
    return text


def _mend_time_of_day(text: str, odd: Counter[str]) -> str | None:
    if _TIME_OF_DAY.fullmatch(text):
        return text
    odd[ODD_TIME] += 1
    return None
