"""What a stream's table is to be, and where each property goes (pure)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_opendental_replica.errors import BrokenStreamError, ConfigError, TapSettingsError
from target_opendental_replica.mysql.columns import (
    deleted_column,
    deleted_slot,
    describe_table,
    make_slot,
)
from target_opendental_replica.statements import quote, render_create_table
from target_opendental_replica.stream_facts import DELETED_AT
from target_opendental_replica.warehouse import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_opendental_replica.batches import Batch
    from target_opendental_replica.mysql.columns import Slot
    from target_opendental_replica.settings import Settings
    from target_opendental_replica.stream_facts import StreamFacts

_TRANSACTIONAL = frozenset({"innodb", "rocksdb"})


@dataclass(frozen=True)
class Layout:
    """A stream's table: its facts as wanted, and the slot of each property that is sent.

    `key` are columns of the primary key. `marks` says that the table has `_sdc_deleted_at`. `drops` says that columns
    which are gone at the source go here too.
    """

    stream: str
    facts: Mapping[str, Any]
    slots: Mapping[str, Slot]
    marks: bool
    drops: bool

    @property
    def table(self) -> str:
        """The table's name."""
        return str(self.facts["name"])

    @property
    def key(self) -> tuple[str, ...]:
        """Columns of the primary key; none of a table whose rows add up."""
        return tuple(self.facts.get("primary_key", ()))

    @property
    def is_transactional(self) -> bool:
        """False for an engine such as MyISAM, whose rows last as soon as they are written."""
        return str(self.facts["engine"]).lower() in _TRANSACTIONAL

    @property
    def uniques(self) -> tuple[Sequence[Mapping[str, Any]], ...]:
        """The columns of each UNIQUE index beside the primary key."""
        return tuple(index["columns"] for index in self.facts.get("indexes", ()) if index.get("unique"))

    @property
    def moving(self) -> tuple[str, ...]:
        """The columns that the server sets to the present moment when it updates a row."""
        return tuple(str(column["name"]) for column in self.facts["columns"] if column.get("on_update"))

    @property
    def deferrable(self) -> tuple[Mapping[str, Any], ...]:
        """The indexes that rows need not have while they are loaded."""
        return tuple(index for index in self.facts.get("indexes", ()) if not index.get("unique"))

    @property
    def wanted(self) -> str:
        """A hash of what the table is to be."""
        text = f"{render_create_table(self.facts)}\n{'drop' if self.drops else 'keep'}"
        return hashlib.sha256(text.encode()).hexdigest()

    def match(self, batch: Batch) -> tuple[Slot, ...]:
        """Return the slots of a batch's columns.

        BrokenStreamError for no column, one twice, one that the stream does not have, or a property that is not there.
        """
        known = {**self.slots, DELETED_AT: deleted_slot()}
        slots = tuple(known[name] for name in batch.columns if name in known)
        names = {slot.column for slot in slots}
        lacking = [name for name in self.slots if name not in batch.columns]
        if not batch.columns:
            fault = "rows come without the names of their columns"
        elif len(slots) < len(batch.columns):
            fault = "rows have columns that its SCHEMA does not have"
        elif len(names) < len(slots):
            fault = "rows have a column twice"
        elif lacking:
            fault = f"rows lack {lacking[0]!r}, which the SCHEMA has: another value would be written over theirs"
        else:
            return slots
        raise BrokenStreamError(f"stream {self.stream}, {batch.locate(None)}: {fault}")

    def unsent(self, slots: Sequence[Slot], kept: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
        """Return the facts of the table's columns that are not among the slots, `kept` ones included."""
        sent = {slot.column for slot in slots} | {DELETED_AT}
        return tuple(each for each in (*self.facts["columns"], *kept) if each["name"] not in sent)


def lay_out(facts: StreamFacts, settings: Settings, collation: str) -> Layout:
    """Decide on a stream's table.

    With facts of the whole table it is the source's, by the stream's own name where a stream map has renamed that;
    ConfigError when the values are not exact, or the key is not sent.
    Where stream maps added properties that the source's table does not have, and for other taps, the properties' own
    facts and JSON Schemas make the table, in `collation`.
    """
    table = _exact_table(facts)
    exact = table is not None
    if table is None:
        table = describe_table(facts.stream, facts.fields, facts.key, collation)
    columns = [*table["columns"], *([deleted_column()] if not settings.hard_delete else [])]
    engine = settings.engine or str(table.get("engine", "MyISAM"))
    wanted = {**table, "columns": columns, "engine": engine}
    by_name = {column["name"]: column for column in columns}
    slots = {
        each.name: make_slot(
            each, by_name[each.column["name"] if exact and each.column else each.name], is_exact=facts.is_exact
        )
        for each in facts.fields
    }
    layout = Layout(facts.stream, wanted, slots, not settings.hard_delete, settings.drops_columns)
    _require_sound(layout)
    return layout


def _exact_table(facts: StreamFacts) -> Mapping[str, Any] | None:
    if facts.table is None:
        return None
    names = {column["name"] for column in facts.table["columns"]}
    if any(each.column is None or each.column["name"] not in names for each in facts.fields):
        return None
    if not facts.is_exact:
        raise TapSettingsError(
            f"stream {facts.stream}: a MySQL replica needs every value as the source has it: set `values: exact` and "
            "`names: exact` of tap-opendental for this job, as meltano.yml does for tap-opendental-exact"
        )
    return {**facts.table, "name": facts.stream} if facts.is_renamed else facts.table


def _require_sound(layout: Layout) -> None:
    quote(layout.table)
    if layout.table.lower().startswith(PREFIX):
        raise ConfigError(f"stream {layout.stream}: tables of the target's own begin with {PREFIX}: leave it out")
    sent = {slot.column for slot in layout.slots.values()}
    for name in layout.key:
        if name not in sent:
            raise ConfigError(f"stream {layout.stream}: column {name} of the key is not sent: select it in the tap")
    required = {c["name"] for c in layout.facts["columns"] if not c.get("nullable", True)} - sent
    if any(column["name"] in required for index in layout.uniques for column in index):
        raise ConfigError(
            f"stream {layout.stream}: a UNIQUE key has a column that is not sent, and every row would be the same in it"
        )
