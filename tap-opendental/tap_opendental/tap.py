"""The Singer tap: settings in, streams out, one exit code for each kind of failure."""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections import Counter
from contextlib import contextmanager
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar, NoReturn

from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities

from tap_opendental.bookmarks import Bookmark, check_state, read_bookmarks
from tap_opendental.discovery.knowledge import load_knowledge
from tap_opendental.discovery.tables_config import load_tables_file
from tap_opendental.errors import (
    ConfigError,
    ExitCode,
    NotFoundError,
    NothingSelectedError,
    OpenDentalError,
    PartialRunError,
    SchemaChangedError,
    StateError,
    TargetGoneError,
    describe_unexpected,
)
from tap_opendental.extraction.facts import read_table_states
from tap_opendental.extraction.pace import Pace, Throttle, follow_clock
from tap_opendental.extraction.watermark import Watermark
from tap_opendental.inputs import check_catalog, checked_file, read_config_file
from tap_opendental.locks import StreamLocks
from tap_opendental.planning import Inputs, plan_tables
from tap_opendental.records import buffer_stdout
from tap_opendental.settings import PROPERTIES, Settings, check_environment, describe_problem, drop_unset, find_unknown
from tap_opendental.source import Source
from tap_opendental.stopping import StopRequest, sleep_alert
from tap_opendental.streams import TableStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

    import click
    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.helpers.capabilities import CapabilitiesEnum

    from tap_opendental.batch_files import BatchFolder
    from tap_opendental.extraction.overlap import Reach
    from tap_opendental.extraction.table_state import TableState
    from tap_opendental.identity import Identity


