"""The Singer tap: settings in, streams out, one exit code for each kind of failure."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities

from tap_opendental.connector import plain_errors
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.tables_config import load_tables_config
from tap_opendental.errors import ConfigError, NothingSelectedError, OpenDentalError
from tap_opendental.planning import plan_tables
from tap_opendental.settings import PROPERTIES, Settings, describe_problem
from tap_opendental.source import Source
from tap_opendental.streams import TableStream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from singer_sdk.helpers.capabilities import CapabilitiesEnum


class TapOpenDental(Tap):
    """Reads an Open Dental database: exact values, incremental by proof, in pages that freeze nobody."""

    name = "tap-opendental"
    config_jsonschema: ClassVar[dict[str, Any]] = PROPERTIES.to_dict()
    dynamic_catalog = True
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        TapCapabilities.ACTIVATE_VERSION,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    _stop_signal: int | None = None

    @cached_property
    def settings(self) -> Settings:
        """The validated settings."""
        return Settings.from_config(self.config)

    @cached_property
    def source(self) -> Source:
        """The source that the settings name."""
        return Source(self.settings.address)

    def discover_streams(self) -> Sequence[TableStream]:
        """One stream per table that the settings ask for and the source has."""
        path = self.settings.tables_config
        configs = load_tables_config(path) if path else {}
        with plain_errors(self.settings.address):
            plans = plan_tables(self.source.discovery, load_knowledge(), self.settings, configs)
        return [TableStream(self, plan, self.source) for plan in plans]

    def sync_all(self) -> None:  # type: ignore[misc]  # marked final, yet the only place around a whole run
        """Sync every selected stream, then say what moved; NothingSelectedError when none is selected."""
        if not any(stream.selected for stream in self.streams.values()):
            raise NothingSelectedError(
                "no stream is selected, so nothing would be read: check the catalog, or `select` in meltano.yml"
            )
        try:
            super().sync_all()
            self._log_summary()
        finally:
            self.source.close()

    def stop_if_asked(self) -> None:
        """End the process between two pages when a signal asked for it, so that only whole lines were written."""
        if self._stop_signal is not None:
            raise SystemExit(128 + self._stop_signal)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's signature
        """Remember the signal: leaving from here could cut a line in half, and the SDK's exit code would be 0."""
        self.logger.warning("%s received: stopping after this page", signal.Signals(signum).name)
        self._stop_signal = signum

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        try:
            return super()._validate_config(raise_errors=raise_errors)
        except ConfigValidationError as error:
            raise ConfigError("; ".join(describe_problem(problem) for problem in error.errors)) from None

    def _log_summary(self) -> None:
        streams = [stream for stream in self.streams.values() if isinstance(stream, TableStream) and stream.selected]
        altered = sum((stream.altered for stream in streams), Counter[str]())
        incremental = [stream for stream in streams if stream.replication_key]
        self.logger.info(
            "Read %d rows: %d from %d incremental streams, the rest from %d full tables",
            sum(stream.rows_read for stream in streams),
            sum(stream.rows_read for stream in incremental),
            len(incremental),
            len(streams) - len(incremental),
        )
        for what, count in sorted(altered.items()):
            self.logger.info("%d %s", count, what)


def main() -> None:
    """Run the command line; our own errors end in one line on stderr and the exit code of their kind."""
    try:
        TapOpenDental.cli()
    except OpenDentalError as error:
        sys.stderr.write(f"{TapOpenDental.name}: error: {error}\n")
        sys.exit(error.exit_code)
