"""The Singer target: messages in, rows into the database, STATE out once they are committed."""

from __future__ import annotations

import os
import sys
from collections import Counter, deque
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar, NoReturn

from singer_sdk import Target
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError, RecordsWithoutSchemaException
from singer_sdk.helpers.capabilities import (
    ADD_RECORD_METADATA_CONFIG,
    FLATTENING_CONFIG,
    STREAM_MAPS_CONFIG,
    PluginCapabilities,
)
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform

from target_opendental_replica.errors import (
    BrokenStreamError,
    ConfigError,
    ExitCode,
    MissingRowsError,
    PartialLoadError,
    ReplicaError,
    counted,
    describe_gone,
    describe_partial,
    describe_unexpected,
    list_names,
    name_stream,
    printable,
)
from target_opendental_replica.loading import AHEAD
from target_opendental_replica.positions import void
from target_opendental_replica.reader import LineReader
from target_opendental_replica.rewinding import advise
from target_opendental_replica.settings import (
    PROPERTIES,
    Settings,
    check_config_files,
    check_environment,
    describe_problem,
    drop_unset,
    tell_unknown,
)
from target_opendental_replica.sinks import TableSink
from target_opendental_replica.states import (
    PendingState,
    find_missing,
    hold_back,
    read_bookmarks,
    render_state,
    write_line,
)
from target_opendental_replica.warehouse import Counts
from target_opendental_replica.workers import ENDS_ALL, Crew

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from types import FrameType

    import click
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.mapper import StreamMap

    from target_opendental_replica.loading import Progress
    from target_opendental_replica.positions import Position
    from target_opendental_replica.warehouse import Warehouse

_SIGNAL_BASE = 128


class UndeclaredStreamError(BrokenStreamError, RecordsWithoutSchemaException):
    """A message of a stream whose SCHEMA did not come."""


