"""One column of `raw` in dbt's words: its PostgreSQL type and what its values mean (pure)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tap_opendental.discovery.model import Column
from tap_opendental.errors import UnknownTypeError
from tap_opendental.types import ReadingOptions, choose_reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_opendental.discovery.knowledge import KnownColumn
    from tap_opendental.discovery.table_config import ColumnOverride

    _Facts = Mapping[str, Any]

_INTEGERS = (("smallint", 2**15), ("integer", 2**31), ("bigint", 2**63))
_TEXT_FORMATS = {"date": "date", "date-time": "timestamp without time zone", "time": "time without time zone"}
_MEANINGS = {
    "ticks": "A duration in ticks of 100 ns.",
    "interval": "A duration: it may be negative or longer than a day.",
    "colour": "A signed ARGB colour.",
    "sentinel_date": "0001-01-01 means no date.",
    "large_text": "May be megabytes long.",
}


def find_raw_type(
    table: str, column: _Facts, known: KnownColumn | None, override: ColumnOverride | None = None
) -> str | None:
    """Name the PostgreSQL type that target-postgres gives the column; None when the tap cannot read its type.

    `override` is a person's word on the column, if any.
    """
    fact = Column(column["name"], column["type"], nullable=column["nullable"])
    try:
        schema = choose_reading(table, fact, known, ReadingOptions(), override).schema
    except UnknownTypeError:
        return None
    return name_postgres_type(schema)


def name_postgres_type(schema: Mapping[str, Any]) -> str:
    """The column that target-postgres 0.8.1 creates; as found in `raw` for every type of the sandbox."""
    kind = schema["type"][0]
    if kind == "integer":
        return next(name for name, top in _INTEGERS if schema["maximum"] < top)
    if kind == "string":
        return _TEXT_FORMATS.get(schema.get("format", ""), "text")
    return {"number": "numeric", "boolean": "boolean"}[kind]


def describe_column(column: _Facts, known: KnownColumn | None, raw_type: str | None) -> str:
    """Say what Open Dental makes of the column: its MySQL type first, then what its values mean."""
    return " ".join(_sentences(column, known, raw_type))


def _sentences(column: _Facts, known: KnownColumn | None, raw_type: str | None) -> Iterator[str]:
    base = Column(column["name"], column["type"]).base_type
    yield f"MySQL {column['type']}{'' if column['nullable'] else ' not null'}."
    if raw_type and (raw_type.startswith("timestamp") or raw_type == "date"):
        yield _describe_moment(base)
    if raw_type == "boolean":
        yield "True or false."
    elif "enum" in column["kinds"] or (known is not None and known.is_enum):
        yield _describe_enum(known)
    if base.endswith(("blob", "binary")):
        yield "Bytes, encoded as text."
    yield from (meaning for kind, meaning in _MEANINGS.items() if kind in column["kinds"])
    if "reference" in column["kinds"] and raw_type not in {None, "text"}:
        yield "0 means none."


def _describe_moment(base: str) -> str:
    clock = {"timestamp": "In UTC. ", "datetime": "The clinic's wall clock. "}.get(base, "")
    return f"{clock}Null where the source has a zero or partial date."


def _describe_enum(known: KnownColumn | None) -> str:
    if known is None or not known.enum_values:
        return "One of a list of the application."
    return f"{known.enum_name or 'One of'}: {', '.join(known.enum_values)}, in the order of their declaration."


def is_plain(*names: str) -> bool:
    """True for names that may stand in SQL's quotes, in a template and in a test's name: dbt escapes nowhere."""
    return all(re.fullmatch(r"[\w$]+", name) for name in names)


def escape_jinja(value: Any) -> Any:  # noqa: ANN401  # JSON
    """Let dbt take every text of a document as it stands: it renders names, descriptions and meta as templates."""
    if isinstance(value, dict):
        return {escape_jinja(key): escape_jinja(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [escape_jinja(inner) for inner in value]
    return re.sub(r"\{(?=[{%#])", "{{ '{' }}", value) if isinstance(value, str) else value
