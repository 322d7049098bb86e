"""The MySQL or MariaDB database that holds the replica: sessions, locks, what a stream needs before its first row."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from target_opendental_replica.errors import IdentifierError, LockedError, ReplicaError, name_stream
from target_opendental_replica.mysql.connection import Link
from target_opendental_replica.mysql.errors import code_of
from target_opendental_replica.mysql.fitting import Fitting, show_create
from target_opendental_replica.mysql.layout import lay_out
from target_opendental_replica.mysql.ledger import Ledger
from target_opendental_replica.mysql.loader import Found, TableLoader
from target_opendental_replica.mysql.rendering import choose_renderer
from target_opendental_replica.mysql.statements import lock_name, own_name
from target_opendental_replica.owners import Owners
from target_opendental_replica.versions import RunVersions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_opendental_replica.mysql.layout import Layout
    from target_opendental_replica.mysql.ledger import Entry
    from target_opendental_replica.positions import Position
    from target_opendental_replica.settings import Settings
    from target_opendental_replica.stream_facts import Field, StreamFacts

_STEP_SECONDS = 1
_NO_SUCH_THREAD = 1094


@dataclass(frozen=True)
class Run:
    """What the sessions of one run have in common: its versions and tables, and the connections that it has closed.

    The server may not have noticed those, and lets them hold locks.
    """

    versions: RunVersions = field(default_factory=RunVersions)
    owners: Owners = field(default_factory=Owners)
    closed: set[int] = field(default_factory=set)


class MySQLWarehouse:
    """Implements `warehouse.Warehouse`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._run = Run()

    def connect(self) -> MySQLSession:
        """Open a session, and make the tables of our own."""
        return MySQLSession(self._settings, self._run)

    def render(self, field: Field) -> Callable[[object], str]:
        """Return what writes a value of that property's JSON into a CSV field."""
        return choose_renderer(field)


class MySQLSession:
    """Implements `warehouse.Session`: one connection, which holds the lock of each stream that is open on it.

    `run` is what the sessions of one run have in common.
    """

    def __init__(self, settings: Settings, run: Run) -> None:
        self._settings = settings
        self._run = run
        self._link = Link(settings)
        self._ledger = Ledger(self._link)
        try:
            self._ledger.create()
        except BaseException:
            self.close()
            raise

    def open_stream(self, facts: StreamFacts, notify: Callable[[str], None]) -> TableLoader:
        """Lock the stream, and make its table fit."""
        try:
            return self._open_stream(facts, notify)
        except IdentifierError as error:
            raise name_stream(error, facts.stream) from None

    def _open_stream(self, facts: StreamFacts, notify: Callable[[str], None]) -> TableLoader:
        layout = lay_out(facts, self._settings, self._link.collation)
        self._require_own(layout)
        self._lock(layout)
        self._require_own(layout)  # another run may have begun with the table meanwhile
        entry = self._recover(layout, self._ledger.read(layout.stream, layout.table))
        begins = facts.start is None or facts.start.serial == 0
        fitting = Fitting(self._link, self._ledger, layout, notify, begins)
        fitted = fitting.fit(entry)
        if fitted.versions.gathered is not None:
            fitted = fitting.fit_gathered(fitted)
        fitted = replace(fitted, versions=self._run.versions.go_on(facts, fitted.versions))
        start = facts.start
        held = self._ledger.read_position(layout.stream, start.lineage if start else "")
        self._link.commit()
        return TableLoader(self._link, self._ledger, layout, Found(fitted, held, self._run.versions, notify))

    def read_positions(self) -> Mapping[tuple[str, str], Position]:
        """Return all that `_od_load_state` holds, by stream and lineage."""
        positions = self._ledger.read_positions()
        self._link.commit()
        return positions

    def find_gone(self) -> Mapping[str, str]:
        """Return the streams whose table was made here and is gone, with the table's name."""
        gone = self._ledger.find_gone()
        self._link.commit()
        return gone

    def save_position(self, stream: str, position: Position) -> None:
        """Save the position of a stream that is not open, and commit it."""
        self._ledger.write_position(stream, position)
        self._link.commit()

    def close(self) -> None:
        """Close the connection; what was not settled is rolled back at once."""
        with suppress(ReplicaError):
            self._link.run("ROLLBACK")
        self._run.closed.add(self._link.identity)
        self._link.close()

    def _require_own(self, layout: Layout) -> None:
        remembered = self._ledger.find_owner(layout.stream, layout.table)
        self._link.commit()
        self._run.owners.require(layout.stream, layout.table, remembered)

    def _lock(self, layout: Layout) -> None:
        """Take the lock of a table, in small steps; it lasts until it is released, or as long as the connection."""
        name = lock_name(self._settings.address.database, layout.table)
        end = time.monotonic() + self._settings.lock_wait_seconds
        while True:
            left = end - time.monotonic()
            if self._link.run("SELECT GET_LOCK(%s, %s)", (name, max(0, min(_STEP_SECONDS, left)))).rows[0][0] == 1:
                return
            holder = self._link.run("SELECT IS_USED_LOCK(%s)", (name,)).rows[0][0]
            if holder in self._run.closed:
                self._end(holder)
                end += _STEP_SECONDS
            elif left <= 0 and holder is not None:
                raise LockedError(
                    f"stream {layout.stream}: connection {holder} of the server is writing table {layout.table}: wait "
                    "until that run ends, or end it"
                )

    def _end(self, connection: int) -> None:
        """End a connection of this run that the server still takes for alive."""
        self._run.closed.discard(connection)
        try:
            self._link.run(f"KILL {connection}")
        except ReplicaError as error:
            if code_of(error) != _NO_SUCH_THREAD:
                raise

    def _recover(self, layout: Layout, entry: Entry) -> Entry:
        """Finish what a crash cut between a swap and its record; the gathered table is gone if the swap was made.

        Without a swap somebody dropped it, and its version is forgotten.
        """
        if entry.swapped is None and entry.versions.gathered is None:
            return entry
        is_there = show_create(self._link, own_name("new", layout.table)) is not None
        if is_there and entry.swapped is None:
            return entry
        if not is_there:
            versions = replace(entry.versions, gathered=None)
            entry = replace(entry, versions=versions if entry.swapped is None else versions.activate(entry.swapped))
        entry = replace(entry, swapped=None)
        self._ledger.write(layout.stream, entry)
        self._link.commit()
        return entry
