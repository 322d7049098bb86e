"""STATE messages that wait until what came before them is committed, and what they may say then.

A state that goes out is never ahead of the rows: one of a stream that failed keeps that stream's bookmark where the
destination is.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_opendental_replica.positions import Position

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from target_opendental_replica.loading import Progress


@dataclass(frozen=True)
class PendingState:
    """A state, and what must be done before it may go out, beside what those before it wait for."""

    value: Mapping[str, Any]
    waits_for: Sequence[Future[None]]

    @property
    def is_ready(self) -> bool:
        """True when all of it is done, or failed."""
        return all(done.done() for done in self.waits_for)

    @property
    def is_committed(self) -> bool:
        """True when all of it, by now done or failed, is done."""
        return not any(done.exception() for done in self.waits_for)


def read_bookmarks(state: Mapping[str, Any]) -> dict[str, Position]:
    """The positions of a state's streams; of a state that has no bookmarks by stream, none."""
    bookmarks = state.get("bookmarks")
    entries = bookmarks.items() if isinstance(bookmarks, dict) else ()
    return {stream: Position.read(entry) for stream, entry in entries if isinstance(entry, dict)}


def hold_back(state: Mapping[str, Any], failed: Iterable[Progress]) -> dict[str, Any]:
    """Return the state with the bookmarks of failed streams where their rows are."""
    bookmarks = state.get("bookmarks")
    if not isinstance(bookmarks, dict):
        return dict(state)
    kept = {stream.origin: stream.saved for stream in failed if stream.origin in bookmarks and stream.saved is not None}
    return {**state, "bookmarks": {**bookmarks, **kept}}


def find_missing(
    bookmarks: Mapping[str, Position], held: Iterable[Position], sent: Collection[str]
) -> dict[str, Position]:
    """Streams that sent nothing in this run, and of which the destination lacks rows that the state stands behind.

    A lineage is one stream's own, whatever name it has at the destination.
    """
    serials: dict[str, int] = {}
    for position in held:
        serials[position.lineage] = min(position.serial, serials.get(position.lineage, position.serial))
    return {
        stream: position
        for stream, position in bookmarks.items()
        if stream not in sent and position.serial > serials.get(position.lineage, 0)
    }


def render_state(state: Mapping[str, Any]) -> str:
    """A state as a line; a fraction, which was read as Decimal, becomes a float again."""
    return json.dumps(state, default=_number)


def _number(value: Any) -> float:  # noqa: ANN401 - what json cannot write
    return float(value)


def write_line(text: str) -> None:
    """Write a line to standard output at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