class TargetOpenDentalReplica(Target):
    """Writes an exact MySQL replica of an Open Dental database, or PostgreSQL's tables at bulk speed."""

    name = "target-opendental-replica"
    config_jsonschema: ClassVar[dict[str, Any]] = PROPERTIES.to_dict()
    default_sink_class = TableSink
    message_reader_class = LineReader
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.ACTIVATE_VERSION,
        PluginCapabilities.BATCH,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add those of the SDK's settings that do something here: records' metadata, stream maps and flattening."""
        for settings in (ADD_RECORD_METADATA_CONFIG, STREAM_MAPS_CONFIG, FLATTENING_CONFIG):
            for name, schema in settings["properties"].items():
                config_jsonschema["properties"].setdefault(name, schema)

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - the SDK's
        """Begin with nothing done."""
        self._pending: deque[PendingState] = deque()
        self._closed: list[Progress] = []
        self._bookmarks: dict[str, Position] = {}
        self._writes_state = False
        self._stopped_by: int | None = None
        self.gathered_bytes = 0
        self._removed: set[str] = set()
        super().__init__(*args, **options)

    @cached_property
    def settings(self) -> Settings:
        """The validated settings."""
        return Settings.from_config(self.config)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The destination, of the dialect that the settings name."""
        return open_warehouse(self.settings)

    @cached_property
    def crew(self) -> Crew:
        """The workers; the destination is asked what it holds first, so that one that does not answer ends the run."""
        crew = Crew(self.warehouse, self.settings, self.logger)
        self._gone = crew.find_gone()
        self._held = void(crew.read_positions(), self._gone)
        return crew

    @property
    def line(self) -> int:
        """The number of the line at hand."""
        return self.message_reader.line if isinstance(self.message_reader, LineReader) else 0

    # --- messages ----------------------------------------------------------------------------------------------------

    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        """Take a stream up; one that comes again with another schema is committed first."""
        stream = message_dict["stream"]
        if not isinstance(message_dict["schema"].get("properties"), dict):
            raise BrokenStreamError(f"line {self.line}: the SCHEMA of stream {stream} names no properties")
        _ = self.crew
        aliases = self._aliases(stream)
        known = {sink.stream_name: sink for sink in self._sinks() if sink.stream_name in aliases}
        try:
            super()._process_schema_message(message_dict)
        except MapExpressionError:
            raise ConfigError(
                f"line {self.line}: the stream map of {stream} holds an expression that is none"
            ) from None
        for name, sink in known.items():
            if self._sinks_active.get(name) is not sink:
                self._retire(sink)
        for stream_map, sink in self._routes(stream):
            start = sink.facts.start
            sink.progress.origin = start.stream if start and start.stream else stream
            if isinstance(stream_map, RemoveRecordTransform):
                del self._sinks_active[sink.stream_name]
                self._removed.add(sink.progress.origin)
        self._sinks_to_clear.clear()

    def _retire(self, sink: TableSink) -> None:
        """Commit what came by the schema before; the sink's own schema may be another one."""
        sink.finish()
        self._closed.append(sink.progress)

    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        """Take a record, through the stream's maps."""
        for stream_map, sink in self._routes(message_dict["stream"]):
            record = self._map(stream_map, message_dict)
            if record is not None:
                sink.take(message_dict, record)
        self._send_ready()

    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        """Take files."""
        version = message_dict.get("version")
        for stream_map, sink in self._routes(message_dict["stream"]):
            if not _passes_through(stream_map):
                raise ConfigError(
                    f"line {self.line}: the target's stream maps cannot change the files of stream "
                    f"{sink.stream_name}: set them on the tap, or let the tap send no BATCH"
                )
            sink.take_files(
                message_dict["encoding"].get("format", ""),
                message_dict["manifest"],
                version if type(version) is int else None,
            )
        self._send_ready()

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Make a version the table."""
        for _, sink in self._routes(message_dict["stream"]):
            sink.activate_version(message_dict["version"])

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        """Have everything committed that came before, and the state sent on after that."""
        _ = self.crew
        state = message_dict["value"]
        before, self._bookmarks = self._bookmarks, read_bookmarks(state)
        waits = []
        for sink in self._sinks():
            position = self._bookmarks.get(sink.progress.origin)
            if sink.is_dirty or (position is not None and position != before.get(sink.progress.origin)):
                waits.append(sink.settle(position))
        self._pending.append(PendingState(state, waits))
        self._send_states()

    def process_endofpipe(self) -> None:
        """Commit the rest, send the last state, and say what was done."""
        waits = [sink.finish() for sink in self._sinks() if sink.is_dirty or sink.is_postponed]
        for pending in [*self._pending]:
            _wait(pending.waits_for)
            self._send_states()
        _wait(waits)
        self._send_states()
        self._end_if_hopeless()
        missing = self._find_missing()
        self.crew.close()
        self._log_summary()
        self._raise_failures(missing)

    # --- states ------------------------------------------------------------------------------------------------------

    def process_lines(self, file_input: IO[str] | None) -> Counter[str]:  # type: ignore[misc]  # marked final
        """Process the input; however it ends, the states go out whose rows are committed."""
        try:
            return super().process_lines(file_input)
        except (ReplicaError, SystemExit):
            while self._pending and self._pending[0].is_ready and self._pending[0].is_committed:
                self._send(self._pending.popleft())
            raise

    def _send_ready(self) -> None:
        """Send a state as soon as its rows are committed: the next one may be long in coming."""
        if self._pending and self._pending[0].is_ready:
            self._send_states()

    def _send_states(self) -> None:
        """Send the newest state whose rows are committed; those before it have nothing to add.

        A failure ends no run before the state is out that was true until then.
        """
        newest: PendingState | None = None
        while self._pending and self._pending[0].is_ready:
            state = self._pending.popleft()
            if not state.is_committed:
                self._send(newest)
                newest = None
                self._end_if_hopeless()
            newest = state
        self._send(newest)
        self.crew.check()

    def _send(self, state: PendingState | None) -> None:
        if state is not None:
            self._write_state(hold_back(state.value, self._failed))

    def _write_state(self, state: Mapping[str, Any]) -> None:
        """Write a line that no signal can cut in half."""
        self._writes_state = True
        write_line(render_state(state))
        self._writes_state = False
        self._stop_if_asked()

    def _find_missing(self) -> dict[str, Position]:
        """Streams of the state that sent nothing, although the destination lacks rows of theirs."""
        sent = {progress.origin for progress in self._streams} | self._removed
        missing = find_missing(self._bookmarks, self._held.values(), sent)
        if not self.settings.adopts_missing_rows:
            return missing
        gone = {lineage for stream, lineage in self._held if stream in self._gone}
        for stream, position in missing.items():
            if position.lineage not in gone:
                self.crew.save_position(stream, position)
        return {stream: position for stream, position in missing.items() if position.lineage in gone}

    # --- failures ----------------------------------------------------------------------------------------------------

    @property
    def _streams(self) -> list[Progress]:
        return [*self._closed, *(sink.progress for sink in self._sinks())]

    @property
    def _failed(self) -> list[Progress]:
        return [stream for stream in self._streams if stream.failure is not None]

    def _end_if_hopeless(self) -> None:
        """End the run for a stream that failed and whose bookmark, of another tap, cannot be held back in the state."""
        for stream in self._failed:
            if stream.failure is not None and (stream.saved is None or isinstance(stream.failure, ENDS_ALL)):
                raise stream.failure

    def _raise_failures(self, missing: Mapping[str, Position]) -> None:
        """Name every stream that failed or lacks rows, once the others are done; a lone error comes out as it is."""
        failed = self._failed
        behind = [stream for stream in failed if isinstance(stream.failure, MissingRowsError)]
        others = [
            name_stream(stream.failure, stream.name) for stream in failed if stream.failure and stream not in behind
        ]
        errors = [*self._tell_behind(behind, missing), *others]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            unwell = {stream.name for stream in failed} | missing.keys()
            streams = {stream.name for stream in self._streams} | missing.keys()
            told = "; ".join(map(str, errors))
            raise PartialLoadError(f"{describe_partial(len(unwell), len(streams))}: {told}")

    def _tell_behind(self, behind: Sequence[Progress], missing: Mapping[str, Position]) -> list[ReplicaError]:
        """Say of which streams rows are missing, or whole tables, and how the state is taken back."""
        entries: dict[str, Mapping[str, Any]] = {name: position.bookmark for name, position in missing.items()}
        entries |= {stream.origin: stream.facts.start.bookmark for stream in behind if stream.facts.start is not None}
        if not entries:
            return []
        lineages = {lineage: self._gone[stream] for stream, lineage in self._held if stream in self._gone}
        gone = {name: lineages[position.lineage] for name, position in missing.items() if position.lineage in lineages}
        gone |= {stream.origin: self._gone[stream.name] for stream in behind if stream.name in self._gone}
        ahead = [name for name in entries if name not in gone]
        told = [f"{counted(len(ahead), 'stream')} ({list_names(ahead)}): {AHEAD}"] if ahead else []
        told += [describe_gone(sorted(set(gone.values())))] if gone else []
        way_back = advise(entries, self._held.values(), os.environ, is_gone=bool(gone))
        return [MissingRowsError(f"{'; '.join(told)}; {way_back}")]

    def _log_summary(self) -> None:
        counts = sum((stream.counts for stream in self._streams), Counts())
        self.logger.info(
            "Loaded %s: %s inserted, %d updated, %d unchanged, %d deleted",
            counted(
                len({stream.name for stream in self._streams} - {stream.name for stream in self._failed}), "stream"
            ),
            counted(counts.inserted, "row"),
            counts.updated,
            counts.unchanged,
            counts.deleted,
        )

    # --- streams and their maps --------------------------------------------------------------------------------------

    def flush_all(self) -> None:
        """Hand over what every stream has gathered: memory is bounded for all of them together."""
        for sink in self._sinks():
            sink.flush()

    def _sinks(self) -> Iterator[TableSink]:
        return (sink for sink in self._sinks_active.values() if isinstance(sink, TableSink))

    def _aliases(self, stream: str) -> list[str]:
        return [each.stream_alias for each in self.mapper.stream_maps.get(stream, ())]

    def _routes(self, stream: str) -> list[tuple[StreamMap, TableSink]]:
        maps = self.mapper.stream_maps.get(stream)
        if maps is None:
            raise UndeclaredStreamError(f"line {self.line}: stream {stream} has sent no SCHEMA before")
        sinks = [(each, self._sinks_active.get(each.stream_alias)) for each in maps]
        return [(each, sink) for each, sink in sinks if isinstance(sink, TableSink)]

    def _map(self, stream_map: StreamMap, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        record: dict[str, Any] = message["record"]
        if _passes_through(stream_map):
            return record
        try:
            return stream_map.transform(dict(record))
        except Exception as error:  # noqa: BLE001 - an expression of the user's, whose error may quote the row
            raise ConfigError(
                f"line {self.line}: the stream map of {message['stream']} fails with {type(error).__name__} on a record"
            ) from None

    # --- the process -------------------------------------------------------------------------------------------------

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's signature
        """End at once: what is not committed is rolled back, and no state that was not sent goes out any more."""
        self._stopped_by = signum
        if not self._writes_state:
            self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self._stopped_by is not None:
            self.logger.warning("Signal %d: the run ends here; what was not committed is sent again", self._stopped_by)
            raise SystemExit(_SIGNAL_BASE + self._stopped_by)

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:  # noqa: ANN401 - the SDK's
        """Check each config file, and the environment, before the SDK reads them."""
        check_config_files(value)
        if "ENV" in value:
            check_environment(os.environ, cls.config_jsonschema["properties"])
        return super().cb_config(ctx, param, value)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        self._config = drop_unset(self._config)
        try:
            problems = super()._validate_config(raise_errors=raise_errors)
        except ConfigValidationError as error:
            raise ConfigError("; ".join(describe_problem(problem) for problem in error.errors)) from None
        for unknown in tell_unknown(self._config, [*self.config_jsonschema["properties"]]):
            self.logger.warning("%s", unknown)
        return problems


def open_warehouse(settings: Settings) -> Warehouse:
    """The destination of a dialect; imported only where it is used, since a run starts with its imports."""
    if settings.dialect == "postgresql":
        from target_opendental_replica.postgres import PostgresWarehouse  # noqa: PLC0415

        return PostgresWarehouse(settings)
    from target_opendental_replica.mysql import MySQLWarehouse  # noqa: PLC0415

    return MySQLWarehouse(settings)


def _wait(steps: Iterable[Future[None]]) -> None:
    for done in steps:
        done.exception()


def _passes_through(stream_map: StreamMap) -> bool:
    return type(stream_map) is SameRecordTransform and not stream_map.flattening_enabled


def main() -> None:
    """Run the command line; every failure ends in one line on stderr and the exit code of its kind."""
    try:
        TargetOpenDentalReplica.cli()
    except ReplicaError as error:
        _end(str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last resort of the process: its text may quote a row
        _end(describe_unexpected(error), ExitCode.UNEXPECTED)
    except SystemExit as ending:
        _leave(ending.code if isinstance(ending.code, int) else int(ending.code is not None))


def _end(message: str, code: ExitCode) -> NoReturn:
    sys.stderr.write(f"{TargetOpenDentalReplica.name}: error: {printable(message)}\n")
    _leave(code)


def _leave(code: int) -> NoReturn:
    """Leave without waiting for threads that wait for a server; closing their connections rolls back."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
