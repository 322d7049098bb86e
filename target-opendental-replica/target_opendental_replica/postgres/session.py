"""One connection: locks streams, makes their tables fit, and hands out loaders."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from psycopg.sql import SQL, Identifier, Literal

from target_opendental_replica.errors import LockedError, MissingRowsError, describe_gone
from target_opendental_replica.postgres import statements
from target_opendental_replica.postgres.catalog import read_table
from target_opendental_replica.postgres.errors import translated
from target_opendental_replica.postgres.fitting import Fitting
from target_opendental_replica.postgres.loader import Found, PostgresLoader, Run, Stream
from target_opendental_replica.postgres.model import TABLE_VERSION, Table
from target_opendental_replica.postgres.names import choose_gathered, choose_lock, choose_table
from target_opendental_replica.postgres.registry import Registry
from target_opendental_replica.postgres.types import INTEGERS
from target_opendental_replica.postgres.wanted import choose_wanted
from target_opendental_replica.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from psycopg.sql import Composed

    from target_opendental_replica.positions import Position
    from target_opendental_replica.postgres.connection import Connection
    from target_opendental_replica.settings import Settings
    from target_opendental_replica.stream_facts import StreamFacts

_LOCK_STEP = 0.2
_HOLDER = """
SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
AND classid::bigint = (%(lock)s >> 32) & 4294967295 AND objid::bigint = %(lock)s & 4294967295
AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
"""


class PostgresSession:
    """A `Session`. `run` is what the sessions of one run have in common."""

    def __init__(self, connection: Connection, settings: Settings, run: Run) -> None:
        self._connection, self._settings, self._run = connection, settings, run
        self._registry = Registry(connection, settings.schema)
        self._locks: set[int] = set()

    def prepare(self) -> None:
        """Make sure of the schema and the target's own tables."""
        with translated(f"schema {self._settings.schema}"):
            self._registry.prepare()

    def open_stream(self, facts: StreamFacts, notify: Callable[[str], None]) -> PostgresLoader:
        """Lock the stream and make its table fit; what that changed is committed when this returns.

        Whose table it is is asked again behind the lock: another run may have begun with it meanwhile.
        """
        stream = Stream(
            name=facts.stream,
            schema=self._settings.schema,
            table=choose_table(facts.stream),
            wanted=choose_wanted(facts, adds_metadata=self._settings.adds_metadata),
            hard_delete=self._settings.hard_delete,
            run=self._run,
        )
        with translated(stream.where):
            try:
                self._require_own(stream)
                self._lock(stream)
                self._require_own(stream)
                loader = self._open(stream, facts, notify)
                self._connection.commit()
            except BaseException:
                if not self._connection.broken:
                    self._connection.rollback()
                raise
        return loader

    def read_positions(self) -> Mapping[tuple[str, str], Position]:
        """Return all positions that the target's own table has."""
        with translated(f"schema {self._settings.schema}"):
            positions = self._registry.read_positions()
            self._connection.commit()
        return positions

    def find_gone(self) -> Mapping[str, str]:
        """Return the streams whose table was made here and is gone, with the table's name."""
        with translated(f"schema {self._settings.schema}"):
            gone = self._registry.find_gone()
            self._connection.commit()
        return gone

    def save_position(self, stream: str, position: Position) -> None:
        """Save the position of a stream that is not open, and commit it."""
        with translated(f"stream {stream}"):
            self._registry.save_position(stream, position)
            self._connection.commit()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _open(self, stream: Stream, facts: StreamFacts, notify: Callable[[str], None]) -> PostgresLoader:
        fitting = self._fit(stream.table, notify)
        table = read_table(self._connection, stream.schema, stream.table)
        versions = self._registry.read_versions(stream.name)
        if table is None:
            if versions is not None:
                self._require_begin(stream, facts, notify)
            versions = self._begin(stream)
            table = fitting.create(stream.wanted)
        else:
            table = fitting.fit(table, stream.wanted)
            versions = versions or self._take_over(stream, table, facts)
            versions = self._fit_gathered(stream, versions)
        versions = self._run.versions.go_on(facts, versions)
        held = self._registry.read_position(stream.name, facts.start.lineage if facts.start else "")
        found = Found(table, versions, held, lambda: self._unlock(stream), notify)
        return PostgresLoader(self._connection, stream, self._registry, found)

    def _require_own(self, stream: Stream) -> None:
        remembered = self._registry.find_owner(stream.name, stream.table)
        self._run.owners.require(stream.name, stream.table, remembered)

    def _require_begin(self, stream: Stream, facts: StreamFacts, notify: Callable[[str], None]) -> None:
        """Refuse to make a table again that was dropped here, unless the tap starts before its first row."""
        if facts.start is not None and facts.start.serial > 0:
            raise MissingRowsError(f"{stream.where}: {describe_gone([stream.table])}")
        notify(f"{stream.schema}.{stream.table} is gone: it is made again, without its rows")

    def _begin(self, stream: Stream) -> Versions:
        """Begin with nothing, whatever is remembered of a table that someone has dropped."""
        self._registry.forget(stream.name)
        self._connection.execute(statements.drop_table(_quote_gathered(stream)))
        self._registry.save_versions(stream.name, stream.table, Versions())
        return Versions()

    def _take_over(self, stream: Stream, table: Table, facts: StreamFacts) -> Versions:
        """Take over what stock target-postgres loaded: its newest version is the active one.

        Unless the tap goes on with that one: then it is not whole, and its rows count as gathered.
        """
        versions = self._read_stock_versions(stream, table)
        newest = versions[0] if versions else None
        found = Versions(active=newest)
        if newest is not None and facts.start is not None and facts.start.version == newest:
            found = Versions(active=versions[1] if len(versions) > 1 else None, gathered=newest)
            self._copy_stock_version(stream, table, newest)
        self._registry.save_versions(stream.name, stream.table, found)
        return found

    def _read_stock_versions(self, stream: Stream, table: Table) -> list[int]:
        """The two newest versions, newest first."""
        if table.kinds.get(TABLE_VERSION) not in INTEGERS:
            return []
        query = SQL("SELECT DISTINCT {0} FROM {1} WHERE {0} IS NOT NULL ORDER BY {0} DESC LIMIT 2").format(
            Identifier(TABLE_VERSION), statements.qualify(stream.schema, stream.table)
        )
        return [version for (version,) in self._connection.execute(query)]

    def _copy_stock_version(self, stream: Stream, table: Table, version: int) -> None:
        source, gathered = statements.qualify(stream.schema, stream.table), _quote_gathered(stream)
        self._connection.execute(statements.drop_table(gathered))
        self._connection.execute(statements.create_like(gathered, source, table.key or stream.wanted.key))
        query = SQL("INSERT INTO {} SELECT * FROM {} WHERE {} = {}")
        self._connection.execute(query.format(gathered, source, Identifier(TABLE_VERSION), Literal(version)))

    def _fit_gathered(self, stream: Stream, versions: Versions) -> Versions:
        """A pass that goes on over a change of structure finds its gathered rows changed alike.

        Where someone has dropped them, that is no version any more.
        """
        if versions.gathered is None:
            return versions
        name = choose_gathered(stream.table)
        gathered = read_table(self._connection, stream.schema, name)
        if gathered is not None:
            self._fit(name, lambda _: None).fit(gathered, stream.wanted)
            return versions
        versions = replace(versions, gathered=None)
        self._registry.save_versions(stream.name, stream.table, versions)
        return versions

    def _fit(self, table: str, notify: Callable[[str], None]) -> Fitting:
        drops = self._settings.drops_columns
        return Fitting(self._connection, self._settings.schema, table, drops_columns=drops, notify=notify)

    def _lock(self, stream: Stream) -> None:
        lock = choose_lock(stream.schema, stream.table)
        until = time.monotonic() + self._settings.lock_wait_seconds
        while lock not in self._locks and not self._try_lock(lock):
            if time.monotonic() >= until:
                raise LockedError(
                    f"{stream.where}: {self._describe_holder(lock)} writes it: wait for its end, or stop it"
                )
            time.sleep(_LOCK_STEP)
        self._locks.add(lock)

    def _unlock(self, stream: Stream) -> None:
        lock = choose_lock(stream.schema, stream.table)
        self._connection.execute("SELECT pg_catalog.pg_advisory_unlock(%s)", (lock,))
        self._connection.commit()
        self._locks.discard(lock)

    def _try_lock(self, lock: int) -> bool:
        [(is_ours,)] = self._connection.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", (lock,)).fetchall()
        self._connection.commit()
        return bool(is_ours)

    def _describe_holder(self, lock: int) -> str:
        found = self._connection.execute(_HOLDER, {"lock": lock}).fetchone()
        self._connection.commit()
        return "another run" + (f" (process {found[0]} of the server)" if found else "")


def _quote_gathered(stream: Stream) -> Composed:
    return statements.qualify(stream.schema, choose_gathered(stream.table))
