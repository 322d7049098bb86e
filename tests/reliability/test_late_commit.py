"""Rows that commit later than the time they carry: twelve writers, transactions of up to four seconds, 45 seconds.

Every row's timestamp is that of its statement, and the row appears when its transaction commits. Four readers follow
the same writers: the tap with the right PROCESS, the tap without it, the stock rule, and a reader that goes by the
first tap's bookmarks alone. The last one is there because the tap reads again from before its bookmark, in whole
buckets of ten minutes: in a soak that is shorter, that alone would explain why nothing is lost. It shows that the
bookmark itself, capped by the watermark, is one behind which nothing appears any more.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from tests.reliability.conftest import SEED
from tests.reliability.stock import StockReader

if TYPE_CHECKING:
    from tests.reliability.harness import Pipe

WRITERS = 12
SECONDS = int(os.environ.get("RELIABILITY_SOAK_SECONDS", "45"))
LONGEST_TRANSACTION = 4.0
TABLES = ("visit", "memo")  # changed rows by an index of the timestamp, and in ranges of the key
STAMP = "Stamp timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"


@dataclass
class Clerk:
    """One writer: transactions that insert rows and edit earlier ones of its own, some time before they commit."""

    engine: sa.Engine
    number: int
    random: Random
    written: int = 0

    def work(self, until: float) -> None:
        """Write until the time is over; the transaction that is open then is still committed."""
        while time.monotonic() < until:
            with self.engine.begin() as connection:
                for _ in range(self.random.randrange(1, 5)):
                    self._write(connection)
                    time.sleep(self.random.uniform(0, LONGEST_TRANSACTION / 4))

    def _write(self, connection: sa.Connection) -> None:
        table = self.random.choice(TABLES)
        self.written += 1
        connection.execute(sa.text(f"INSERT INTO {table} (Num, Note) VALUES ({self._key(self.written)}, 'new')"))
        edited = self._key(self.random.randrange(1, self.written + 1))
        note = f"edit {self.written}"
        connection.execute(sa.text(f"UPDATE {table} SET Note = :note WHERE Num = :num"), {"note": note, "num": edited})

    def _key(self, number: int) -> int:
        return self.number * 1_000_000 + number


@dataclass
class Followers:
    """What reads while the clerks write; `bookmarks` are those of the tap with PROCESS, run by run, as MySQL's text."""

    privileged: Pipe
    plain: Pipe
    stock: dict[str, StockReader]
    by_bookmark: dict[str, StockReader]
    behind: int = 0
    runs: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def follow(self, until: float) -> None:
        """Run the tap with PROCESS again and again, and after each run what goes by its bookmarks."""
        while time.monotonic() < until:
            self._run(self.privileged)
            for table, reader in self.by_bookmark.items():
                reader.run()  # from the bookmark of the run before
                largest, reader.bookmark = reader.bookmark, plain(bookmark_of(self.privileged, table))
                self.behind += largest is not None and reader.bookmark is not None and reader.bookmark < largest

    def follow_by_the_stock_rule(self, until: float) -> None:
        """Read by the stock rule every half second."""
        while time.monotonic() < until:
            for reader in self.stock.values():
                reader.run()
            time.sleep(0.5)

    def follow_plainly(self, until: float) -> None:
        """Run the tap without PROCESS again and again."""
        while time.monotonic() < until:
            self._run(self.plain)

    def _run(self, pipe: Pipe) -> None:
        outcome = pipe.run()
        self.runs.append(outcome.records)
        if (outcome.code, outcome.target_code) != (0, 0):
            self.problems.append(outcome.last_line)


def bookmark_of(pipe: Pipe, table: str) -> str | None:
    return ((pipe.state or {}).get("bookmarks", {}).get(table) or {}).get("replication_key_value")


def plain(moment: str | None) -> str | None:
    """A bookmark as MySQL writes moments."""
    return moment.replace("T", " ").removesuffix("+00:00") if moment else None


@pytest.fixture
def privileged(source, root):
    """A user who may read the database and, with PROCESS, see what others are doing."""
    user = f"'{source.name}_p'@'127.0.0.1'"
    with root.connect() as connection:
        connection.exec_driver_sql(f"CREATE USER {user} IDENTIFIED BY 'sees-all'")
        connection.exec_driver_sql(f"GRANT SELECT ON `{source.name}`.* TO {user}")
        connection.exec_driver_sql(f"GRANT PROCESS ON *.* TO {user}")
        yield {"user": f"{source.name}_p", "password": "sees-all"}
        connection.exec_driver_sql(f"DROP USER {user}")


@pytest.fixture
def followers(source, make_pipe, privileged) -> Followers:
    """Two tables, empty and reviewed, and who reads them."""
    source.sql(
        f"CREATE TABLE visit (Num bigint PRIMARY KEY, Note varchar(20), {STAMP}, KEY (Stamp)) ENGINE=InnoDB",
        f"CREATE TABLE memo (Num bigint PRIMARY KEY, Note varchar(20), {STAMP}) ENGINE=InnoDB",
    )
    source.review({table: {"overrides": {"extraction_strategy": "incremental"}} for table in TABLES})
    readers = [{table: StockReader(source.engine, table) for table in TABLES} for _ in range(2)]
    pages = {"max_page_bytes": 1 << 20}
    return Followers(make_pipe(**privileged, overlap_seconds=0, **pages), make_pipe(**pages), *readers)


def test_rows_that_commit_late_are_not_lost(source, followers):
    """Twelve writers for 45 s: the tap loses no row, with PROCESS or without; the stock rule loses some of the same.

    With PROCESS its bookmarks alone lose none either, without any overlap.
    """
    clerks = [Clerk(source.engine, n, Random(f"{SEED} {n}")) for n in range(WRITERS)]  # noqa: S311
    until = time.monotonic() + SECONDS
    follow = (followers.follow, followers.follow_plainly, followers.follow_by_the_stock_rule)
    threads = [threading.Thread(target=work, args=[until]) for work in (*(clerk.work for clerk in clerks), *follow)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for once_more in follow:
        once_more(time.monotonic() + 0.1)
    assert followers.problems == []
    assert source.differing(followers.privileged, *TABLES) == {}
    assert source.differing(followers.plain, *TABLES) == {}
    lost = {table: len(reader.lost()) for table, reader in followers.stock.items()}
    written = sum(clerk.written for clerk in clerks)
    print(f"seed {SEED}: {written} rows, {len(followers.runs)} runs, the stock rule lost {lost}")  # noqa: T201
    assert sum(len(reader.lost()) for reader in followers.by_bookmark.values()) == 0
    assert followers.behind > 0, "the bookmark was never behind the newest row: the watermark is not in use"
    assert all(lost.values())
    assert written > WRITERS * SECONDS / LONGEST_TRANSACTION


def test_writers_during_the_load_cost_nothing(practice, make_pipe):
    """Tables of every strategy and engine change while they are read, run after run; after one more run all is exact.

    MyISAM knows no transactions: what changes behind the reader is found by its timestamp, or by its table's.
    """
    pipe, done = make_pipe(), threading.Event()

    def write():
        while not done.is_set():
            practice.writer.work(1)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        records = [pipe.settle().records for _ in range(6)]
    finally:
        done.set()
        writing.join()
    pipe.settle()
    assert all(records)
    assert practice.differing(pipe) == {}
