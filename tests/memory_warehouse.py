"""A destination in memory, small enough to be obviously right: what the target's own flow is tested against."""

import csv
import io
from collections import defaultdict
from dataclasses import dataclass, field

from target_opendental_replica.errors import UnfitError
from target_opendental_replica.stream_facts import DELETED_AT
from target_opendental_replica.warehouse import Counts


@dataclass
class MemoryWarehouse:
    """Tables by stream and key; `faults` are errors to raise, by the name of a step, one after the other."""

    tables: dict = field(default_factory=lambda: defaultdict(dict))
    gathered: dict = field(default_factory=lambda: defaultdict(dict))
    active: dict = field(default_factory=dict)
    positions: dict = field(default_factory=dict)
    gone: dict = field(default_factory=dict)
    faults: dict = field(default_factory=lambda: defaultdict(list))
    log: list = field(default_factory=list)
    sessions: int = 0

    def connect(self):
        """Open a session."""
        self.fail("connect")
        self.sessions += 1
        return MemorySession(self)

    def render(self, field):
        """Write whole numbers bare, all else as text."""
        kinds = field.schema.get("type", [])
        wants_number = "integer" in kinds

        def render(value):
            if value is None:
                return "NULL"
            if wants_number and type(value) is not int:
                raise UnfitError("it is no whole number")
            return str(value) if type(value) is int else '"' + str(value).replace('"', '""') + '"'

        return render

    def fail(self, step):
        """Raise the step's next fault, if there is one."""
        if self.faults[step] and (fault := self.faults[step].pop(0)):
            raise fault


@dataclass
class MemorySession:
    """A session; a loader's steps are kept until they are settled."""

    warehouse: MemoryWarehouse

    def open_stream(self, facts, notify):  # noqa: ARG002 - nothing is made to fit
        """A loader of the stream."""
        self.warehouse.fail(f"open {facts.stream}")
        return MemoryLoader(self.warehouse, facts)

    def read_positions(self):
        """All positions."""
        return dict(self.warehouse.positions)

    def find_gone(self):
        """Streams whose table a test has dropped."""
        return dict(self.warehouse.gone)

    def save_position(self, stream, position):
        """Keep a position."""
        self.warehouse.positions[stream, position.lineage] = position

    def close(self):
        """Keep nothing: steps that were not settled are gone with their loader."""


class MemoryLoader:
    """One stream's table."""

    def __init__(self, warehouse, facts):
        self.warehouse = warehouse
        self.facts = facts
        self.held = warehouse.positions.get((facts.stream, facts.start.lineage)) if facts.start else None
        self._steps = []

    def load(self, batch):
        """Note the rows."""
        self.warehouse.fail("load")
        with io.TextIOWrapper(batch.open(), "utf-8", newline="") as file:
            rows = [*csv.reader(file)]
        self._steps.append((batch.version, [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]))

    def activate(self, version):
        """Note the version."""
        self._steps.append((version, None))

    def settle(self, position):
        """Do what was noted, and keep the position."""
        self.warehouse.fail("settle")
        counts = Counts()
        for version, rows in self._steps:
            counts += self._activate(version) if rows is None else self._merge(version, rows)
        self._steps = []
        if position is not None:
            self.warehouse.positions[self.facts.stream, position.lineage] = position
        self.warehouse.log.append((self.facts.stream, position and position.serial))
        return counts

    def release(self):
        """Note it."""
        self.warehouse.log.append((self.facts.stream, "released"))

    def _merge(self, version, rows):
        stream = self.facts.stream
        is_new = version not in {None, self.warehouse.active.get(stream)}
        table = self.warehouse.gathered[stream, version] if is_new else self.warehouse.tables[stream]
        counts = Counts()
        for row in rows:
            key = tuple(row[name] for name in self.facts.key) or (len(table),)
            if row.get(DELETED_AT, "NULL") != "NULL":
                counts += Counts(deleted=int(table.pop(key, None) is not None))
                continue
            before = table.get(key)
            counts += Counts(inserted=before is None, updated=before not in (None, row), unchanged=before == row)
            table[key] = row
        return counts

    def _activate(self, version):
        stream = self.facts.stream
        if version != self.warehouse.active.get(stream):
            self.warehouse.tables[stream] = self.warehouse.gathered.pop((stream, version), {})
            self.warehouse.active[stream] = version
        return Counts()
