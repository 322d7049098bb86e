"""Where a stream is: what the destination holds of it, against where the tap starts (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from target_opendental_replica.stream_facts import Start


@dataclass(frozen=True)
class Position:
    """A stream's entry of a STATE message, as it was committed together with the rows before it.

    `lineage` names the state that it is of (one per Meltano state and stream, made when the tap first reads it), and
    `serial` grows with every save: it is the tap's clock in microseconds since 1970. Of other taps both are empty.
    """

    lineage: str = ""
    serial: int = 0
    bookmark: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, bookmark: Mapping[str, Any]) -> Position:
        """Read an entry of a state; one of another tap is kept as it is, without lineage and serial."""
        lineage, serial = bookmark.get("lineage"), bookmark.get("serial")
        if isinstance(lineage, str) and type(serial) is int:
            return cls(lineage, serial, bookmark)
        return cls(bookmark=bookmark)


def is_ahead(start: Start, held: Position | None) -> bool:
    """True when the tap starts behind rows that the destination does not hold: `held` is its position, None for none.

    A start that is behind is fine: rows that are there already are merged again.
    """
    return start.serial > (held.serial if held else 0)


def void(held: Mapping[tuple[str, str], Position], gone: Collection[str]) -> dict[tuple[str, str], Position]:
    """Return what is held, by stream and lineage; of streams whose table is gone that is nothing."""
    return {key: Position(key[1]) if key[0] in gone else position for key, position in held.items()}
