"""What the state remembers of a stream, and what a run makes of it (pure).

Meltano keeps it under `bookmarks.<stream>`, with `replication_key` and `replication_key_value` as in any tap. All keys
are always written: `--state-strategy merge` would keep one that is left out. Only text, whole numbers and lists, since
a float in a state stops the SDK's targets.
"""

from __future__ import annotations

import re
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

FORMAT = 4
REPAIR = "look at it with `meltano state get`, repair it with `meltano state set`, or clear it to read everything again"

Cursor = str | int
Buckets = tuple[tuple[str, str], ...]
_LINEAGE = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Pass:
    """A walk over a table that has begun: where it is, and what its end will need.

    `since` is the cursor from which it reads, None for all rows. `watermark` was taken before its first row, `largest`
    is the largest cursor so far; the bookmark will be the smaller of both. `version` is that of ACTIVATE_VERSION, where
    the pass ends with one. `looks` is what the table looked like before the first row, `witnesses` are its newest rows
    so far. `sent` identifies the columns, `source` the server: a pass is gone on with only while both are the same.
    `key` are the properties of the primary key.
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
    key: tuple[str, ...] = ()

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
            "key": [*self.key],
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
            key=_texts(value["key"]),
        )


@dataclass(frozen=True)
class Stamp:
    """Which state an entry is of, and the how-manieth save: a destination that holds rows can tell if it has them all.

    `lineage` is 16 hex digits, made at random when a stream is first read, and kept. `serial` is our clock in
    microseconds since 1970 at the last save behind which rows may have gone out, above the one before whatever the
    clock says; 0 before the first.
    """

    lineage: str
    serial: int = 0

    def move(self, now: int) -> Stamp:
        """The stamp of the next save; `now` is the clock."""
        return Stamp(self.lineage, max(self.serial + 1, now))


@dataclass(frozen=True)
class Bookmark:
    """A stream's entry in the state.

    `value` is a moment as ISO 8601 text, or the key of an append-only table. `source` is where it came from,
    `structure` what was sent last, `fingerprint` the table's when it was last read whole or caught up with, `looks`
    what else it looked like then; `overlap` is a digest of the rows that the next run reads again, and `witnesses` are
    the newest rows. `unfinished` is a pass that was cut short, `version` the last one that a target was told to
    activate. `stamp` is of the save, None of an entry that somebody wrote by hand.
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
    stamp: Stamp | None = None

    @property
    def is_blank(self) -> bool:
        """True where the state says nothing of the stream."""
        return self == Bookmark()

    @property
    def is_new(self) -> bool:
        """True when no run has finished the stream."""
        return self.structure is None

    def stamp_with(self, lineage: str) -> Stamp:
        """The stamp to go on with: the entry's own, or one of a new lineage.

        An entry without a stamp is ahead of every destination, since nobody knows what it stands for.
        """
        return self.stamp or Stamp(lineage, 0 if self.is_blank else 1)

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
            "lineage": self.stamp.lineage if self.stamp else None,
            "serial": self.stamp.serial if self.stamp else None,
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


def require_kind(stream: str, bookmark: Bookmark, key: str | None, *, append_only: bool) -> None:
    """Refuse a bookmark by `key` whose value is not of that key's kind: StateError."""
    same_key = key is not None and bookmark.key == key
    if same_key and bookmark.value is not None and isinstance(bookmark.value, int) != append_only:
        raise StateError(f"state: the bookmark of stream {stream} is not one of {key}; {REPAIR}")


def _read(entry: Mapping[str, Any]) -> Bookmark:
    """Read an entry. One of nulls alone is as good as none: `meltano state merge` can write it, and cannot delete."""
    if all(value is None for value in entry.values()):
        return Bookmark()
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
        stamp=_stamp(entry.get("lineage"), entry.get("serial")),
    )


def _stamp(lineage: object, serial: object) -> Stamp | None:
    if lineage is None and serial is None:
        return None
    if not _LINEAGE.fullmatch(_text(lineage)) or _number(serial) < 0:
        raise ValueError("lineage")
    return Stamp(_text(lineage), _number(serial))


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


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(type(value).__name__)
    return tuple(map(_text, value))


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
