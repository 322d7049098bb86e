"""What SCHEMA says of a stream beside its JSON Schema, for a target that makes the same table again (pure).

It stands under one key, which no other target reads: at the root the table's facts, the columns that are not sent, how
values are written and where the tap starts; on each property the facts of its column. The start stands on a property as
well, since a stream map between tap and target may drop what stands at the root. The catalog has none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_opendental.extraction.pages import Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_opendental.bookmarks import Bookmark, Pass, Stamp

FACTS = "x-opendental"


@dataclass(frozen=True)
class Announcement:
    """Facts of one stream: `table` in the shape of `Table.to_dict()`, `sent` its columns' names by property.

    `is_exact` says that every value is the source's own text; `start` is what `describe_start` returns.
    """

    table: Mapping[str, Any]
    sent: Mapping[str, str]
    is_exact: bool
    start: Mapping[str, Any]


def describe_start(stream: str, stamp: Stamp, bookmark: Bookmark, unfinished: Pass | None) -> dict[str, Any]:
    """Say where the tap starts: at which save of which state, with its whole entry, empty of a new stream.

    `stream` is its name in the state, which a stream map does not change. `unfinished` is the pass that is gone on
    with, if there is one. `version` is that of a table which was being read whole when the last run ended, and of which
    the state stands behind a row: a target must have the rows before it. All rows of any other version come in this
    run.
    """
    entry = {} if bookmark.is_blank else bookmark.to_state()
    version = unfinished.version if unfinished and unfinished.place != Place("all") else None
    return {"stream": stream, "lineage": stamp.lineage, "serial": stamp.serial, "version": version, "bookmark": entry}


def announce(schema: Mapping[str, Any], key: Sequence[str] | None, told: Announcement) -> dict[str, Any]:
    """Return a SCHEMA message's JSON Schema with all facts in it."""
    columns = {column["name"]: column for column in told.table["columns"]}
    facts = {name: {"column": columns[told.sent[name]]} for name in schema["properties"]}
    sent = {told.sent[name] for name in schema["properties"]}
    root = {
        "table": told.table,
        "withheld": [name for name in columns if name not in sent],
        "values": "exact" if told.is_exact else "portable",
        "start": told.start,
    }
    return _attach(schema, root, _with_start(facts, key, told.start))


def announce_start(schema: Mapping[str, Any], key: Sequence[str] | None, start: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema with the start alone: what a stream map or flattening makes is no longer the table's."""
    facts: dict[str, dict[str, Any]] = {name: {} for name in schema["properties"]}
    return _attach(schema, {"start": start}, _with_start(facts, key, start))


def _with_start(
    facts: Mapping[str, Mapping[str, Any]], key: Sequence[str] | None, start: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    """Put the start on the first property of the key, which no stream map may drop; without a key, on the first."""
    first = next(iter([*(key or ()), *facts]), None)
    return {name: {**each, "start": start} if name == first else each for name, each in facts.items()}


def _attach(
    schema: Mapping[str, Any], root: Mapping[str, Any], facts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    properties = {
        name: {**each, FACTS: facts[name]} if facts[name] else each for name, each in schema["properties"].items()
    }
    return {**schema, "properties": properties, FACTS: root}
