"""Values of JSON as fields of CSV, checked on the way: what runs once for each value of a RECORD stream (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from target_opendental_replica.errors import UnfitError
from target_opendental_replica.postgres import types

Render = Callable[[object], str]

_NULL = "NULL"
_NUL, _REPLACEMENT = "\0", "\ufffd"
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?"
_OFFSET = r"(Z|[+-]\d\d(:?\d\d(:?\d\d)?)?)"
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_UTC_MOMENT = re.compile(rf"\d{{4}}-\d\d-\d\d([T ]{_CLOCK}(Z|\+00:00)?)?", re.ASCII)
_TIME = re.compile(rf"{_CLOCK}{_OFFSET}?", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_FRACTION = re.compile(r"(?<=\.\d{6})\d+", re.ASCII)
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_BEYOND_BIGINT = 2**63
_JSON = msgspec.json.Encoder(decimal_format="number")


def choose_render(schema: Mapping[str, Any]) -> Render:
    """Return what writes a property's values as fields: NULL is `NULL`, text is quoted; UnfitError for what is neither.

    The column is the one that `types.choose_type` names.
    """
    kind = types.choose_type(schema)
    if kind == types.TEXT:
        return _text if _is_only_text(schema) else _any_text
    if kind.endswith("[]"):
        element = _ELEMENTS.get(kind[:-2], _json_element)
        return partial(_array_or_one if "anyOf" in schema else _array, element)
    if kind.startswith("numeric("):
        return _decimal
    if kind == types.NUMERIC:
        return _decimal if schema.get("format") else _number
    return _BY_TYPE[kind]


def _is_only_text(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return [each for each in ([kind] if isinstance(kind, str) else kind or ()) if each != "null"] == ["string"]


def _integer(value: object) -> str:
    if type(value) is int:
        return str(value)
    if value is None:
        return _NULL
    if isinstance(value, float | Decimal):
        with suppress(ArithmeticError):  # NaN
            if -_BEYOND_BIGINT < value < _BEYOND_BIGINT and value == int(value):
                return str(int(value))
    raise UnfitError("no integer")


def _number(value: object) -> str:
    if value is None:
        return _NULL
    if type(value) is int:
        return str(value)
    if type(value) is float or type(value) is Decimal:
        text = str(value)
        if text[-1].isdecimal():  # neither NaN nor Infinity
            return text
    raise UnfitError("no number")


def _decimal(value: object) -> str:
    if type(value) is str and _DECIMAL.fullmatch(value):
        return value
    return _number(value)


def _boolean(value: object) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return _NULL
    raise UnfitError("no boolean")


def _text(value: object) -> str:
    if type(value) is str:
        return _quote(value)
    if value is None:
        return _NULL
    raise UnfitError("no text")


def _quote(value: str) -> str:
    if not value.isascii():
        _encode(value)
    if _NUL in value:
        value = value.replace(_NUL, _REPLACEMENT)
    return '"' + value.replace('"', '""') + '"'


def _encode(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnfitError("half of a surrogate pair in text") from None


def _any_text(value: object) -> str:
    """Text of a column that takes values of several types, as stock casts them."""
    if type(value) is str:
        return _quote(value)
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return '"true"' if value else '"false"'
    if isinstance(value, dict | list):
        return _quote(_write_json(value))
    return f'"{_number(value)}"'


def _write_json(value: object) -> str:
    """JSON in a column of text, letter by letter as stock writes it: with blanks, and in ASCII."""
    spaced = msgspec.json.format(_encode_json(value), indent=0)
    return _BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], spaced)


def _moment(value: object) -> str:
    """A moment in UTC: COPY leaves out what it finds of an offset, for a column without time zone."""
    if type(value) is str:
        return value if _UTC_MOMENT.fullmatch(value) else _shift(value)
    if value is None:
        return _NULL
    raise UnfitError("no date-time")


def _shift(value: str) -> str:
    try:
        moment = datetime.fromisoformat(_FRACTION.sub("", value))
        return (moment.astimezone(UTC) if moment.tzinfo else moment).replace(tzinfo=None).isoformat()
    except (ValueError, OverflowError):
        raise UnfitError("no date-time") from None


def _matching(pattern: re.Pattern[str], what: str) -> Render:
    fullmatch = pattern.fullmatch

    def render(value: object) -> str:
        if type(value) is str and fullmatch(value):
            return value
        if value is None:
            return _NULL
        raise UnfitError(f"no {what}")

    return render


def _json(value: object) -> str:
    """JSON; null is JSON's own null, which is what stock writes."""
    return _quote(_encode_json(value))


def _encode_json(value: object) -> str:
    try:
        text = _JSON.encode(value).decode()
        return _JSON.encode(_mend(value)).decode() if "\\u0000" in text else text
    except OverflowError:
        return _JSON.encode(_mend(value)).decode()
    except UnicodeEncodeError:
        raise UnfitError("half of a surrogate pair in text") from None


def _mend(value: object) -> object:
    """Replace what jsonb does not hold (U+0000), and write integers beyond 64 bits in full."""
    if isinstance(value, str):
        return value.replace(_NUL, _REPLACEMENT)
    if isinstance(value, dict):
        return {_mend(name): _mend(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_mend(each) for each in value]
    return msgspec.Raw(str(value).encode()) if type(value) is int else value


def _array(element: Render, value: object) -> str:
    """Write an array literal."""
    if value is None:
        return _NULL
    if not isinstance(value, list):
        raise UnfitError("no array")
    return _quote("{" + ",".join(map(element, value)) + "}")


def _array_or_one(element: Render, value: object) -> str:
    """Where a schema allows a bare value beside arrays, it is an array of one; stock takes text apart by letters."""
    return _array(element, value if value is None or isinstance(value, list) else [value])


def _text_element(value: object) -> str:
    if value is None:
        return _NULL
    if type(value) is not str:
        raise UnfitError("no text in an array of text")
    return _escape_element(value)


def _json_element(value: object) -> str:
    return _escape_element(_encode_json(value))


def _escape_element(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_BY_TYPE: dict[str, Render] = {
    **dict.fromkeys(types.INTEGERS, _integer),
    types.BOOLEAN: _boolean,
    types.DATE: _matching(_DATE, "date"),
    types.TIMESTAMP: _moment,
    types.TIME: _matching(_TIME, "time"),
    types.UUID: _matching(_UUID, "UUID"),
    types.JSONB: _json,
}
_ELEMENTS: dict[str, Render] = {
    **dict.fromkeys(types.INTEGERS, _integer),
    types.BOOLEAN: _boolean,
    types.NUMERIC: _number,
    types.TEXT: _text_element,
}
