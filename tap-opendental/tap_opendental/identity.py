"""Which server and database rows come from: a bookmark belongs to them (pure)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Identity:
    """Which database it is: `server` is server_uuid, server_uid or, lacking both, server_id."""

    server: str
    host: str
    database: str

    def to_state(self) -> dict[str, str]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_state(cls, value: Mapping[str, Any]) -> Identity:
        """Read what `to_state` wrote; KeyError or TypeError of anything else."""
        return cls(str(value["server"]), str(value["host"]), str(value["database"]))
