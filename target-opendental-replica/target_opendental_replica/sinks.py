"""A stream on its way to the loader: what comes as RECORD is gathered, what comes as a file is passed on."""

from __future__ import annotations

import csv
import gzip
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec
from singer_sdk import Sink

from target_opendental_replica.batches import Batch, remove_own
from target_opendental_replica.errors import BrokenStreamError, ConfigError, NotFoundError
from target_opendental_replica.loading import Activation, Progress, Settlement
from target_opendental_replica.reader import decode_record
from target_opendental_replica.records import RecordBuffer
from target_opendental_replica.stream_facts import read_schema_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from target_opendental_replica.positions import Position
    from target_opendental_replica.stream_facts import StreamFacts
    from target_opendental_replica.target import TargetOpenDentalReplica

# Text of RECORD messages that is made into one batch: long enough for a bulk load, short enough for memory.
_BUFFER_BYTES = 8 * 1_048_576
# What all streams together may hold: of a tap that sends its streams by turns, and STATE seldom.
_ALL_BUFFERS_BYTES = 32 * 1_048_576


class TableSink(Sink):
    """Gathers the rows of a stream and hands them to the crew, in order."""

    def __init__(
        self,
        target: TargetOpenDentalReplica,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._run = target
        self.facts = _read_facts(stream_name, self.original_schema, key_properties, target.line)
        self.progress = Progress(self.facts)
        renderers = {field.name: target.warehouse.render(field) for field in self.facts.fields}
        self._buffer = RecordBuffer(self.facts, renderers)
        self._postponed: int | None = None
        self._versions: set[int] = set()
        self._activated: set[int] = set()
        self.is_dirty = True
        """True while something came that was not settled: the table itself is made by its first step."""

    @property
    def include_sdc_metadata_properties(self) -> bool:
        """The loader writes what a dialect has of these columns."""
        return False

    def get_validator(self) -> None:
        """Leave records unvalidated by jsonschema: writing a value checks it, at a hundredth of the price."""

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Take a record of the SDK's loop: `context` is the message."""
        self.take(context, record)

    def process_batch(self, context: dict[str, Any]) -> None:  # noqa: ARG002 - the SDK's signature
        """Hand over what was gathered."""
        self.flush()

    def take(self, message: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Gather a record; a batch goes out when it is long, or when the record cannot be in it."""
        if not self._buffer.takes(message):
            self.flush()
        before = self._buffer.size
        self._buffer.add(message, record, self._run.line)
        self._run.gathered_bytes += self._buffer.size - before
        self.is_dirty = True
        if self._buffer.size >= _BUFFER_BYTES:
            self.flush()
        elif self._run.gathered_bytes >= _ALL_BUFFERS_BYTES:
            self._run.flush_all()

    def flush(self) -> None:
        """Hand over what was gathered."""
        self._run.gathered_bytes -= self._buffer.size
        batch = self._buffer.take()
        if batch is not None:
            self._put(batch)

    def take_files(self, encoding: str, files: Sequence[str], version: int | None) -> None:
        """Take files; BrokenStreamError where one cannot be read, ConfigError for a format that nobody knows here."""
        self.flush()
        for url in files:
            try:
                path = _find_file(url, self.facts.stream, self._run.line)
            except NotFoundError as error:  # the stream's own failure: the others go on
                self.progress.failure = self.progress.failure or error
                return
            if encoding == "csv":
                self._put(self._describe(path, version))
            elif encoding == "jsonl":
                self._take_lines(path, version)
            else:
                raise ConfigError(
                    f"line {self._run.line}: stream {self.facts.stream} comes in files of format {encoding!r}; send "
                    "csv, jsonl, or no files"
                )

    def activate_version(self, new_version: int) -> None:
        """Make the version's rows the table.

        Other taps send the message before the first row: then it waits for the end, so that nobody finds an empty
        table.
        """
        self.flush()
        if self.facts.start is None and new_version not in self._versions:
            self._postponed = new_version
            self.is_dirty = True
        else:
            self._put(Activation(new_version))

    def settle(self, position: Position | None) -> Future[None]:
        """Commit all that came so far, with the position."""
        self.flush()
        self.is_dirty = False
        return self._run.crew.put(self.progress, Settlement(position))

    @property
    def is_postponed(self) -> bool:
        """True while an ACTIVATE_VERSION waits for the end."""
        return self._postponed is not None

    def finish(self) -> Future[None]:
        """Commit the rest, at the end of the input or of this schema.

        A version that waited for the end is whole only if a STATE came after its last row: the tap may be dead.
        """
        is_confirmed = not self.is_dirty
        self.flush()
        if self._postponed is not None and is_confirmed:
            self._put(Activation(self._postponed))
        self._postponed = None
        if self.facts.start is None and self._versions - self._activated:
            self.logger.warning(
                "%s: rows of version %d came, and no ACTIVATE_VERSION and STATE after them: they wait apart",
                self.facts.stream,
                max(self._versions - self._activated),
            )
        return self.settle(None)

    def _put(self, step: Batch | Activation) -> None:
        self.is_dirty = True
        if isinstance(step, Activation):
            self._activated.add(step.version)
        elif step.version is not None:
            self._versions.add(step.version)
        self._run.crew.put(self.progress, step)

    def _describe(self, path: Path, version: int | None) -> Batch:
        columns = _read_header(path, self.facts.stream, self._run.line)
        unknown = [name for name in columns if name not in self.facts.names]
        if unknown:
            raise BrokenStreamError(
                f"line {self._run.line}: a file of stream {self.facts.stream} has columns that its SCHEMA does not name"
            )
        return Batch(columns, path, path.stat().st_size, datetime.now(UTC), version, self._run.line)

    def _take_lines(self, path: Path, version: int | None) -> None:
        for record in _read_records(path, self.facts.stream, self._run.line):
            found = record.get("_sdc_table_version", version)
            self.take({"record": record, "version": found if type(found) is int else version}, record)
        self.flush()
        remove_own(path)


def _read_facts(stream: str, schema: dict[str, Any], key: Sequence[str] | None, line: int) -> StreamFacts:
    try:
        return read_schema_message({"stream": stream, "schema": schema, "key_properties": [*(key or ())]})
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BrokenStreamError(f"line {line}: the SCHEMA of stream {stream} cannot be read") from None


def _find_file(url: object, stream: str, line: int) -> Path:
    """Find a local file of this user's own; anything else is refused before it is opened."""
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme != "file" or parts.netloc:
        raise BrokenStreamError(f"line {line}: stream {stream} names a file that is not on this machine (file:///...)")
    path = Path(url2pathname(parts.path))
    try:
        facts = path.lstat()
    except (OSError, ValueError):
        raise NotFoundError(f"line {line}: a file of stream {stream} is not there (any more): run again") from None
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
        raise BrokenStreamError(f"line {line}: a file of stream {stream} is none of this user's own")
    return path


def _read_header(path: Path, stream: str, line: int) -> tuple[str, ...]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(next(csv.reader(file), ()))
    except (OSError, UnicodeError, csv.Error):
        raise BrokenStreamError(f"line {line}: a file of stream {stream} cannot be read as CSV") from None


def _read_records(path: Path, stream: str, line: int) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for text in file:
                yield decode_record(text)
    except (OSError, EOFError, msgspec.MsgspecError, UnicodeError):
        raise BrokenStreamError(f"line {line}: a file of stream {stream} cannot be read as JSON lines") from None
