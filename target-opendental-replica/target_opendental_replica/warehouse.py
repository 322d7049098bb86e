"""What a dialect must do for the target: the seam between the Singer side and the two databases.

Order of calls, per worker thread: `Session` is one connection. For each stream `open_stream`, then any number of `load`
and `activate`, with a `settle` after some of them. Nothing of a stream is visible to readers, or lasts, before `settle`
returns (but for what a docstring of the dialect says of MyISAM). After an error the session is closed and another one
made; whatever was not settled is loaded again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_opendental_replica.batches import Batch
    from target_opendental_replica.positions import Position
    from target_opendental_replica.stream_facts import Field, StreamFacts

PREFIX = "_od_"
"""Tables of our own begin with it; a source that has such a table is refused."""


@dataclass(frozen=True)
class Counts:
    """Rows by what became of them; a row that was sent and is the same is unchanged, and is not written."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Add up."""
        return Counts(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.deleted + other.deleted,
        )


class StreamLoader(Protocol):
    """One stream's table at the destination, while a run writes it."""

    held: Position | None
    """What `_od_load_state` has for the stream and the lineage of its start; None for nothing."""

    def load(self, batch: Batch) -> None:
        """Take a batch. Rows without a version, or of one that is or was the table's, are merged into it by key.

        Rows of a new version are gathered apart, whole table by whole table, over as many runs as it takes: those of
        another version that was never activated are dropped. Which one is new: see `versions`. Of a stream without key,
        rows are added.
        """

    def activate(self, version: int) -> None:
        """Make the gathered rows of that version the table; without any, the table is empty from now on.

        A version that is active already, or was replaced, changes nothing. Readers see the old rows or the new ones,
        never none or half.
        """

    def settle(self, position: Position | None) -> Counts:
        """Merge and commit all that was taken since the last `settle`, together with the position; count its rows."""

    def release(self) -> None:
        """Free the stream's lock, once all is settled: other runs may write it. The loader is not used any more."""


class Session(Protocol):
    """One connection. Errors are of `errors`, and hold no value of a row; RetriableError ones are worth another try."""

    def open_stream(self, facts: StreamFacts, notify: Callable[[str], None]) -> StreamLoader:
        """Lock the stream against other writers, make its table fit, and tell what was changed.

        Raises LockedError when another run writes the stream, SchemaRefusedError when the table cannot be made to fit,
        ConfigError when the table is another stream's, in this run or as is remembered of it,
        MissingRowsError when the start goes on with a version whose gathered rows are not here, or stands behind rows
        of a table that is gone: such a table is made again only for a tap that starts before everything.
        """

    def read_positions(self) -> Mapping[tuple[str, str], Position]:
        """Return all that `_od_load_state` holds, by stream and lineage."""

    def find_gone(self) -> Mapping[str, str]:
        """Return the streams whose table was made here and is gone, by name, with the table's name."""

    def save_position(self, stream: str, position: Position) -> None:
        """Save the position of a stream that is not open, and commit it."""

    def close(self) -> None:
        """Close the connection; the server rolls back what was not settled, and frees the locks."""


class Warehouse(Protocol):
    """A destination: what sessions have in common. Thread-safe."""

    def connect(self) -> Session:
        """Open a session, and make sure of what all streams need (`_od_load_state`)."""

    def render(self, field: Field) -> Callable[[object], str]:
        """Return what writes a value of that property's JSON into a CSV field: NULL is `NULL`, text is quoted.

        It raises UnfitError for a value that does not fit the property's schema, without the value in its text.
        """
