"""What the state remembers of a stream, and what a run makes of it (pure).

Meltano keeps it under `bookmarks.<stream>`, with `replication_key` and `replication_key_value` as in any tap. All keys
are always written: `--state-strategy merge` would keep one that is left out. Only text, whole numbers and lists, since
a float in a state stops the SDK's targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_opendental.drift import Structure
from tap_opendental.errors import StateError
from tap_opendental.extraction.pages import Place
from tap_opendental.extraction.table_state import Looks
from tap_opendental.extraction.witnesses import Witness, Witnesses
from tap_opendental.identity import Identity
from tap_opendental.moments import parse_moment

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 3
REPAIR = "look at it with `meltano state get`, repair it with `meltano state set`, or clear it to read everything again"

Cursor = str | int
Buckets = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Pass:
    """A walk over a table that has begun: where it is, and what its end will need.

    `since` is the cursor from which it reads, None for all rows. `watermark` was taken before its first row, `largest`
    is the largest cursor so far; the bookmark will be the smaller of both. `version` is that of ACTIVATE_VERSION, where
    the pass ends with one. `looks` is what the table looked like before the first row, `witnesses` are its newest rows
    so far. `sent` identifies the columns, `source` the server: a pass is gone on with only while both are the same.
    """

    sent: str
    place: Place
    source: Identity | None = None
    since: Cursor | None = None
    watermark: str | None = None
    largest: Cursor | None = None
    version: int | None = None
    fingerprint: str | None = None
    looks: Looks | None = None
    witnesses: Witnesses = ()

    @property
    def reached(self) -> Cursor | None:
        """The smaller of the largest cursor and the watermark; None when no row had a cursor."""
        if isinstance(self.largest, str) and self.watermark is not None:
            return min(self.largest, self.watermark)
        return self.largest

    def to_state(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "sent": self.sent,
            "source": self.source.to_state() if self.source else None,
            **self.place.to_state(),
            "since": self.since,
            "watermark": self.watermark,
            "largest": self.largest,
            "version": self.version,
            "fingerprint": self.fingerprint,
            "table": self.looks.to_state() if self.looks else None,
            "witnesses": [witness.to_state() for witness in self.witnesses],
        }

    @classmethod
    def from_state(cls, value: Mapping[str, Any]) -> Pass:
        """Read what `to_state` wrote; KeyError, TypeError or ValueError of anything else."""
        return cls(
            sent=_text(value["sent"]),
            place=Place.from_state(dict(value)),
            source=_identity(value["source"]),
            since=_cursor(value["since"]),
            watermark=_moment(value["watermark"]),
            largest=_cursor(value["largest"]),
            version=None if value["version"] is None else _number(value["version"]),
            fingerprint=_optional_text(value["fingerprint"]),
            looks=_looks(value["table"]),
            witnesses=_witnesses(value["witnesses"]),
        )


@dataclass(frozen=True)
class Bookmark:
    """A stream's entry in the state.

    `value` is a moment as ISO 8601 text, or the key of an append-only table. `source` is where it came from,
    `structure` what was sent last, `fingerprint` the table's when it was last read whole or caught up with, `looks`
    what else it looked like then; `overlap` is a digest of the rows that the next run reads again, and `witnesses` are
    the newest rows. `unfinished` is a pass that was cut short, `version` the last one that a target was told to
    activate.
    """

    key: str | None = None
    value: Cursor | None = None
    source: Identity | None = None
    structure: Structure | None = None
    fingerprint: str | None = None
    looks: Looks | None = None
    overlap: Buckets = ()
    witnesses: Witnesses = ()
    unfinished: Pass | None = None
    version: int | None = None

    @property
    def is_new(self) -> bool:
        """True when no run has finished the stream."""
        return self.structure is None

    def find_foreign(self, here: Identity) -> Identity | None:
        """Another source than `here`, of which the target may hold rows; None when all are from here.

        Of a pass that was begun elsewhere some rows went out, though no bookmark says so yet.
        """
        sources = (self.source, self.unfinished.source if self.unfinished else None)
        return next((source for source in sources if source not in (None, here)), None)

    def to_state(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "format": FORMAT,
            "replication_key": self.key,
            "replication_key_value": self.value,
            "source": self.source.to_state() if self.source else None,
            "schema": self.structure.to_state() if self.structure else None,
            "fingerprint": self.fingerprint,
            "table": self.looks.to_state() if self.looks else None,
            "overlap": [[*pair] for pair in self.overlap],
            "witnesses": [witness.to_state() for witness in self.witnesses],
            "position": self.unfinished.to_state() if self.unfinished else None,
            "version": self.version,
        }

    @classmethod
    def from_state(cls, stream: str, value: object) -> Bookmark:
        """Read an entry; StateError names the stream. To pass over what cannot be read is a silent restart."""
        try:
            return _read(_mapping(value))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise StateError(f"state: the bookmark of stream {stream} cannot be read; {REPAIR}") from None


def read_bookmarks(state: Mapping[str, Any]) -> dict[str, Bookmark]:
    """Read the bookmarks of a state by stream; StateError when it is not a tap's."""
    entries = state.get("bookmarks", {})
    if not isinstance(entries, dict):
        raise StateError(f"state: `bookmarks` must be an object; {REPAIR}")
    return {stream: Bookmark.from_state(stream, entry) for stream, entry in entries.items()}


def check_state(state: Mapping[str, Any]) -> None:
    """Refuse a state that is not a tap's; StateError names the stream."""
    read_bookmarks(state)


def _read(entry: Mapping[str, Any]) -> Bookmark:
    if entry.get("format", FORMAT) != FORMAT:
        raise ValueError("format")
    source, schema, position = entry.get("source"), entry.get("schema"), entry.get("position")
    key = _optional_text(entry.get("replication_key"))
    value, witnesses = _cursor(entry.get("replication_key_value")), _witnesses(entry.get("witnesses", []))
    if value is None and witnesses:
        raise ValueError("replication_key_value")  # rows with a cursor were read, so it was there
    return Bookmark(
        key=key,
        value=value,
        source=_identity(source),
        structure=None if schema is None else _structure(schema),
        fingerprint=_optional_text(entry.get("fingerprint")),
        looks=_looks(entry.get("table")),
        overlap=_buckets(entry.get("overlap", [])),
        witnesses=witnesses,
        unfinished=None if position is None else Pass.from_state(_mapping(position)),
        version=None if entry.get("version") is None else _number(entry["version"]),
    )


def _structure(value: object) -> Structure:
    structure = Structure.from_state(value)
    if structure is None or structure.to_state() != value:
        raise ValueError("schema")
    return structure


def _identity(value: object) -> Identity | None:
    return None if value is None else Identity.from_state({n: _text(part) for n, part in _mapping(value).items()})


def _buckets(value: object) -> Buckets:
    if not isinstance(value, list):
        raise TypeError(type(value).__name__)
    return tuple((_text(bucket), _text(digest)) for bucket, digest in value)


def _looks(value: object) -> Looks | None:
    return None if value is None else Looks.from_state(_mapping(value))


def _witnesses(value: object) -> Witnesses:
    if not isinstance(value, list):
        raise TypeError(type(value).__name__)
    return tuple(map(Witness.from_state, value))


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(type(value).__name__)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError(type(value).__name__)
    return value


def _moment(value: object) -> str | None:
    text = _optional_text(value)
    if text is not None:
        parse_moment(text)
    return text


def _cursor(value: object) -> Cursor | None:
    """A moment, the key of an append-only table, or none yet."""
    return value if type(value) is int else _moment(value)
