"""What a SCHEMA message says of a stream: frozen, and free of any dialect (pure).

Other taps give JSON Schema. tap-opendental adds facts under `x-opendental`, which other targets ignore: at the root the
whole table, how values are written and where the tap starts; on each property the facts of its column. Stream maps may
drop what stands at the root, never what stands on a property that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FACTS = "x-opendental"
DELETED_AT = "_sdc_deleted_at"


@dataclass(frozen=True)
class Field:
    """A property that is sent. `column` are the facts of the source's column (the shape of the tap's `Column`)."""

    name: str
    schema: Mapping[str, Any]
    column: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Start:
    """Where the tap starts: after the save `serial` of a state of `lineage`, or before any of it (serial 0).

    `version` is that of a table which was being read whole when the last run ended, and which is gone on with behind
    rows that went out before; None where all rows of each version come in this run.
    `bookmark` is the stream's whole entry in the state that the run started from, and `stream` its name there, if it is
    told: stream maps may give it another one.
    """

    lineage: str
    serial: int
    version: int | None = None
    bookmark: Mapping[str, Any] = field(default_factory=dict)
    stream: str | None = None


@dataclass(frozen=True)
class StreamFacts:
    """A stream as its SCHEMA message has it.

    `fields` are in the message's order, `key` names of properties. `table` are the facts of the whole table (the shape
    of the tap's `Table.to_dict()`), columns that are not sent included; None of other taps. `is_exact` says that every
    value is the source's own text (the tap's `values: exact`).
    """

    stream: str
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()
    table: Mapping[str, Any] | None = None
    is_exact: bool = False
    start: Start | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The properties' names, in order."""
        return tuple(each.name for each in self.fields)

    @property
    def is_renamed(self) -> bool:
        """True where a stream map has given the stream another name than the one that the tap knows it by."""
        return self.start is not None and self.start.stream not in {None, self.stream}


def read_schema_message(message: Mapping[str, Any]) -> StreamFacts:
    """Read a SCHEMA message; KeyError, TypeError or ValueError where it is none."""
    schema = _mapping(message["schema"])
    root = _facts(schema)
    properties = {str(name): _mapping(each) for name, each in _mapping(schema["properties"]).items()}
    fields = tuple(_read_field(name, each) for name, each in properties.items() if name != DELETED_AT)
    announced = [root.get("start"), *(_facts(each).get("start") for each in properties.values())]
    return StreamFacts(
        stream=_text(message["stream"]),
        fields=fields,
        key=tuple(_text(name) for name in message.get("key_properties") or ()),
        table=_mapping(root["table"]) if root.get("table") is not None else None,
        is_exact=root.get("values") == "exact",
        start=next((_read_start(_mapping(each)) for each in announced if each is not None), None),
    )


def _read_field(name: str, schema: Mapping[str, Any]) -> Field:
    column = _facts(schema).get("column")
    return Field(name, schema, None if column is None else _mapping(column))


def _read_start(start: Mapping[str, Any]) -> Start:
    version = start.get("version")
    return Start(
        lineage=_text(start["lineage"]),
        serial=_number(start["serial"]),
        version=None if version is None else _number(version),
        bookmark=_mapping(start.get("bookmark") or {}),
        stream=None if start.get("stream") is None else _text(start["stream"]),
    )


def _facts(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(schema.get(FACTS) or {})


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(type(value).__name__)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError(type(value).__name__)
    return value
