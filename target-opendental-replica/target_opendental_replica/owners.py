"""Whose table is it: two streams that write one would replace each other's rows (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field

from target_opendental_replica.errors import ConfigError


@dataclass(frozen=True)
class Owners:
    """The streams of one run, by the table that each writes; sessions of several threads share it."""

    _streams: dict[str, str] = field(default_factory=dict)

    def require(self, stream: str, table: str, remembered: str | None) -> None:
        """Give a table to its first stream; ConfigError where another one has it, in this run or as is `remembered`."""
        way_out = "give one of the two another name in stream_maps (`__alias__`)"
        if remembered is not None:
            raise ConfigError(
                f"stream {stream}: table {table} is that of stream {remembered}, which was loaded before: {way_out}; "
                f"if {remembered} is called {stream} from now on, write that into column stream of _od_tables and "
                "_od_load_state"
            )
        owner = self._streams.setdefault(table, stream)
        if owner != stream:
            raise ConfigError(f"stream {stream}: table {table} is that of stream {owner} in this run: {way_out}")
