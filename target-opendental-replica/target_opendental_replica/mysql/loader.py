"""One stream's table while a run writes it.

Rows are collected in a temporary table, the stage, and merged when they settle. They are loaded straight into a table
that nobody reads yet: that of a version which is gathered, and an InnoDB table that was empty when the run began (there
they show when they settle). `settle` commits rows and position in one transaction.

MyISAM tables have no transactions: what is written lasts. There the order is: rows that are in the way of a UNIQUE
value are deleted, rows are written, rows that are gone are deleted, and then the position is committed. A crash in
between leaves the position of before, and the next run sends all of those rows again: whatever was missing or old comes
right, since the merge sets every column that is sent. Rows without a key, which add up, are the exception: there is
nothing to know them by.

A version takes the table's place in these steps, each of which lasts: (1) the gathered rows, and the intention to swap;
(2) RENAME TABLE, which readers see at once; (3) the new version and the position. After a crash behind (2) the gathered
table is gone, by which the next session knows that the swap was made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from target_opendental_replica.errors import counted
from target_opendental_replica.mysql import bulk
from target_opendental_replica.mysql.keys import WORTH_IT, defer_keys, make_keys
from target_opendental_replica.mysql.statements import (
    DISPLACED,
    STAGE,
    lock_name,
    match,
    own_name,
    render_carry_marked,
    render_carry_values,
    render_compare,
    render_conflicts,
    render_delete,
    render_displaced,
    render_mark,
    render_return,
    render_stage,
    render_upsert,
    render_yielding,
)
from target_opendental_replica.statements import quote
from target_opendental_replica.stream_facts import DELETED_AT
from target_opendental_replica.warehouse import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_opendental_replica.batches import Batch
    from target_opendental_replica.mysql.columns import Slot
    from target_opendental_replica.mysql.connection import Link
    from target_opendental_replica.mysql.layout import Layout
    from target_opendental_replica.mysql.ledger import Entry, Ledger
    from target_opendental_replica.positions import Position
    from target_opendental_replica.versions import RunVersions

# MyISAM would take rows at 15% less of the server's time, but a transaction that writes it has a part that cannot be
# rolled back: InnoDB then lets others be the victims of its deadlocks, and servers with GTIDs may refuse it.
_STAGE_ENGINE = "InnoDB"


@dataclass(frozen=True)
class Stage:
    """The rows that wait: which columns they have, and for which table they are."""

    table: str
    slots: tuple[Slot, ...]

    @property
    def deletes(self) -> bool:
        """True when rows may be marked as gone."""
        return any(slot.column == DELETED_AT for slot in self.slots)

    @property
    def values(self) -> tuple[Slot, ...]:
        """The slots of the table's own columns."""
        return tuple(slot for slot in self.slots if slot.column != DELETED_AT)


@dataclass(frozen=True)
class Found:
    """What a session found for a stream whose lock it holds: what is remembered of its table, and its position.

    `run_versions` is what the run knows of versions, `notify` takes what is to be told.
    """

    entry: Entry
    held: Position | None
    run_versions: RunVersions
    notify: Callable[[str], None]


