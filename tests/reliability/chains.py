"""One table that our target goes on with, run after run and fault after fault, and what it must hold in between."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from tests.reliability.scripted import PARTS, Script, Target
from tests.reliability.wires import wire_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Engine, Row
    from tests.reliability.destinations import Destination
    from tests.reliability.fork_server import ForkServer
    from tests.reliability.scripted import Ended
    from tests.wire import Rule, Wire

KINDS = {"InnoDB": "mysql", "MyISAM": "mysql", "PostgreSQL": "postgresql"}
"""The dialect of each kind of destination. MyISAM has no transactions."""
DURABLE = {"mysql": "InnoDB", "postgresql": "PostgreSQL"}
"""The kind of each dialect that has them."""


@dataclass
class Chain:
    """`done` is the batch whose state was sent last: the next run goes on from there."""

    target: Target
    script: Script
    is_transactional: bool
    done: int = 0

    @property
    def destination(self) -> Destination:
        """Where the table is."""
        return self.target.destination

    @property
    def next_end(self) -> int:
        """The batch with which the version at hand ends."""
        return self.done - self.done % PARTS + PARTS

    def lines(self, until: int | None = None) -> list[str]:
        """The lines of the next run."""
        return self.script.lines(self.done, until or self.next_end)

    def run(self, lines: list[str] | None = None, **settings: Any) -> Ended:
        """One run; the state that it sends last is the next one's."""
        ended = self.target.run(self.lines() if lines is None else lines, **settings)
        self.remember(ended)
        return ended

    def remember(self, ended: Ended) -> None:
        """Keep the last state; each is one that the script has."""
        for state in ended.states:
            done = state["bookmarks"][self.script.stream]["done"]
            assert state == self.script.state(done)
            self.done = done

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement at the destination."""
        with self.destination.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            result = connection.exec_driver_sql(sql.replace("%", "%%"))
            return [tuple(row) for row in result] if result.returns_rows else []

    def name(self, table: str | None = None) -> str:
        """A table's name in SQL; without one the stream's."""
        is_mysql = self.destination.dialect == "mysql"
        return f"`{table or self.script.stream}`" if is_mysql else f'"raw"."{table or self.script.stream}"'

    def held(self) -> int:
        """The batch that the destination says it has."""
        return int(self.ask(f"SELECT COALESCE(MAX(serial), 0) FROM {self.name('_od_load_state')}")[0][0])

    def rows(self) -> dict[int, str]:
        """The rows that readers see."""
        quote = "`" if self.destination.dialect == "mysql" else '"'
        found = self.ask(f"SELECT {quote}Num{quote}, {quote}Name{quote} FROM {self.name()}")
        assert len(found) == len(dict(found))
        return dict(found)

    def require_sound(self, before: int, until: int) -> None:
        """Nothing half-written by a run from batch `before` to `until`, and no state ahead of what is committed.

        Without transactions, rows may be ahead of their position, each as some batch left it.
        """
        held, rows = self.held(), self.rows()
        assert self.done <= held <= until
        if self.is_transactional:
            assert rows == self.script.rows(held)
            return
        stages = [self.script.rows(number) for number in range(before, until + 1)]
        nums = set().union(*stages, rows)
        torn = {num: rows.get(num) for num in nums if all(stage.get(num) != rows.get(num) for stage in stages)}
        assert torn == {}

    def settle(self) -> None:
        """A clean run until a version is whole: all is exact."""
        ended = self.run()
        assert ended.code == 0, ended.log[-3000:]
        assert self.done % PARTS == 0
        assert self.rows() == self.script.rows(self.done)


def begin_chain(
    kind: str, way: str, destination: Destination, folder: Path, forks: ForkServer, **settings: Any
) -> Chain:
    """A table that holds a first version by now."""
    engine = kind if KINDS[kind] == "mysql" else None
    target = Target(_without_tls(destination), folder, forks, {"workers": 1, "lock_wait_seconds": 10, **settings})
    chain = Chain(target, Script(way, engine), is_transactional=kind != "MyISAM")
    chain.settle()
    return chain


def _without_tls(destination: Destination) -> Destination:
    """The same; its engine speaks in plain text, since a context of TLS costs PyMySQL 30 ms for each connection."""
    options = {"connect_args": {"ssl_disabled": True}} if destination.dialect == "mysql" else {}
    return replace(destination, engine=sa.create_engine(destination.url, poolclass=sa.NullPool, **options))


@contextmanager
def wired(chain: Chain, *rules: Rule) -> Iterator[Wire]:
    """The chain's runs go through a proxy; at the end none of their connections is left."""
    direct = chain.target
    with wire_to(chain.destination, *rules) as wire:
        chain.target = replace(direct, settings={**direct.settings, "port": wire.port})
        yield wire
        wait_for_end(chain.destination, {session.identity for session in wire._sessions})
    chain.target = direct


def wait_for_end(destination: Destination, connections: set[int]) -> None:
    """Wait until the server has noticed that these connections are gone; it may be at a statement of theirs."""
    mine = {"mysql": "SELECT id FROM information_schema.processlist", "postgresql": "SELECT pid FROM pg_stat_activity"}
    wait_until(destination.engine, mine[destination.dialect], lambda rows: not connections & {row[0] for row in rows})


def wait_until(engine: Engine, question: str, is_so: Callable[[Sequence[Row[Any]]], bool]) -> None:
    """Ask a server until the answer is right; AssertionError after a minute."""
    end = time.monotonic() + 60
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not is_so(connection.exec_driver_sql(question).all()):
            assert time.monotonic() < end, question
            time.sleep(0.02)
