"""Values of RECORD messages as CSV fields (pure): fast closures, which check and never guess."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

from target_opendental_replica.errors import UnfitError
from target_opendental_replica.mysql.columns import base_type, describe_column, facet, kinds_of
from target_opendental_replica.mysql.json_text import write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_opendental_replica.stream_facts import Field

_UTC = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:Z|\+00:00)?")
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ]00:00:00(?:\.0+)?(?:Z|\+00:00)?)?")
_CLOCK = re.compile(r"(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(?:Z|\+00:00)?")


def choose_renderer(field: Field) -> Callable[[object], str]:
    """Return what writes a value of the property's JSON into a CSV field; it raises UnfitError without the value."""
    kinds = kinds_of(field.schema)
    if kinds == {"string"}:
        return _choose_text(field)
    if kinds == {"integer"}:
        return _choose_whole(field)
    if kinds == {"boolean"}:
        return _write_boolean
    if kinds and kinds <= {"integer", "number"}:
        is_double = describe_column(field)["type"] == "double"
        return _write_double if is_double else _write_number
    return _write_any


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if '"' in text else f'"{text}"'


def _choose_text(field: Field) -> Callable[[object], str]:
    """A declared format is read where the column is of that kind; any other text stays as it is."""
    base, form = base_type(describe_column(field)), facet(field.schema, "format")
    return _FORMATS.get((str(form), base), _write_text)


def _write_text(value: object) -> str:
    if type(value) is str:
        return '"' + value.replace('"', '""') + '"' if '"' in value else f'"{value}"'
    if value is None:
        return "NULL"
    raise UnfitError(f"{_name(value)} where text is declared")


def _write_moment(value: object) -> str:
    """A moment as UTC without a zone; one without a zone stays as it is."""
    if value is None:
        return "NULL"
    text = _require_text(value)
    if plain := _UTC.fullmatch(text):
        return f"{plain[1]} {plain[2]}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnfitError("text that is no date-time") from None
    moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return moment.isoformat(sep=" ")


def _write_day(value: object) -> str:
    return _write_matching(value, _DAY, "date")


def _write_clock(value: object) -> str:
    return _write_matching(value, _CLOCK, "time")


def _write_matching(value: object, form: re.Pattern[str], what: str) -> str:
    if value is None:
        return "NULL"
    found = form.fullmatch(_require_text(value))
    if found is None:
        raise UnfitError(f"text that is no {what}")
    return found[1]


def _require_text(value: object) -> str:
    if type(value) is not str:
        raise UnfitError(f"{_name(value)} where text is declared")
    return value


def _choose_whole(field: Field) -> Callable[[object], str]:
    low, high = _bound(field, "minimum"), _bound(field, "maximum")

    def write(value: object) -> str:
        if type(value) is int and low <= value <= high:
            return str(value)
        if value is None:
            return "NULL"
        if type(value) is int:
            raise UnfitError("a number outside the declared range")
        if isinstance(value, Decimal | float) and value == int(value):
            return write(int(value))
        raise UnfitError(f"{_name(value)} where a whole number is declared")

    return write


def _bound(field: Field, name: str) -> Any:  # noqa: ANN401 - a number of any kind, or infinity
    value = facet(field.schema, name)
    return value if isinstance(value, int | float) else float("-inf" if name == "minimum" else "inf")


def _write_boolean(value: object) -> str:
    if value is None:
        return "NULL"
    if type(value) is not bool:
        raise UnfitError(f"{_name(value)} where true or false is declared")
    return "true" if value else "false"


def _write_number(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int | float | Decimal) and type(value) is not bool and isfinite(value):
        return str(value)
    raise UnfitError(f"{_name(value)} where a number is declared")


def _write_double(value: object) -> str:
    """A number that a DOUBLE holds with all its digits."""
    text = _write_number(value)
    if value is not None and not isinstance(value, float):
        double = float(text)
        if not isfinite(double) or Decimal(repr(double)) != Decimal(text):
            raise UnfitError("a number with more digits than DOUBLE has; declare its multipleOf, or x-sql-datatype")
    return text


def _write_any(value: object) -> str:
    """Text as it is, anything else as JSON."""
    if value is None:
        return "NULL"
    return _quote(value if type(value) is str else write_json(value))


def _name(value: object) -> str:
    return {"str": "text", "bool": "true or false", "dict": "an object", "list": "an array"}.get(
        type(value).__name__, "a number"
    )


_FORMATS = {
    ("date-time", "datetime"): _write_moment,
    ("date-time", "timestamp"): _write_moment,
    ("date", "date"): _write_day,
    ("time", "time"): _write_clock,
}
