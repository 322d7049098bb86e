"""One stream's table while a run writes it: loaded by COPY, merged by key, replaced by versions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from target_opendental_replica.errors import BrokenStreamError
from target_opendental_replica.owners import Owners
from target_opendental_replica.postgres import statements
from target_opendental_replica.postgres.catalog import read_table
from target_opendental_replica.postgres.errors import translated
from target_opendental_replica.postgres.names import choose_gathered, choose_stage
from target_opendental_replica.postgres.stage import Copying, Stage
from target_opendental_replica.postgres.takeover import Takeover
from target_opendental_replica.versions import RunVersions
from target_opendental_replica.warehouse import Counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg.sql import Composable, Composed

    from target_opendental_replica.batches import Batch
    from target_opendental_replica.positions import Position
    from target_opendental_replica.postgres.connection import Connection
    from target_opendental_replica.postgres.model import Table, Wanted
    from target_opendental_replica.postgres.registry import Registry
    from target_opendental_replica.versions import Versions

# How often COPY into a table itself is tried in vain, since the rows before the key that came twice are sent again.
_MOST_MISSES = 3


@dataclass(frozen=True)
class Run:
    """What the sessions of one run have in common: when it began, in milliseconds since 1970, versions, and tables."""

    started_at: int
    versions: RunVersions = field(default_factory=RunVersions)
    owners: Owners = field(default_factory=Owners)


@dataclass(frozen=True)
class Stream:
    """What a run knows of a stream: names and what it needs."""

    name: str
    schema: str
    table: str
    wanted: Wanted
    hard_delete: bool
    run: Run

    @property
    def where(self) -> str:
        """The stream, for an error."""
        return f"stream {self.name}, table {self.schema}.{self.table}"


@dataclass(frozen=True)
class Found:
    """What a session found for a stream whose lock it holds until `unlock`: a table that fits, versions, position.

    `notify` takes what is to be told.
    """

    table: Table
    versions: Versions
    held: Position | None
    unlock: Callable[[], None]
    notify: Callable[[str], None]


@dataclass
class Destination:
    """A table that takes rows: by COPY into itself where `is_direct`, until too often a key was there already.

    That needs ALTER TABLE, which readers would wait for: a table is loaded so only while nobody reads it.
    """

    name: str
    quoted: Composable
    facts: Table
    is_direct: bool = False
    misses: int = 0


class PostgresLoader:
    """A `StreamLoader`. The stream's table has to fit already, and its lock to be held."""

    def __init__(self, connection: Connection, stream: Stream, registry: Registry, found: Found) -> None:
        self.held, self._versions = found.held, found.versions
        self._unlock, self._notify = found.unlock, found.notify
        self._connection, self._stream, self._registry = connection, stream, registry
        self._copying = Copying(connection, stream.name)
        self._stage = Stage(connection, choose_stage(stream.table), stream.wanted)
        self._staged_for: Destination | None = None
        self._counts = Counts()
        self._is_gathering = self._is_activating = False
        self._table = Destination(stream.table, statements.qualify(stream.schema, stream.table), found.table)
        self._gathered = self._find_gathered()

    def load(self, batch: Batch) -> None:
        """Take a batch: into the table of a new version itself while no row can be there twice, else into the stage.

        Raises BrokenStreamError for one that names a column twice, or not every property: rows are merged whole.
        """
        self._check_columns(batch)
        with translated(self._stream.where):
            destination = self._choose(batch.version)
            if self._staged_for is not destination:
                self._flush()
            values = self._choose_values(batch)
            if not (self._fits_directly(destination, batch) and self._copy(destination, batch, values)):
                self._staged_for = destination
                self._stage.take(batch, values, self._copying)

    def activate(self, version: int) -> None:
        """Make the gathered rows the table when it settles: until then nothing is locked that others read."""
        if not self._is_new_version(version):
            return
        with translated(self._stream.where):
            self._flush()
            self._take_over()
            if self._versions.gathered != version:
                self._drop_gathered()
            self._versions, self._is_activating = self._versions.activate(version), True

    def settle(self, position: Position | None) -> Counts:
        """Merge, activate, save the position and commit, all in one transaction."""
        with translated(self._stream.where):
            self._flush()
            self._take_over()
            if position is not None:
                self._registry.save_position(self._stream.name, position)
            self._connection.commit()
        self._note_gathering()
        counts, self._counts = self._counts, Counts()
        return counts

    def _check_columns(self, batch: Batch) -> None:
        place = f"stream {self._stream.name}, {batch.locate(None)}"
        if not batch.columns:
            raise BrokenStreamError(f"{place}: a file of rows without its first line, which names the columns")
        if len(set(batch.columns)) < len(batch.columns):
            raise BrokenStreamError(f"{place}: the first line of its file names a column twice")
        if lacking := [name for name in self._stream.wanted.source if name not in batch.columns]:
            raise BrokenStreamError(
                f"{place}: rows lack {lacking[0]!r}, which the SCHEMA has: another value would be written over theirs"
            )

    def _choose(self, version: int | None) -> Destination:
        if version is None or not self._is_new_version(version):
            return self._choose_active()
        if self._gathered is None or self._versions.gathered != version:
            self._flush()
            self._take_over()
            self._gathered = self._gather(version)
        self._is_gathering = True
        return self._gathered

    def _choose_active(self) -> Destination:
        """Return the table, or that which takes its place when it settles."""
        if self._is_activating and self._gathered is not None:
            return self._gathered
        self._take_over()
        return self._table

    def _take_over(self) -> None:
        """Bring a version that was activated into the table."""
        if not self._is_activating:
            return
        self._is_activating = False
        self._counts += Takeover(self._connection, self._stream, self._table).take(self._gathered)
        self._drop_gathered()
        self._registry.save_versions(self._stream.name, self._stream.table, self._versions)

    def release(self) -> None:
        """Drop the stage and free the lock; rows that nobody settled are rolled back, as the session's end would."""
        with translated(self._stream.where):
            self._connection.rollback()
            self._stage.drop()
            self._unlock()

    def _note_gathering(self) -> None:
        """Remember for this run what was committed."""
        if self._is_gathering or self._versions.gathered is None:
            self._stream.run.versions.note(self._stream.name, self._versions.gathered)

    def _is_new_version(self, version: int) -> bool:
        """True for a version that is gathered; of one that was replaced here that is told."""
        return self._stream.run.versions.is_new(self._stream.name, version, self._versions, self._notify)

    def _gather(self, version: int) -> Destination:
        """Begin a new version; what was gathered of another one, never activated, goes."""
        self._drop_gathered()
        quoted = self._quote_gathered()
        key = self._table.facts.key or self._stream.wanted.key
        self._connection.execute(statements.create_like(quoted, self._table.quoted, key))
        self._versions = self._versions.gather(version)
        self._registry.save_versions(self._stream.name, self._stream.table, self._versions)
        found = self._find_gathered()
        if found is None:
            raise LookupError(choose_gathered(self._stream.table))
        return found

    def _find_gathered(self) -> Destination | None:
        if self._versions.gathered is None:
            return None
        name = choose_gathered(self._stream.table)
        facts = read_table(self._connection, self._stream.schema, name)
        if facts is None:
            return None
        return Destination(name, self._quote_gathered(), facts, self._is_as_wanted(facts))

    def _drop_gathered(self) -> None:
        self._connection.execute(statements.drop_table(self._quote_gathered()))
        self._gathered = None

    def _quote_gathered(self) -> Composable:
        return statements.qualify(self._stream.schema, choose_gathered(self._stream.table))

    def _is_as_wanted(self, table: Table) -> bool:
        """True where COPY can write into the table itself: the types are the properties' own, and the key is kept."""
        wanted = self._stream.wanted
        return wanted.kinds.items() <= table.kinds.items() and bool(table.key) == bool(wanted.key)

    def _fits_directly(self, destination: Destination, batch: Batch) -> bool:
        """Not behind rows that are staged: the last row of a key counts."""
        is_free = destination.is_direct and self._staged_for is not destination
        return is_free and self._stream.wanted.source.keys() == set(batch.columns)

    def _copy(self, destination: Destination, batch: Batch, values: dict[str, object]) -> bool:
        if self._copying.copy_direct(destination.quoted, destination.name, batch, values):
            return True
        destination.misses += 1
        destination.is_direct = destination.misses < _MOST_MISSES
        return False

    def _choose_values(self, batch: Batch) -> dict[str, object]:
        """What stock adds to each row but the mark of deletion; of one batch they are the same."""
        if not self._stream.wanted.metadata:
            return {}
        now = datetime.now(UTC).replace(tzinfo=None)
        return {
            "_sdc_extracted_at": batch.extracted_at.astimezone(UTC).replace(tzinfo=None),
            "_sdc_received_at": now,
            "_sdc_batched_at": now,
            "_sdc_sequence": round(now.replace(tzinfo=UTC).timestamp() * 1000),
            "_sdc_table_version": batch.version,
            "_sdc_sync_started_at": self._stream.run.started_at,
        }

    def _flush(self) -> None:
        """Merge what is staged."""
        destination, self._staged_for = self._staged_for, None
        if destination is None or not self._stage.is_filled:
            return
        merge = self._merge_into(destination)
        counts = self._merge(merge, destination) if merge.key else Counts(inserted=self._run(merge.append()))
        if destination is self._table:
            self._counts += counts
        self._stage.clear()

    def _merge_into(self, destination: Destination) -> statements.Merge:
        wanted = self._stream.wanted
        return statements.Merge(
            destination.quoted,
            self._stage.table,
            source=tuple(wanted.source),
            metadata=tuple(wanted.metadata),
            key=wanted.key,
            kinds=destination.facts.kinds,
            origin_kinds=self._stage.kinds,
        )

    def _merge(self, merge: statements.Merge, destination: Destination) -> Counts:
        self._stage.keep_last()
        deleted = self._delete(merge, destination) if self._stage.has_marks else 0
        is_apart = merge.is_apart() if merge.is_ordered else statements.is_empty(destination.quoted)
        if self._ask(is_apart):  # a log that grew, or a first load
            return Counts(inserted=self._run(merge.append()), deleted=deleted)
        [(rows,)] = self._connection.execute(statements.count(self._stage.table)).fetchall()
        inserted, updated = self._run(merge.insert()), self._run(merge.update())
        return Counts(inserted, updated, rows - updated - inserted, deleted)

    def _delete(self, merge: statements.Merge, destination: Destination) -> int:
        """Delete or mark; of a version that is being gathered rows are deleted, and marked when it is activated."""
        deletes = self._stream.hard_delete or destination is not self._table
        deleted = self._run(merge.delete_marked() if deletes else merge.mark_marked())
        self._run(merge.forget_marked())
        return deleted

    def _ask(self, statement: Composed) -> bool:
        [(answer,)] = self._connection.execute(statement).fetchall()
        return bool(answer)

    def _run(self, statement: Composed) -> int:
        return self._connection.execute(statement).rowcount
