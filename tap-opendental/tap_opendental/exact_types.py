"""MySQL type to its exact reading: the source's own value, for a copy that is equal to the last bit (pure).

Nothing is mended, so nothing is counted: zero and partial dates are their text, booleans the stored number. What JSON
or its readers would bend (fractions, members of ENUM and SET, text that is no character of its set) goes as text, index
or bytes. docs/type-fidelity.md says how LOAD DATA stores each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from tap_opendental.discovery.model import Column

_NOTE = "exact"
_MOMENTS = frozenset({"date", "datetime", "timestamp", "time"})
_FRACTIONS = frozenset({"float", "double", "real", "decimal", "numeric"})
_MEMBERS = frozenset({"enum", "set"})
# A SET has up to 64 members: as many bits.
_SET_BITS, _MOST_MEMBERS = 64, 65_535


def choose_exact_reading(column: Column) -> Reading | None:
    """Choose how to read a column; None for a type that is not known here."""
    base = column.base_type
    if base in _MOMENTS:
        schema = typed(column, "string")
        return Reading(schema, Kind.PLAIN, max_bytes=MOMENT_BYTES, in_utc=base == "timestamp", note=_NOTE)
    if base in WORDS:  # IFNULL would make an address of the word NULL
        return Reading(typed(column, "string"), Kind.PLAIN, "CAST({0} AS CHAR)", max_bytes=MOMENT_BYTES, note=_NOTE)
    if base in BYTES or base in GEOMETRY:  # of a shape the server's own bytes, SRID and all
        return _bytes(column, "{0}")
    return _number(column) or _text(column)


def _number(column: Column) -> Reading | None:
    """Whole numbers bare; fractions as text, of which no reader of JSON makes another number, nor drops a sign."""
    base = column.base_type
    if base in _FRACTIONS:
        return Reading(typed(column, "string"), Kind.PLAIN, _write_fraction(column), note=_NOTE)
    if base in INTEGER_BITS:
        return _whole(column, INTEGER_BITS[base], "{0}+0" if _is_padded(column) else "{0}")
    if base == "year":
        return Reading(typed(column, "integer") | {"minimum": 0, "maximum": 2155}, expression="{0}+0", note=_NOTE)
    if base == "bit":
        return _whole(column, read_length(column) or 1, "{0}+0", unsigned=True)
    if base in _MEMBERS:  # a sum would take them for signed; an ENUM's invalid value, which looks empty, is 0
        bits = _SET_BITS if base == "set" else _MOST_MEMBERS.bit_length()
        return _whole(column, bits, "{0}|0", unsigned=True)
    return None


def _write_fraction(column: Column) -> str:
    """Text of a FLOAT has 6 digits, and that of a sum no sign of zero; a product is a DOUBLE and has both."""
    if column.base_type == "float":
        return "{0}*1e0"
    return "{0}+0" if _is_padded(column) else "{0}"


def _whole(column: Column, bits: int, expression: str, *, unsigned: bool = False) -> Reading:
    low, high = (0, 2**bits - 1) if unsigned or column.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return Reading(typed(column, "integer") | {"minimum": low, "maximum": high}, expression=expression, note=_NOTE)


def _is_padded(column: Column) -> bool:
    """True of a column that shows leading zeros, which are no part of the value."""
    return "zerofill" in column.type.lower()


def _text(column: Column) -> Reading | None:
    """Text as it is; that of sets which know bytes that are no character as its bytes, since those have no text."""
    if column.base_type not in TEXT:
        return None
    is_latin1 = (column.collation or "").startswith("latin1_")  # knows all 256 bytes, both ways
    if not (is_utf8(column) or is_latin1):
        return _bytes(column, "CONVERT({0} USING binary)")
    schema, longest = describe_text(column)
    expression = "CONVERT({0} USING utf8mb4)" if is_latin1 else "{0}"
    return Reading(schema, Kind.TEXT, expression, max_bytes=longest, note=_NOTE)


def _bytes(column: Column, expression: str) -> Reading:
    schema = typed(column, "string") | {"contentEncoding": "base64"}
    return Reading(schema, Kind.BYTES, expression, max_bytes=None, note=_NOTE)
