"""How one table becomes a stream: pages in, records out, in the SDK's loop."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_sdk import Stream
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import Schema

from tap_opendental.connector import plain_errors
from tap_opendental.drift import Structure, has_grown
from tap_opendental.errors import ConfigError, OpenDentalError, StateError, UnreachableError
from tap_opendental.extraction.pages import PagePlan, read_largest_key, read_pages
from tap_opendental.inputs import REPAIR
from tap_opendental.quoting import quote
from tap_opendental.settings import parse_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog, CatalogEntry

    from tap_opendental.drift import Adoption
    from tap_opendental.extraction.pages import Row
    from tap_opendental.source import Source
    from tap_opendental.tap import TapOpenDental
    from tap_opendental.types import Reading


@dataclass(frozen=True)
class TablePlan:
    """Everything a stream must know of its table; how it was judged is not among it.

    `readings` holds the columns in the table's order, secrets left out. `cursor` is the column that shows changes, if
    there is one, and `incremental` whether to go by it; an `append_only` table has its growing key there. `contents`
    says what each column's values depend on, `adoption` what to do about a moved structure, `remembered` what the last
    run sent. `misfit` says what of tables.yml does not fit, for which the stream is not read.
    """

    name: str
    readings: Mapping[str, Reading]
    primary_key: tuple[str, ...]
    cursor: str | None
    incremental: bool
    cursor_indexed: bool
    cursor_in_local_time: bool
    append_only: bool
    keyed_by_number: frozenset[str]
    page_rows: int
    contents: Mapping[str, str]
    adoption: Adoption
    remembered: Structure | None
    misfit: str | None = None


def requested_replication(entry: CatalogEntry) -> tuple[str | None, str | None]:
    """Method and key that a catalog asks for; FULL_TABLE wins, from the entry or from its metadata."""
    root = entry.metadata.get(())
    forced = getattr(root, "forced_replication_method", None)
    method = "FULL_TABLE" if forced == "FULL_TABLE" else entry.replication_method or forced
    return method, entry.replication_key or getattr(root, "replication_key", None)


class TableStream(Stream):
    """One table. Values leave `read_pages` in their final form, so the SDK's own conversion stays off."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: TapOpenDental, plan: TablePlan, source: Source) -> None:
        properties = {name: dict(reading.schema) for name, reading in plan.readings.items()}
        super().__init__(tap, schema={"type": "object", "properties": properties}, name=plan.name)
        self._run = tap
        self._plan = plan
        self._source = source
        self._version_to_activate: int | None = None
        self.primary_keys = plan.primary_key
        self._replicate_by(plan.cursor if plan.incremental else None)
        self.rows_read = 0
        self.failure: OpenDentalError | None = None
        self.altered: Counter[str] = Counter()

    @property
    def refusal(self) -> str | None:
        """Why the stream may not be read: its structure moved, and on_schema_change is fail; or None."""
        return self._plan.adoption.refusal

    @property
    def misfit(self) -> str | None:
        """What of tables.yml does not fit the stream's table, or None."""
        return self._plan.misfit

    @property
    def emit_activate_version_messages(self) -> bool:
        """Full tables always say which version is whole: targets remove what is gone by it."""
        return True

    def sync(self, context: Context | None = None) -> None:  # type: ignore[misc]  # marked final, yet the only place
        """Sync the stream; a failure is kept for the end of the run, so that the streams after it are read.

        UnreachableError when the server does not answer a second time either: then no other stream can be read.
        """
        try:
            super().sync(context)
        except UnreachableError as error:
            self._source.reconnect()
            self._keep(error)
        except OpenDentalError as error:
            self._keep(error)

    def _keep(self, error: OpenDentalError) -> None:
        self.failure = error
        for marker in ("progress_markers", "replication_key_signpost", "starting_replication_value"):
            self.stream_state.pop(marker, None)
        self.logger.error("%s failed, the other streams go on: %s", self.name, error)

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """Move the bookmark at the end of the stream, but not past rows that a failure kept back."""
        if self.failure is None:
            super().finalize_state_progress_markers(state)

    def get_records(self, context: Context | None) -> Iterable[Record]:
        """Yield the rows from the bookmark on, or all of them; column values as `types` decided."""
        names, readings = self._selected_columns
        converters = [(name, reading.convert) for name, reading in zip(names, readings, strict=True) if reading.convert]
        with plain_errors(self._source.address, table=self.name):
            for page in read_pages(self._source.connection, self._page_plan(context)):
                self._run.stop_if_asked()
                self.rows_read += len(page)
                yield from self._records(page, names, converters)
        self._activate_version()

    def _records(
        self, page: Sequence[Row], names: Sequence[str], converters: Sequence[tuple[str, Any]]
    ) -> Iterable[Record]:
        for row in page:
            record = dict(zip(names, row, strict=True))
            for name, convert in converters:
                record[name] = convert(record[name], self.altered)
            yield record

    @cached_property
    def _selected_columns(self) -> tuple[tuple[str, ...], tuple[Reading, ...]]:
        """What the catalog selects, in the table's order."""
        declared = self.effective_schema["properties"]
        selected = {
            name: reading
            for name, reading in self._plan.readings.items()
            if name in declared and self.mask.get(("properties", name), True)
        }
        return tuple(selected), tuple(selected.values())

    def _page_plan(self, context: Context | None) -> PagePlan:
        names, readings = self._selected_columns
        expressions = (reading.expression.format(quote(name)) for name, reading in zip(names, readings, strict=True))
        return PagePlan(
            table=self.name,
            expressions=tuple(expressions),
            key=self._plan.primary_key,
            page_rows=self._plan.page_rows,
            cursor=self.replication_key,
            since=self._find_start(context),
            cursor_indexed=self._plan.cursor_indexed,
            keyed_by_number=self._plan.keyed_by_number,
        )

    def _find_start(self, context: Context | None) -> str | int | None:
        """Where to go on from: the bookmark, a number for an append-only key, or a later start_date; None for all."""
        if not self.replication_key:
            return None
        whole = self._reads_whole_once()
        if self._plan.append_only:
            return None if whole else self._find_key()
        start = self.config.get("start_date") if whole else self.get_starting_replication_key_value(context)
        return parse_moment(start).isoformat(" ") if start else None

    def _reads_whole_once(self) -> bool:
        """True when the bookmark is passed over: old rows may hold values that were never sent."""
        whole = self.read_bookmark() is not None and has_grown(
            self._contents, self._plan.adoption, self._plan.remembered
        )
        if whole:
            self.logger.info("%s has new columns and is read whole once", self.name)
        return whole

    @property
    def _contents(self) -> dict[str, str]:
        """What the values of the columns that are sent depend on."""
        return {name: self._plan.contents[name] for name in self._selected_columns[0]}

    def _find_key(self) -> int | None:
        """Return the key from which an append-only table goes on; None when the table does not reach it any more."""
        bookmark = self.read_bookmark()
        if not isinstance(bookmark, int):
            return None
        largest = read_largest_key(self._source.connection, self.name, self._plan.primary_key[0])
        if largest is not None and largest >= bookmark:
            return bookmark
        self.logger.warning("%s ends before its bookmark: was a backup restored? It is read whole", self.name)
        return None

    def read_bookmark(self) -> str | int | None:
        """Return the bookmark of the stream's key, None without one; StateError when it is not of the key's kind."""
        if self.stream_state.get("replication_key") != self.replication_key:
            return None
        bookmark = self.stream_state.get("replication_key_value")
        if bookmark is not None and isinstance(bookmark, int) != self._plan.append_only:
            raise StateError(
                f"state: the bookmark of stream {self.name} is not one of {self.replication_key}; {REPAIR}"
            )
        return bookmark

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take selection and columns from a catalog; of replication only what loses nothing: the plan's, or FULL_TABLE.

        ConfigError for any other method or key: an event time as replication key would miss every later edit.
        """
        entry = catalog.get_stream(self.name)
        if entry is None:
            super().apply_catalog(catalog)
            return
        entry.schema.properties = self._declare(entry.schema.properties or {})
        super().apply_catalog(catalog)
        method, key = requested_replication(entry)
        if key is not None and key not in self._plan.contents:
            self.logger.warning("the catalog's key %s of %s is gone: the stream goes by what there is", key, self.name)
            method, key = None, None
        if not (self.misfit or self.refusal or self._loses_nothing(method, key)):
            fits = f"INCREMENTAL by {self._plan.cursor}" if self._plan.cursor else "FULL_TABLE"
            raise ConfigError(f"catalog, stream {self.name}: {method} by {key} would lose changes; use {fits}")
        for name in filter(None, (*self._plan.primary_key, self._plan.cursor)):
            if column := entry.metadata.get(("properties", name)):
                column.selected = True  # no row can be merged, and no bookmark moved, without them
        self.primary_keys = self._plan.primary_key
        self._replicate_by(self._plan.cursor if self._is_incremental(method, key) else None)

    def _declare(self, declared: Iterable[str]) -> dict[str, Schema]:
        """Declare of the catalog's columns those that are sent, as they are sent, and what no row can do without.

        The catalog may be older than the structure: types may have moved since, and the key.
        """
        wanted = {*declared, *self._plan.primary_key, self._plan.cursor}
        return {
            name: Schema.from_dict(dict(reading.schema))
            for name, reading in self._plan.readings.items()
            if name in wanted
        }

    def _replicate_by(self, cursor: str | None) -> None:
        self.replication_key = cursor
        self.forced_replication_method = "INCREMENTAL" if cursor else "FULL_TABLE"

    def _is_incremental(self, method: str | None, key: str | None) -> bool:
        return method == "INCREMENTAL" or (method is None and (self._plan.incremental or key is not None))

    def _loses_nothing(self, method: str | None, key: str | None) -> bool:
        if method == "INCREMENTAL":
            return self._plan.cursor is not None and key in (None, self._plan.cursor)
        return method == "FULL_TABLE" or (method is None and key in (None, self._plan.cursor))

    def get_replication_key_signpost(self, context: Context | None = None) -> str | None:  # noqa: ARG002 - SDK's hook
        """The server's clock, in the form of the bookmark: a row dated in the future must not move it past now."""
        if not self.replication_key or self._plan.append_only:
            return None
        with plain_errors(self._source.address, table=self.name):
            return self._source.now(local=self._plan.cursor_in_local_time)

    def _write_activate_version_message(self, full_table_version: int) -> None:
        """Keep the message back until the last row is out: sent first, a crash would leave an emptied table."""
        self._version_to_activate = full_table_version

    def _activate_version(self) -> None:
        if self._version_to_activate is not None:
            super()._write_activate_version_message(self._version_to_activate)

    def _increment_stream_state(self, latest_record: Record, *, context: Context | None = None) -> None:  # noqa: ARG002
        """Note the largest cursor so far; the SDK makes it the bookmark, capped at the signpost, when the stream ends.

        Cursors are numbers, or ISO 8601 text of one form, so that text order is time order. A row without one (NULL or
        zero) moves nothing.
        """
        cursor = latest_record[self.replication_key] if self.replication_key else None
        if cursor is not None:
            markers = self.stream_state.setdefault("progress_markers", {})
            if "replication_key_value" not in markers or cursor > markers["replication_key_value"]:
                markers |= {"replication_key": self.replication_key, "replication_key_value": cursor}

    def _finalize_state(self, state: dict[str, Any] | None = None) -> None:
        """Remember the structure that was read, now that all rows are out."""
        super()._finalize_state(state)
        self.stream_state["schema"] = Structure(self._plan.adoption.remember, self._contents).to_state()

    def _write_state_message(self) -> None:
        """Write where the bookmarks are; of full tables the state has nothing that cannot wait for the last message."""
        if self.replication_key or not self._run.writes_last_state:
            super()._write_state_message()

    def _process_record(self, *_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401
        """Skip the SDK's work for child streams: tables have none, and it copies a context for every row."""
