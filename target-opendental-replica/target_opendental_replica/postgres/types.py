"""JSON Schema to PostgreSQL type as target-postgres 0.8.1 has it, and what becomes of a type that changes (pure).

A type is PostgreSQL's own spelling of it (`format_type`): `bigint`, `numeric(10,2)`, `timestamp without time zone`,
`text[]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

TEXT, JSONB, NUMERIC, BOOLEAN = "text", "jsonb", "numeric", "boolean"
DATE, TIMESTAMP, TIME, UUID = "date", "timestamp without time zone", "time without time zone", "uuid"
INTEGERS = ("smallint", "integer", "bigint")
FLOATS = ("real", "double precision")

_FORMATS = {
    "date-time": TIMESTAMP,
    "time": TIME,
    "date": DATE,
    "uuid": UUID,
    "email": TEXT,
    "uri": TEXT,
    "hostname": TEXT,
    "ipv4": TEXT,
    "ipv6": TEXT,
}
_ANNOTATED = {"smallint": "smallint", "integer": "integer", "bigint": "bigint", "pgvector": "integer[]"}
# Which type holds a value of several JSON types, best first.
_PRECEDENCE = (JSONB, TEXT, NUMERIC, "bigint", BOOLEAN)
_MOST_DIGITS = 1000
_NUMERIC = re.compile(r"numeric(\(\d+,\d+\))?")
_WORDS = frozenset({TEXT, "character varying"})


def choose_type(schema: Mapping[str, Any]) -> str:
    """Return the type of the column that stock target-postgres makes for a property."""
    if chosen := _choose(schema):
        return chosen
    variants = [each for each in schema.get("anyOf") or () if each.get("type") != "null"]
    return next((chosen for each in variants if (chosen := _choose(each))), TEXT)


def unify(old: str, new: str) -> str:
    """Return the smallest type that holds the values of both: that of a column which had one and gets the other."""
    if old == new or _holds(old, new):
        return old
    if _holds(new, old):
        return new
    if is_number(old) and is_number(new):
        return NUMERIC
    return TEXT


def is_number(kind: str) -> bool:
    """True for a type of numbers."""
    return kind in INTEGERS or kind in FLOATS or _NUMERIC.fullmatch(kind) is not None


def _holds(wide: str, narrow: str) -> bool:
    if wide in _WORDS:
        return True
    if wide in INTEGERS:
        return narrow == BOOLEAN or narrow in INTEGERS[: INTEGERS.index(wide)]
    if wide == NUMERIC:
        return narrow == BOOLEAN or is_number(narrow)
    moments = (DATE, TIMESTAMP, "timestamp with time zone")
    return wide in moments and narrow in moments[: moments.index(wide)]


def _choose(schema: Mapping[str, Any]) -> str | None:
    if annotated := _ANNOTATED.get(str(schema.get("x-sql-datatype"))):
        return annotated
    kind = schema.get("type")
    if isinstance(kind, str):
        return _of_one(kind, schema)
    kinds = [each for each in kind or () if each != "null"]
    if len(kinds) > 1:
        return _of_many(kinds)
    return _of_one(kinds[0], schema) if kinds else None


def _of_one(kind: str, schema: Mapping[str, Any]) -> str | None:
    if kind == "string":
        return _of_string(schema)
    if kind == "integer":
        return _of_integer(schema)
    if kind == "array":
        return _of_array(schema)
    return {"number": NUMERIC, "boolean": BOOLEAN, "object": JSONB}.get(kind)


def _of_many(kinds: Sequence[str]) -> str:
    found = {_of_one(each, {}) for each in kinds}
    return next((each for each in _PRECEDENCE if each in found), TEXT)


def _of_string(schema: Mapping[str, Any]) -> str:
    if schema.get("format") == "x-singer.decimal":
        return _of_decimal(schema.get("precision"), schema.get("scale"))
    return _FORMATS.get(str(schema.get("format")), TEXT)


def _of_decimal(precision: object, scale: object) -> str:
    digits, places = (each if type(each) is int else 0 for each in (precision, scale))
    if not 0 < digits <= _MOST_DIGITS or not 0 <= places <= digits:
        return NUMERIC
    return f"numeric({digits},{places})"


def _of_integer(schema: Mapping[str, Any]) -> str:
    lowest, highest = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    for kind, bits in (("smallint", 15), ("integer", 31)):
        if lowest >= -(2**bits) and highest < 2**bits:
            return kind
    return "bigint"


def _of_array(schema: Mapping[str, Any]) -> str:
    items = schema.get("items")
    if isinstance(items, str):
        return f"{choose_type({'type': items})}[]"
    if isinstance(items, Mapping) and "type" in items:
        return f"{choose_type({'type': items['type']})}[]"
    return f"{JSONB}[]" if isinstance(items, Mapping | list) else JSONB