# A STATE holds all bookmarks and costs Meltano 70 ms. One after each range, of a fifth of a second, took a quarter of
# the time of a load.
_OFTEN_SECONDS = 2
# The SDK tells at DEBUG what a stream map's filter returned for each row: a value of the row, where the filter is one.
logging.getLogger("singer_sdk.mapper").addFilter(lambda record: record.levelno > logging.DEBUG)


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
        PluginCapabilities.BATCH,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    def __init__(self, *args: Any, state: dict[str, Any] | None = None, **options: Any) -> None:  # noqa: ANN401 - the SDK's
        """Keep what the state remembers: streams are planned before the SDK loads it."""
        self._bookmarks = read_bookmarks(state or {})
        self._last_state = time.monotonic()
        self._stop = StopRequest()
        super().__init__(*args, state=state, **options)

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
        reviewed = load_tables_file(path).spelled_as(self.source.discovery.discover_all_tables()) if path else None
        remembered = {name: bookmark.structure for name, bookmark in self._bookmarks.items() if bookmark.structure}
        inputs = Inputs(self.source.discovery, load_knowledge(), self.settings, reviewed, remembered)
        return [TableStream(self, plan, self._bookmarks.get(plan.name, Bookmark())) for plan in plan_tables(inputs)]

    # --- what streams share in a run ---------------------------------------------------------------------------------

    @property
    def identity(self) -> Identity:
        """Which server and database the rows come from."""
        return self.source.session.identity

    @cached_property
    def foreign_streams(self) -> frozenset[str]:
        """Streams whose bookmark is of another server or database, unless the user said that it is the same."""
        if self.settings.on_foreign_state == "adopt":
            return frozenset()
        return frozenset(
            name  # a table that is gone leaves its bookmark in the state for ever
            for name, bookmark in self._bookmarks.items()
            if name in self.streams and self.streams[name].selected and bookmark.find_foreign(self.identity)
        )

    @cached_property
    def table_states(self) -> Mapping[str, TableState]:
        """What every table looked like at the begin of the run; only asked where a state can be compared with it."""
        return read_table_states(self.source) if self._bookmarks else {}

    @cached_property
    def watermark(self) -> Watermark:
        """The moment before which everything is surely visible."""
        return Watermark(self.settings.watermark_function)

    @cached_property
    def reach(self) -> Reach:
        """How far before their bookmarks streams are read again."""
        return self.settings.reach

    @cached_property
    def locks(self) -> StreamLocks:
        """One lock for each stream and lock_name."""
        settings = self.settings
        return StreamLocks(settings.address, settings.lock_name, settings.lock_wait_seconds, self.stop_if_asked)

    @cached_property
    def _throttle(self) -> Throttle:
        return Throttle(self.settings.pace, follow_clock(self.source.session.local), sleep=self._sleep)

    def new_pace(self, rows: int, row_bytes: int) -> Pace:
        """The pace of a stream, throttled together with all others."""
        return Pace(self.settings.pace, rows, row_bytes, self._throttle)

    def _sleep(self, seconds: float) -> None:
        sleep_alert(seconds, self.stop_if_asked)

    def is_state_due(self, *, often: bool = False) -> bool:
        """True when the last STATE is so long ago that the next is worth its size: it holds all bookmarks.

        `often` is for large tables, of which less is to be read again after a kill.
        """
        interval = self.settings.state_interval_seconds
        return time.monotonic() - self._last_state >= (min(interval, _OFTEN_SECONDS) if often else interval)

    def write_state(self) -> None:
        """Write a STATE message."""
        self.state_writer.write_state(self.state)
        self._last_state = time.monotonic()

    def batch_folder(self, batch_config: BatchConfig) -> BatchFolder:
        """The run's private folder for files, made when the first one is needed."""
        if self._batch_folder is None:
            from tap_opendental.batch_files import BatchFolder  # noqa: PLC0415 - most runs need none

            self._batch_folder = BatchFolder(batch_config.storage.root)
        return self._batch_folder

    _batch_folder: BatchFolder | None = None

    def setup_mapper(self) -> None:
        """Apply the catalog to the streams first: what they do not send must not be declared."""
        _ = self.streams
        super().setup_mapper()

    def sync_all(self) -> None:  # type: ignore[misc]  # marked final, yet the only place around a whole run
        """Sync every selected stream, then say what moved; NothingSelectedError when none is selected."""
        wanted = [stream for stream in self.streams.values() if isinstance(stream, TableStream) and stream.selected]
        if not wanted:
            raise NothingSelectedError(
                "no stream is selected, so nothing would be read: check the catalog, or `select` in meltano.yml"
            )
        self._require_catalog_streams()
        self._require_own_state()
        for stream in wanted:
            stream.check_bookmark()  # refused before any row is read
            stream.selected = not (stream.refusal or stream.misfit)
        try:
            with self._target_watched():
                self._sync_to_its_end()
        finally:
            self._close()
        self._finish(wanted)

    def _sync_to_its_end(self) -> None:
        try:
            super().sync_all()
        except (OpenDentalError, SystemExit):
            self.write_state()  # it holds no more than what went out
            raise
        self.write_state()
        self._log_summary()

    @contextmanager
    def _target_watched(self) -> Iterator[None]:
        """Raise TargetGoneError when nobody reads the tap's lines any more, unless a signal ended both."""
        try:
            yield
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more at its end
            self.stop_if_asked()
            raise TargetGoneError(
                "the target ended before the tap was done: its own lines say why; run again once that is mended"
            ) from None

    def _close(self) -> None:
        if self._batch_folder is not None:
            self._batch_folder.close()
        self.locks.close()
        self.source.close()

    def _finish(self, wanted: Sequence[TableStream]) -> None:
        """End as all streams did; with partial_exit ok, what only some streams lack is told and passed over."""
        lacking = [stream for stream in wanted if stream.failure or stream.misfit or stream.refusal]
        try:
            _require_all_read(wanted)
        except OpenDentalError as error:
            if not self.settings.partial_is_ok or len(lacking) == len(wanted):
                raise
            self.logger.error("%s (partial_exit is ok: the run ends with 0)", error)  # noqa: TRY400 - one line, no stack

    def _require_own_state(self) -> None:
        """Refuse the state of another server or database: to go on would mix two practices' rows.

        A stream that is being read anew already was allowed to.
        """
        foreign = [name for name in sorted(self.foreign_streams) if not self._is_begun_here(name)]
        if not foreign or self.settings.on_foreign_state == "rebase":
            return
        now = self.identity
        before = self._bookmarks[foreign[0]].find_foreign(now)
        raise StateError(
            f"state: the bookmarks of {len(foreign)} streams, {foreign[0]} among them, are of another database "
            f"({_tell(before)}, and this is {_tell(now)}); if it is the same one under a new name, run once with "
            "on_foreign_state: adopt; to replace what the target holds by these rows, with on_foreign_state: rebase"
        )

    def run_connection_test(self) -> bool:  # type: ignore[misc]  # marked final, as above
        """Read a row of every stream that a run would read (`--test`), and end as a run would."""
        wanted = [stream for stream in self.streams.values() if isinstance(stream, TableStream)]
        readable = [stream for stream in wanted if not (stream.refusal or stream.misfit)]
        passed = self.run_sync_dry_run(dry_run_record_limit=1, streams=readable)
        _require_all_read(wanted)
        return passed

    def _is_begun_here(self, stream: str) -> bool:
        unfinished = self._bookmarks[stream].unfinished
        return unfinished is not None and unfinished.source == self.identity

    def load_state(self, state: dict[str, Any]) -> None:
        """Take bookmarks that can be read, and refuse the rest: StateError names the stream."""
        read_bookmarks(state)
        super().load_state(state)

    def _require_catalog_streams(self) -> None:
        """Refuse a catalog that selects what is not there: the SDK would pass over it in silence."""
        roots = {name: entry.metadata.get(()) for name, entry in (self.input_catalog or {}).items()}
        missing = [name for name, root in roots.items() if root and root.selected and name not in self.streams]
        if missing:
            raise NotFoundError(
                f"the catalog selects {', '.join(missing)}: not in the database, or left out by the settings; "
                "make a new catalog with --discover"
            )

    def stop_if_asked(self) -> None:
        """End the run when a signal asked for it; called between two pages, where only whole lines were written."""
        if self._stop.signal_name:
            self.logger.warning("%s received: the run ends here, and the next one goes on", self._stop.signal_name)
            raise SystemExit(self._stop.exit_code)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's signature
        """Note the signal: leaving from here could cut a line in half, and the SDK's exit code would be 0.

        Not even a line is logged: this may interrupt a line that is being logged, or wait for who reads the log.
        """
        self._stop.note(signum)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        self._config = drop_unset(self._config)
        try:
            problems = super()._validate_config(raise_errors=raise_errors)
        except ConfigValidationError as error:
            raise ConfigError("; ".join(describe_problem(problem) for problem in error.errors)) from None
        for unknown in find_unknown(self._config, self.config_jsonschema["properties"]):
            self.logger.warning("%s", unknown)
        return problems

    def _log_summary(self) -> None:
        streams = [stream for stream in self.streams.values() if isinstance(stream, TableStream) and stream.selected]
        altered = sum((stream.altered for stream in streams), Counter[str]())
        incremental = [stream for stream in streams if stream.replication_key]
        self.logger.info(
            "Read %d rows: %d from incremental streams (%d), the rest from full tables (%d); unchanged streams: %d",
            sum(stream.rows_read for stream in streams),
            sum(stream.rows_read for stream in incremental),
            len(incremental),
            len(streams) - len(incremental),
            sum(stream.is_unchanged for stream in streams),
        )
        if incremental and not self.watermark.sees_open_work:
            self.logger.info(
                "The user may not see running transactions (PROCESS, or watermark_function): rows that commit late are "
                "found if that takes less than overlap_seconds"
            )
        for what, count in sorted(altered.items()):
            self.logger.info("%d %s", count, what)

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:  # noqa: ANN401 - the SDK's
        """Check each config file before the SDK reads it."""
        for path in value:
            if path == "ENV":
                check_environment(os.environ, cls.config_jsonschema["properties"])
            else:
                read_config_file(path)
        return super().cb_config(ctx, param, value)

    @classmethod
    def invoke(cls, *, state: IO[str] | None = None, catalog: IO[str] | None = None, **options: Any) -> None:  # noqa: ANN401 - the SDK's
        """Run from the command line; state and catalog are checked before the SDK reads them."""
        super().invoke(
            state=checked_file(state, "state", check_state, StateError),
            catalog=checked_file(catalog, "catalog", check_catalog, ConfigError),
            **options,
        )


