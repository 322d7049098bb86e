"""The SDK's stream without its own words: state, markers and ACTIVATE_VERSION are left to the stream's own steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk import Stream
from singer_sdk.helpers.conform import TypeConformanceLevel

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context, Record


class SilentStream(Stream):
    """Values leave the source in their final form, so the SDK's own conversion stays off."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    @property
    def rehearses(self) -> bool:
        """True in `--test`: a row or two are read, and neither lock nor state is touched."""
        return self.ABORT_AT_RECORD_COUNT is not None

    @property
    def emit_activate_version_messages(self) -> bool:
        """Full tables always say which version is whole: targets remove what is gone by it."""
        return True

    def _write_activate_version_message(self, full_table_version: int) -> None:
        """Keep the message back until the last row is out: sent first, a crash would leave an emptied table."""

    def activate(self, version: int) -> None:
        """Write the message."""
        super()._write_activate_version_message(version)

    # The SDK keeps its own markers in the state; a stream writes its whole entry itself.

    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """No signpost: the bookmark is capped at the watermark."""

    def _write_starting_replication_value(self, context: Context | None) -> None: ...

    def _increment_stream_state(self, latest_record: Record, *, context: Context | None = None) -> None: ...

    def _finalize_state(self, state: dict[str, Any] | None = None) -> None: ...

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """Do nothing: the bookmark moved when the last row was out."""

    def _write_state_message(self) -> None:
        """Leave STATE to the stream's own steps; `--test` shows the state as it was."""
        if self.rehearses:
            super()._write_state_message()

    def _process_record(self, *_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401
        """Skip the SDK's work for child streams: tables have none, and it copies a context for every row."""