class TableLoader:
    """Implements `warehouse.StreamLoader`; the module's text says what a crash leaves."""

    def __init__(self, link: Link, ledger: Ledger, layout: Layout, found: Found) -> None:
        self.held = found.held
        self._link = link
        self._ledger = ledger
        self._layout = layout
        self._entry = found.entry
        self._run_versions, self._notify = found.run_versions, found.notify
        self._is_gathering = False
        self._stage: Stage | None = None
        self._activating: int | None = None
        self._was_empty: bool | None = None
        self._lacks_keys: set[str] = set() if found.entry.versions.gathered is None else {self._gathered}
        self._has_added = False
        self._counts = Counts()

    def load(self, batch: Batch) -> None:
        """Take a batch."""
        slots = self._layout.match(batch)
        place = bulk.Place(self._layout.stream, batch, slots)
        table = self._destination(batch.version, batch.size)
        if not self._take_directly(place, table):
            self._require_stage(Stage(table, slots))
            bulk.take(self._link, place, STAGE)

    def activate(self, version: int) -> None:
        """Make a version the table when it settles."""
        if not self._is_new_version(version):
            return
        self._destination(version)
        self._merge_stage()
        self._activating = version

    def settle(self, position: Position | None) -> Counts:
        """Merge, swap if a version was activated, and commit."""
        self._merge_stage()
        if self._activating is not None:
            self._swap(self._activating, position)
        else:
            self._make_waiting()
            self._commit(position)
        if self._is_gathering or self._entry.versions.gathered is None:
            self._run_versions.note(self._layout.stream, self._entry.versions.gathered)
        counts, self._counts = self._counts, Counts()
        return counts

    def release(self) -> None:
        """Free the table's lock; what was not settled is rolled back."""
        self._link.run("ROLLBACK")
        self._link.run(f"DROP TEMPORARY TABLE IF EXISTS {STAGE}, {DISPLACED}")
        self._stage = None
        self._link.run("SELECT RELEASE_LOCK(%s)", (lock_name(self._link.address.database, self._layout.table),))

    # --- where rows go ------------------------------------------------------------------------------------------------

    @property
    def _gathered(self) -> str:
        return own_name("new", self._layout.table)

    def _destination(self, version: int | None, size: int = 0) -> str:
        """Return the table for rows of that version, which begin a gathering if it is a new one."""
        if version is None or not self._is_new_version(version):
            return self._layout.table if self._activating is None else self._gathered
        if self._activating is not None and version != self._activating:
            self._merge_stage()
            self._swap(self._activating, None)
        if self._entry.versions.gathered != version:
            self._gather(version, size)
        self._is_gathering = True
        return self._gathered

    def _is_new_version(self, version: int) -> bool:
        """True for a version that is gathered; of one that was replaced here that is told."""
        return self._run_versions.is_new(self._layout.stream, version, self._entry.versions, self._notify)

    def _gather(self, version: int, size: int) -> None:
        """Begin with an empty table for the rows of a version; those of another one are dropped."""
        self._merge_stage()
        self._make_waiting()  # the table of the version is made like this one
        self._remember(replace(self._entry, versions=replace(self._entry.versions, gathered=None)))
        self._link.run(f"DROP TABLE IF EXISTS {quote(self._gathered)}")
        self._link.run(f"CREATE TABLE {quote(self._gathered)} LIKE {quote(self._layout.table)}")
        if not self._layout.key and not self._layout.is_transactional:  # rows that add up must go with their position
            self._link.run(f"ALTER TABLE {quote(self._gathered)} ENGINE=InnoDB")
        self._lacks_keys.discard(self._gathered)
        if size >= WORTH_IT:
            self._defer(self._gathered)
        self._remember(replace(self._entry, versions=self._entry.versions.gather(version)))

    def _defer(self, table: str) -> None:
        defer_keys(self._link, self._layout, table)
        self._lacks_keys.add(table)

    def _remember(self, entry: Entry) -> None:
        self._ledger.write(self._layout.stream, entry)
        self._link.commit()
        self._entry = entry

    def _take_directly(self, place: bulk.Place, table: str) -> bool:
        """Load straight into a table that nobody sees yet; False when the rows must go by the stage.

        Of a gathered table the last row of a key takes the other's place whole. Into a table that was empty rows are
        added until one comes whose key is there: from then on rows are merged.
        """
        layout = self._layout
        if not layout.key or {slot.name for slot in place.slots} != set(layout.slots):
            return False
        unsent = layout.unsent(place.slots, self._entry.kept)
        if table != layout.table:
            self._merge_stage()
            bulk.take(self._link, place, table, unsent)
            return True
        return self._stage is None and layout.is_transactional and self._is_new() and self._add(place, unsent)

    def _add(self, place: bulk.Place, unsent: Sequence[Mapping[str, Any]]) -> bool:
        if not self._has_added and place.batch.size >= WORTH_IT:
            self._defer(self._layout.table)
        self._has_added = True
        self._link.run("SAVEPOINT before_rows")
        rows = bulk.take(self._link, place, self._layout.table, unsent, replaces=False)
        if rows is None:
            self._link.run("ROLLBACK TO SAVEPOINT before_rows")
            self._was_empty = False
            return False
        self._counts += Counts(inserted=rows)
        return True

    def _is_new(self) -> bool:
        if self._was_empty is None:
            rows = self._link.run(f"SELECT 1 FROM {quote(self._layout.table)} LIMIT 1", table=self._layout.table).rows
            self._was_empty = not rows
        return self._was_empty

    def _require_stage(self, stage: Stage) -> None:
        if self._stage == stage:
            return
        self._merge_stage()
        self._link.run(f"DROP TEMPORARY TABLE IF EXISTS {STAGE}")
        self._link.run(render_stage(self._layout.facts, stage.slots, _STAGE_ENGINE), table=self._layout.table)
        self._stage = stage

    # --- merging ------------------------------------------------------------------------------------------------------

    def _merge_stage(self) -> None:
        if self._stage is None:
            return
        counts = self._merge(self._stage)
        if self._stage.table == self._layout.table:
            self._counts += counts
        self._link.run(f"DROP TEMPORARY TABLE IF EXISTS {STAGE}, {DISPLACED}")
        self._stage = None

    def _merge(self, stage: Stage) -> Counts:
        layout, table = self._layout, stage.table
        unsent = layout.unsent(stage.slots, self._entry.kept)
        displaced = self._make_way(stage) if layout.uniques else Counts()
        upsert = render_upsert(
            table, stage.values, unsent, keyed=bool(layout.key), marks=layout.marks, deletes=stage.deletes
        )
        answer = self._link.run(upsert, table=table)
        records, updated, _ = bulk.read_counts(answer)
        inserted = answer.affected - 2 * updated
        counts = Counts(inserted, updated, records - inserted - updated) + displaced
        if displaced.updated and unsent:
            self._link.run(render_return(table, layout.key, unsent, layout.moving), table=table)
        return counts + self._delete(stage)

    def _make_way(self, stage: Stage) -> Counts:
        """Delete rows that hold a UNIQUE value of another row that comes.

        Those that come back in the same stage get their values of columns that are not sent again. Who comes back with
        a later one is a new row, with the defaults of withheld columns, and NULL in kept ones.
        """
        layout, table = self._layout, stage.table
        unsent = [str(column["name"]) for column in layout.unsent(stage.slots, self._entry.kept)]
        counts = Counts()
        for unique in layout.uniques:
            conflicts = render_conflicts(table, layout.key, unique, deletes=stage.deletes)
            if not self._link.run(f"SELECT 1 FROM {conflicts} LIMIT 1", table=table).rows:
                continue
            again = counts != Counts()
            self._link.run(render_displaced(conflicts, [*layout.key, *unsent], again=again), table=table)
            gone = self._link.run(f"DELETE t FROM {conflicts}", table=table).affected
            counts += Counts(deleted=gone)
        if counts.deleted:
            alive = f" WHERE s.{quote(DELETED_AT)} IS NULL" if stage.deletes else ""
            met = f"SELECT COUNT(*) FROM {DISPLACED} d JOIN {STAGE} s ON {match(layout.key, 'd', 's')}{alive}"
            back = int(self._link.run(met).rows[0][0])
            counts += Counts(inserted=-back, updated=back, deleted=-back)
        return counts

    def _delete(self, stage: Stage) -> Counts:
        layout, table = self._layout, stage.table
        if not stage.deletes or not layout.key:
            return Counts()
        marking = render_mark(table, layout.key, layout.moving) if layout.marks else render_delete(table, layout.key)
        return Counts(deleted=self._link.run(marking, table=table).affected)

    # --- settling -----------------------------------------------------------------------------------------------------

    def _make_waiting(self) -> None:
        """Make the indexes that the table has not had while it was first filled, which commits its rows.

        No position is saved before: with one the stream might never come again, and the table would stay without them.
        """
        if self._layout.table in self._lacks_keys:
            self._link.commit()
            make_keys(self._link, self._layout, self._layout.table)
            self._lacks_keys.discard(self._layout.table)

    def _commit(self, position: Position | None) -> None:
        if position is not None:
            self._ledger.write_position(self._layout.stream, position)
        self._link.commit()

    def _swap(self, version: int, position: Position | None) -> None:
        table, old = quote(self._layout.table), own_name("old", self._layout.table)
        self._complete()
        self._remember(replace(self._entry, swapped=version))
        self._lacks_keys.discard(self._layout.table)
        self._link.run(f"DROP TABLE IF EXISTS {quote(old)}")
        self._link.alter(
            f"RENAME TABLE {table} TO {quote(old)}, {quote(self._gathered)} TO {table}", table=self._layout.table
        )
        entry = replace(self._entry, versions=self._entry.versions.activate(version), swapped=None)
        self._ledger.write(self._layout.stream, entry)
        self._commit(position)
        self._entry, self._activating, self._was_empty = entry, None, False
        self._link.run(f"DROP TABLE IF EXISTS {quote(old)}")

    def _complete(self) -> None:
        """Make the gathered table what the table will be: engine, values that are not sent, rows that are marked."""
        layout, new = self._layout, self._gathered
        sent = list(layout.slots.values())
        if layout.key:
            self._counts += self._compare(sent)
            self._carry(sent)
        else:
            count = "SELECT COUNT(*) FROM "
            old, now = (int(self._link.run(count + quote(each)).rows[0][0]) for each in (layout.table, new))
            self._counts += Counts(inserted=now, deleted=old)
            if not layout.is_transactional:
                self._link.run(f"ALTER TABLE {quote(new)} ENGINE={layout.facts['engine']}")
        if new in self._lacks_keys:
            make_keys(self._link, layout, new)
            self._lacks_keys.discard(new)

    def _compare(self, sent: list[Slot]) -> Counts:
        layout = self._layout
        columns = [slot.facts for slot in sent]
        compare = render_compare(layout.table, self._gathered, columns, layout.key, marks=layout.marks)
        total, met, same = (int(each) for each in self._link.run(compare, table=layout.table).rows[0])
        alive = f" WHERE {quote(DELETED_AT)} IS NULL" if layout.marks else ""
        old = int(self._link.run(f"SELECT COUNT(*) FROM {quote(layout.table)}{alive}").rows[0][0])
        return Counts(inserted=total - met, updated=met - same, unchanged=same, deleted=old - met)

    def _carry(self, sent: list[Slot]) -> None:
        layout, new = self._layout, self._gathered
        unsent = layout.unsent(sent, self._entry.kept)
        if unsent:
            self._link.run(render_carry_values(layout.table, new, unsent, layout.key, layout.moving), table=new)
        if layout.marks:
            self._carry_marked()

    def _carry_marked(self) -> None:
        """Take the rows over that are gone at the source, but those of whose UNIQUE values other rows have come."""
        layout, new = self._layout, self._gathered
        columns = [each for each in (*layout.facts["columns"], *self._entry.kept) if each["name"] != DELETED_AT]
        yielding = render_yielding(layout.table, new, layout.key, layout.uniques) if layout.uniques else "SELECT 0"
        number = int(self._link.run(yielding, table=new).rows[0][0])
        self._link.run(render_carry_marked(layout.table, new, columns, layout.key, layout.uniques), table=new)
        if number:
            self._notify(
                f"table {layout.table}: {counted(number, 'row')} that are gone at the source are deleted, not "
                "marked: others have their UNIQUE values now"
            )