def main() -> None:
    """Run the command line; every failure ends in one line on stderr and the exit code of its kind.

    Of an error that is not ours, only its type and place are told: its text may quote a row's value (a stream map's
    `int(LName)` does). With TAP_OPENDENTAL_LOGLEVEL=DEBUG the stack follows, still without the text.
    """
    buffer_stdout()
    try:
        TapOpenDental.cli()
    except OpenDentalError as error:
        _fail(str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last resort of the process
        line, stack = describe_unexpected(error)
        TapOpenDental.logger.debug("%s", stack)
        _fail(line, ExitCode.UNEXPECTED)
    finally:
        gc.freeze()  # Python would look for cycles among all modules once more at its end: 0.2 s of each run


def _require_all_read(wanted: Sequence[TableStream]) -> None:
    """Name every stream that failed or was not read, once the others are done.

    Raises a lone stream's own error; ConfigError or SchemaChangedError where all that is amiss is of that kind;
    PartialRunError else.
    """
    failures = {stream.name: stream.failure for stream in wanted if stream.failure}
    if failures and len(failures) == len(wanted):
        raise next(iter(failures.values()))
    unread = [*_tell_misfits(wanted), *_tell_refusals(wanted)]
    problems = [*_tell_failures(failures, len(wanted), others="" if unread else ", the others are whole"), *unread]
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise PartialRunError("; ".join(map(str, problems)))


def _tell_failures(failures: Mapping[str, OpenDentalError], wanted: int, others: str) -> list[OpenDentalError]:
    told = "; ".join(f"{name} ({error})" for name, error in failures.items())
    what = f"{len(failures)} of {wanted} streams failed{others}: {told}"
    return [PartialRunError(what)] if failures else []


def _tell_misfits(wanted: Sequence[TableStream]) -> list[OpenDentalError]:
    misfits = [stream.misfit for stream in wanted if stream.misfit]
    told = "; ".join(misfits)
    what = f"tables.yml does not fit, and {len(misfits)} of {len(wanted)} streams were not read: {told}"
    return [ConfigError(what)] if misfits else []


def _tell_refusals(wanted: Sequence[TableStream]) -> list[OpenDentalError]:
    refused = [f"{stream.name} ({stream.refusal})" for stream in wanted if stream.refusal and not stream.misfit]
    what = (
        f"{len(refused)} of {len(wanted)} streams changed and were not read, as on_schema_change says: "
        f"{'; '.join(refused)}; run `opendental analyze`, review tables.yml, and run again "
        "(without a tables.yml: run once with on_schema_change evolve)"
    )
    return [SchemaChangedError(what)] if refused else []


def _tell(identity: Identity | None) -> str:
    return f"{identity.database} on {identity.host}, server {identity.server}" if identity else "unknown"


def _fail(message: str, code: ExitCode) -> NoReturn:
    sys.stderr.write(f"{TapOpenDental.name}: error: {message}\n")
    sys.exit(code)
