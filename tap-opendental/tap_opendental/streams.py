"""How one table becomes a stream: what is read when, and what the state says of it."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from singer_sdk.helpers._batch import BaseBatchFileEncoding, SDKBatchMessage
from singer_sdk.mapper import SameRecordTransform

from tap_opendental.announcing import Announcement, announce, announce_start, describe_start
from tap_opendental.bookmarks import REPAIR, Bookmark, Pass, require_kind
from tap_opendental.catalogs import choose_replication_key, declare_columns, select_needed
from tap_opendental.connector import plain_errors
from tap_opendental.drift import Structure, has_grown
from tap_opendental.errors import NotFoundError, OpenDentalError, StateError, UnreachableError, describe_unexpected
from tap_opendental.extraction.facts import read_digest, read_largest_key, read_table_state
from tap_opendental.extraction.lines import CSV, JSON, parse_line
from tap_opendental.extraction.pages import Place
from tap_opendental.extraction.projection import Projection
from tap_opendental.extraction.reading import PageReader, Retries
from tap_opendental.extraction.walk import Walk
from tap_opendental.moments import parse_moment
from tap_opendental.plan import identify_columns, identify_maps
from tap_opendental.resume import (
    Findings,
    Start,
    Wish,
    choose_start,
    choose_version,
    conclude,
    find_settled,
    is_unchanged,
)
from tap_opendental.sdk_stream import SilentStream
from tap_opendental.source import DamagedPageError
from tap_opendental.writers import BatchWriter, RecordWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog, SchemaMessage

    from tap_opendental.extraction.lines import Column, Dialect
    from tap_opendental.extraction.pages import Row
    from tap_opendental.extraction.table_state import TableState
    from tap_opendental.extraction.witnesses import Witness
    from tap_opendental.locks import HeldLock
    from tap_opendental.plan import TablePlan
    from tap_opendental.tap import TapOpenDental
    from tap_opendental.writers import Writer


class TableStream(SilentStream):
    """One table: it obeys its plan, and writes its whole entry of the state itself."""

    def __init__(self, tap: TapOpenDental, plan: TablePlan, bookmark: Bookmark) -> None:
        properties = {column.name: dict(column.reading.schema) for column in plan.columns}
        super().__init__(tap, schema={"type": "object", "properties": properties}, name=plan.name)
        self._run = tap
        self._plan = plan
        self._bookmark = self._begun_with = bookmark
        self._stamp = bookmark.stamp_with(token_hex(8))
        self._start = Start()
        self._pass: Pass | None = None
        self._lock: HeldLock | None = None
        self._digest: str | None = None
        self._defers_schema = False
        self._declared = False
        self._has_spoken = False
        self.primary_keys = plan.primary_key
        self._replicate_by(plan.cursor_name if plan.incremental else None)
        self.rows_read = 0
        self.is_unchanged = False
        self.failure: OpenDentalError | None = None
        self.altered: Counter[str] = Counter()

    # --- what the tap asks -------------------------------------------------------------------------------------------

    @property
    def refusal(self) -> str | None:
        """Why the stream may not be read: its structure moved, and on_schema_change is fail; or None."""
        return self._plan.adoption.refusal

    @property
    def misfit(self) -> str | None:
        """What of tables.yml does not fit the stream's table, or None."""
        return self._plan.misfit

    def check_bookmark(self) -> None:
        """Refuse a bookmark that is not of the key's kind: StateError, before any row is read."""
        require_kind(self.name, self._bookmark, self.replication_key, append_only=self._plan.append_only)

    # --- a run -------------------------------------------------------------------------------------------------------

    def sync(self, context: Context | None = None) -> None:  # type: ignore[misc]  # marked final, yet the only place
        """Sync the stream; a failure is kept for the end of the run, so that the streams after it are read.

        UnreachableError when the server does not answer a second time either: then no other stream can be read.
        """
        try:
            if self.rehearses:
                self._begin()
                super().sync(context)
            else:
                self._sync_under_lock(context)
        except UnreachableError as error:
            self._run.source.disconnect()
            _ = self._run.source.connection
            self._keep(error)
        except OpenDentalError as error:
            self._keep(error)
        except Exception as error:
            if self.rehearses or isinstance(error, BrokenPipeError):
                raise
            line, stack = describe_unexpected(error)  # a stream map that fails on a value, for one
            self.logger.debug("%s", stack)
            self._keep(OpenDentalError(line))

    def _keep(self, error: OpenDentalError) -> None:
        self.failure = error
        self.logger.error("%s failed, the other streams go on: %s", self.name, error)

    def _sync_under_lock(self, context: Context | None) -> None:
        self._run.stop_if_asked()
        if self._is_known_unchanged():
            self._leave()
            return
        with self._run.locks.hold(self.name) as self._lock:
            if self._begin_again():
                self._defers_schema = True
                super().sync(context)
            else:
                self._leave()

    def _is_known_unchanged(self) -> bool:
        """True when no row changed since the bookmark: seen without a lock, since nothing is read for it."""
        known = self._run.table_states.get(self._plan.table)
        if known is None or self._bookmark.fingerprint is None:
            return False
        fingerprint = self._retries(self._run.settings.page_retries + 1)(lambda: self._fingerprint(known))
        return is_unchanged(self._wish, self._bookmark, fingerprint)

    def _fingerprint(self, table: TableState) -> str | None:
        """What a table is known by, None where there is nothing; the digest of InnoDB is asked once for each pass."""
        if table.fingerprint is not None or self.replication_key or self.rehearses:
            return table.fingerprint
        if self._digest is None:
            expressions, most = self._projection.fingerprinted, self._run.settings.checksum_max_mb
            self._digest = read_digest(self._run.source, self._plan.table, table, expressions, most)
        return self._digest

    def _begin_again(self) -> bool:
        """Decide where to begin; False when no row changed since the bookmark."""
        # the connection may be long lost, since nobody read while the target was busy: at least one more try
        self._retries(max(2, self._run.settings.page_retries + 1))(self._begin)
        return not (self._pass and is_unchanged(self._wish, self._bookmark, self._pass.fingerprint))

    def _leave(self) -> None:
        """Leave a table of which no row changed; its bookmark is of this server now, if the user said that it is.

        A default or an index may have changed all the same: a replica is told.
        """
        self.is_unchanged = True
        has_moved = self._bookmark.structure != self._structure and not self.rehearses
        if has_moved:
            self._defers_schema = True
            self._declare()
        if has_moved or self._bookmark.source != self._run.identity:
            now = replace(self._bookmark, source=self._run.identity, structure=self._structure)
            self._save(now, only_if_due=True)

    def _begin(self) -> None:
        """Decide where to begin: what the server says of the table and its clock comes before the first row."""
        table = read_table_state(self._run.source, self._plan.table)
        if table is None:
            raise NotFoundError(f"table {self._plan.table} is gone since discovery: run again")
        findings = Findings(table, self._read_largest_key(), self._ask_witnesses())
        self._start = choose_start(self._wish, self._bookmark, findings)
        if self._start.notice:
            self.logger.warning("%s %s", self.name, self._start.notice)
        self._pass = self._start.unfinished or self._new_pass(self._start, table)

    def _new_pass(self, start: Start, table: TableState) -> Pass:
        return Pass(
            sent=self._wish.sent,
            place=Place("all"),
            source=self._run.identity,
            since=start.since,
            watermark=self._read_watermark(),
            version=choose_version(self._bookmark, _parse_clock(table.read_at)) if start.replaces else None,
            fingerprint=self._fingerprint(table),
            looks=table.look_like(self._bookmark.looks),
            witnesses=start.witnesses,
            key=self._plan.primary_key,
        )

    def _read_watermark(self) -> str | None:
        if not self.replication_key or self._plan.append_only:
            return None
        with plain_errors(self._run.source.address, table=self._plan.table):
            moment = self._run.watermark.read(self._run.source.connection)
        return moment.local if self._plan.cursor_in_local_time else moment.utc

    def _read_largest_key(self) -> int | None:
        if not (self._plan.append_only and self.replication_key and self._bookmark.value is not None):
            return None
        return read_largest_key(self._run.source, self._plan.table, self._plan.key[0])

    def _ask_witnesses(self) -> dict[Row, Witness]:
        """Return the rows that the state remembers as the newest, as they are now."""
        begun, projection = self._bookmark.unfinished, self._projection
        witnesses = {*self._bookmark.witnesses, *(begun.witnesses if begun else ())}
        fitting = [witness for witness in witnesses if len(witness.key) == len(self._plan.key)]
        if self.rehearses or not fitting or not projection.cursor:
            return {}
        try:
            rows = self._run.source.fetch(projection.ask_for(fitting), table=self._plan.table)
        except DamagedPageError:  # the server warns where a key is not of its column's type
            if self._bookmark.structure != self._structure:
                return {}  # the column has another type now: none of them is there any more
            raise StateError(f"state: the newest rows of stream {self.name} do not fit its table; {REPAIR}") from None
        return projection.recognise(rows)

    @property
    def _wish(self) -> Wish:
        structure = self._structure
        return Wish(
            key=self.replication_key,
            sent=identify_columns(self._plan.order(self.replication_key), structure.columns, structure.form),
            source=self._run.identity,
            has_grown=has_grown(structure, self._plan.adoption, self._bookmark.structure),
            append_only=self._plan.append_only,
            reach=self._run.reach,
            rebase=self._is_foreign,
            start_date=self._start_date,
            primary_key=frozenset(self._plan.primary_key),
        )

    @property
    def _is_foreign(self) -> bool:
        """True while the target may hold rows of another server that are to be replaced."""
        return self.name in self._run.foreign_streams and self._bookmark.find_foreign(self._run.identity) is not None

    @property
    def _start_date(self) -> str | None:
        """The setting; against the server's wall clock a day earlier, which no zone is further from UTC than."""
        start_date: str | None = self.config.get("start_date")
        if start_date is None or not self._plan.cursor_in_local_time:
            return start_date
        return (parse_moment(start_date) - timedelta(days=1)).isoformat()

    # --- the pass ----------------------------------------------------------------------------------------------------

    def _sync_records(self, context: Context | None = None, *, write_messages: bool = True) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # the SDK's generator sends nothing in
        """Send pages as they come; through the SDK's loop where stream maps, flattening or `--test` need it."""
        if self.rehearses or not write_messages or not self._passes_through:
            yield from super()._sync_records(context, write_messages=write_messages)
        else:
            self._send(RecordWriter(self.name))

    def _sync_batches(self, batch_config: BatchConfig, context: Context | None = None) -> None:
        """Send pages as files, of the dialect that batch_format names; RECORD where the SDK's loop is needed."""
        if self.rehearses or not self._passes_through:
            for _ in self._sync_records(context):
                pass
            return
        folder = self._run.batch_folder(batch_config)
        self._send(BatchWriter(self.name, folder, self._projection.dialect, self._announce))

    def _announce(self, encoding: Mapping[str, str], url: str) -> None:
        """Write the BATCH message of a file; its version is the rows', which the file does not hold."""
        message = SDKBatchMessage(self.name, BaseBatchFileEncoding(**encoding), [url])
        message.version = self._stream_version
        self._run.write_message(message)

    @property
    def _passes_through(self) -> bool:
        """True when no stream map and no flattening changes a record."""
        return all(type(each) is SameRecordTransform and not each.flattening_enabled for each in self.stream_maps)

    def _send(self, writer: Writer) -> None:
        columns = self._projection.layout.columns
        with self.get_record_counter() as counter, self.get_sync_timer():
            for lines in self._read(writer.flush):
                writer.write(lines, columns, self._stream_version)
                counter.increment(len(lines))

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002 - the SDK's signature
        """Yield the rows as records, for the SDK's loop."""
        columns = self._projection.layout.columns
        for lines in self._read(lambda: None):
            yield from (parse_line(line, columns) for line in lines)

    def _read(self, flush: Callable[[], None]) -> Iterator[list[str]]:
        """Yield the lines to send, SCHEMA before the first; positions, ACTIVATE_VERSION and bookmark follow in turn.

        `flush` sends what a writer still holds, which must be before any STATE. A pass that was cut short knows nothing
        of what changed behind its position since, so it is followed by another one, which catches up.
        """
        catching_up = True
        while catching_up:
            with self._snapshot():
                walk = self._walk()
                yield from self._follow(walk, flush)
            flush()
            self._finish(walk)
            self._digest = None
            catching_up = walk.resumed and not self.rehearses and self._begin_again()

    def _walk(self) -> Walk:
        begun, projection = self._pass, self._projection
        if begun is None:
            raise OpenDentalError(f"stream {self.name} was not begun")
        self._stream_version = begun.version
        page_plan = projection.page_plan(begun.since)
        return Walk(
            self._reader(len(page_plan.expressions)),
            page_plan,
            projection.finisher(self.altered),
            begun,
            cursors=projection.cursors if projection.cursor else None,
            witness=projection.witness,
            settled=None if self._plan.append_only else find_settled(self._bookmark, begun),
            remembered=self._start.remembered,
            reach=self._run.reach,
        )

    @cached_property
    def _projection(self) -> Projection:
        settings = self._run.settings
        return Projection(
            plan=self._plan,
            columns=self._selected_columns,
            dialect=self._dialect,
            cursor=self._plan.cursor if self.replication_key else None,
            packet=self._run.source.session.packet,
            encoding=settings.reading.binary_encoding,
            nul=settings.reading.nul_in_text,
        )

    @property
    def _dialect(self) -> Dialect:
        """CSV for files of it, JSON for files and messages, and wherever the SDK's loop is needed."""
        in_files = self.get_batch_config(self.config) is not None and self._passes_through and not self.rehearses
        return CSV if in_files and self._run.settings.batch_format == "csv" else JSON

    def _reader(self, texts: int) -> PageReader:
        return PageReader(
            self._run.source,
            self._plan.table,
            self._run.new_pace(self._plan.page_rows, self._plan.mean_row_bytes),
            texts=texts,
            # a snapshot dies with its connection
            retries=self._retries(1 if self._run.settings.snapshot else self._run.settings.page_retries + 1),
        )

    def _retries(self, tries: int) -> Retries:
        return Retries(self._run.source, tries, stop_if_asked=self._run.stop_if_asked, logger=self.logger)

    def _snapshot(self) -> AbstractContextManager[None]:
        return self._run.source.snapshot() if self._run.settings.snapshot else nullcontext()

    def _follow(self, walk: Walk, flush: Callable[[], None]) -> Iterator[list[str]]:
        """Yield what a walk sends, and write its position into the state where one is due."""
        for lines in walk.pages():
            self._check_on()
            if lines:
                yield self._count(lines)
            if self._may_save_position(sent=bool(lines)) and walk.may_pause:
                if held := walk.release():
                    yield self._count(held)
                flush()
                self._save(replace(self._bookmark, unfinished=walk.progress))

    def _check_on(self) -> None:
        self._run.stop_if_asked()
        if self._lock:
            self._lock.require()

    def _count(self, lines: list[str]) -> list[str]:
        self._declare()
        self.rows_read += len(lines)
        return lines

    def _may_save_position(self, *, sent: bool) -> bool:
        """True where a STATE is due; a range that had nothing to send is worth none sooner than others."""
        due = self._run.is_state_due(often=self._plan.saves_often and sent)
        return due and bool(self._plan.key) and not self.rehearses

    def _finish(self, walk: Walk) -> None:
        """Say that the stream is whole: to the target, and in the state."""
        if self.rehearses:
            return
        if self._lock:
            self._lock.require(at_once=True)
        done, before = walk.progress, self._bookmark
        if done.version is not None or before.is_new or before.structure != self._structure:
            self._declare()
        if done.version is not None:
            self.activate(done.version)
        self._bookmark = conclude(before, done, walk.digest, self.replication_key, self._structure)
        self._save(self._bookmark, only_if_due=True)

    def _save(self, bookmark: Bookmark, *, only_if_due: bool = False) -> None:
        """Write the stream's entry. Its serial stands while nothing went out: no target would know of another one."""
        if self._has_spoken:
            self._stamp = self._stamp.move(time.time_ns() // 1000)
        self.stream_state.clear()
        self.stream_state.update(replace(bookmark, stamp=self._stamp).to_state())
        if not only_if_due or self._run.is_state_due():
            self._run.write_state()

    # --- messages ----------------------------------------------------------------------------------------------------

    def _write_schema_message(self) -> None:
        """Keep SCHEMA back until there is something to say: a stream with nothing to send says nothing."""
        if not self._defers_schema:
            super()._write_schema_message()

    def _generate_schema_messages(self) -> Iterator[SchemaMessage]:  # type: ignore[override]  # nothing is sent in
        """Add what a target of the same tables needs to know; where the tap starts is told of any record."""
        start = describe_start(self.name, self._stamp, self._begun_with, self._start.unfinished)
        sent = {column.name: column.source for column in self._plan.columns}
        told = Announcement(self._plan.facts, sent, self._run.settings.reading.exact, start)
        for message in super()._generate_schema_messages():
            if self._passes_through:
                message.schema = announce(message.schema, message.key_properties, told)
            else:
                message.schema = announce_start(message.schema, message.key_properties, start)
            self._has_spoken = True
            yield message

    def _declare(self) -> None:
        if self._defers_schema and not self._declared:
            super()._write_schema_message()
        self._declared = True

    # --- columns and catalog -----------------------------------------------------------------------------------------

    @cached_property
    def _selected_columns(self) -> tuple[Column, ...]:
        """What the catalog selects, in the table's order."""
        declared = self.effective_schema["properties"]
        return tuple(
            column
            for column in self._plan.columns
            if column.name in declared and self.mask.get(("properties", column.name), True)
        )

    @property
    def _contents(self) -> dict[str, str]:
        """What the values of the columns that are sent depend on, by the columns' own names."""
        return {column.source: self._plan.contents[column.source] for column in self._selected_columns}

    @property
    def _structure(self) -> Structure:
        """What goes out, as the state remembers it."""
        form = "" if self._passes_through else identify_maps(self.config)
        return Structure(self._plan.adoption.remember, self._contents, form, self._plan.primary_key)

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take selection and columns from a catalog, of replication what loses nothing; ConfigError for the rest."""
        entry = catalog.get_stream(self.name)
        if entry is None:
            super().apply_catalog(catalog)
            return
        entry.schema.properties = declare_columns(self._plan, entry.schema.properties or {})
        super().apply_catalog(catalog)
        is_read = not (self.misfit or self.refusal)
        key = choose_replication_key(self._plan, entry, self.logger, is_read=is_read)
        select_needed(self._plan, entry)
        self.primary_keys = self._plan.primary_key
        self._replicate_by(key)

    def _replicate_by(self, cursor: str | None) -> None:
        self.replication_key = cursor
        self.forced_replication_method = "INCREMENTAL" if cursor else "FULL_TABLE"


def _parse_clock(read_at: str) -> datetime:
    return datetime.fromisoformat(read_at).replace(tzinfo=UTC)
