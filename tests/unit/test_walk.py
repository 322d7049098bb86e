"""A pass over a table: what it sends, where it is at any time, and nights of edits and kills in which no row is lost.

The nights run against SQLite, which understands the pages' SQL well enough; real servers have their turn elsewhere.
"""

import json
import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest

from tap_opendental.bookmarks import Bookmark, Pass
from tap_opendental.drift import Structure
from tap_opendental.extraction.overlap import Reach
from tap_opendental.extraction.pages import Bounds, PagePlan, Place
from tap_opendental.extraction.table_state import TableState
from tap_opendental.extraction.walk import Walk
from tap_opendental.extraction.witnesses import Witness
from tap_opendental.moments import parse_moment
from tap_opendental.resume import Findings, Wish, choose_start

LINE = "ifnull(`ts`, '') || '|' || `k` || '|' || `v`"
TABLE = TableState("InnoDB", "2024-01-01 00:00:00", None, 0, 0, None, "2024-06-01 00:00:00")


class Lines:
    """Stands for what finishes lines: they come as they are."""

    def finish(self, rows):
        """The first column."""
        return [row[0] for row in rows]


def cursors_of(lines):
    """The cursor of a line, as a bookmark has it."""
    fields = [line.partition("|")[0] for line in lines]
    return [field.replace(" ", "T") + "+00:00" if field else None for field in fields]


class Server:
    """One table of a key, a timestamp and a value."""

    def __init__(self, *rows):
        self.connection = sqlite3.connect(":memory:", check_same_thread=False)  # pages are read ahead, by a thread
        self.connection.execute("CREATE TABLE visit (k INTEGER PRIMARY KEY, ts TEXT, v TEXT)")
        self.connection.executemany("INSERT INTO visit VALUES (?, ?, ?)", rows)

    def reader(self, size, before=lambda: None):
        """Reads every page at the first try, and calls `before` each of them."""

        def run(statement):
            text, parameters = statement
            return self.connection.execute(text.replace("%(", ":").replace(")s", ""), parameters).fetchall()

        def read(ask):
            before()
            return ask(run, Bounds(size()))

        return read

    def rows(self):
        """Every line by its key."""
        return dict(self.connection.execute(f"SELECT k, {LINE} FROM visit"))


def make_plan(since, *, indexed, incremental=True):
    """How the table is read."""
    moment = parse_moment(since).isoformat(" ") if since else None
    return PagePlan("visit", (LINE,), ("k",), "ts" if incremental else None, moment, cursor_indexed=indexed)


def walk_over(server, begun, *, indexed=False, incremental=True, size=2, **options):
    """A pass over the server's table."""
    plan = make_plan(begun.since, indexed=indexed, incremental=incremental)
    cursors = cursors_of if incremental else None
    return Walk(server.reader(lambda: size), plan, Lines(), begun, cursors=cursors, **options)


FIVE = [(number, f"2024-06-01 0{number}:00:00", "x") for number in range(1, 6)]
WHOLE = Pass("s", Place("all"), watermark="2024-06-01T04:30:00+00:00")


def test_a_walk_knows_where_it_is():
    """After each page: the place behind its last row, and the largest cursor so far."""
    walk = walk_over(Server(*FIVE), WHOLE)
    seen = [(len(lines), walk.progress.place.after, walk.progress.largest) for lines in walk.pages()]
    assert seen == [
        (2, (2,), "2024-06-01T02:00:00+00:00"),
        (2, (4,), "2024-06-01T04:00:00+00:00"),
        (1, (5,), "2024-06-01T05:00:00+00:00"),
    ]
    assert walk.progress == replace(WHOLE, place=Place("all", (5,)), largest="2024-06-01T05:00:00+00:00")


def test_the_bookmark_is_the_smaller_of_largest_cursor_and_watermark():
    """A row dated ahead does not move it beyond what was surely visible; without a cursor there is none."""
    server = Server(*FIVE)
    for watermark, bookmark in (("2024-06-01T04:30:00", "2024-06-01T04:30:00"), ("2024-06-02T00:00:00",) * 2):
        walk = walk_over(server, replace(WHOLE, watermark=watermark + "+00:00"))
        list(walk.pages())
        assert walk.progress.reached == min(bookmark, "2024-06-01T05:00:00") + "+00:00"
    assert WHOLE.reached is None


def test_a_walk_that_goes_on_reads_what_is_behind_its_place():
    """With the largest cursor of before, and without a digest: it did not see what lies in front."""
    begun = replace(WHOLE, place=Place("all", (3,)), largest="2024-06-01T03:00:00+00:00")
    walk = walk_over(Server(*FIVE), begun, remembered=(("2024-06-01T04:0", "1:0"),))
    assert [line for lines in walk.pages() for line in lines] == ["2024-06-01 04:00:00|4|x", "2024-06-01 05:00:00|5|x"]
    assert walk.digest == ()
    assert walk.progress.reached == "2024-06-01T04:30:00+00:00"
    none_left = walk_over(Server(*FIVE[:3]), begun)
    list(none_left.pages())
    assert none_left.progress.reached == "2024-06-01T03:00:00+00:00"


@pytest.mark.parametrize("indexed", [False, True])
def test_what_the_last_run_sent_is_not_sent_again(indexed):
    """Whichever way changed rows are found; what was added is, with what it has a bucket in common with."""
    server = Server(*FIVE, (6, None, "x"))
    first = walk_over(server, WHOLE, indexed=indexed)
    list(first.pages())
    since = Reach().begin(first.progress.reached)
    night = replace(WHOLE, since=since)
    second = walk_over(server, night, indexed=indexed, remembered=first.digest)
    assert [lines for lines in second.pages() if lines] == []
    assert second.digest == first.digest
    server.connection.execute("INSERT INTO visit VALUES (7, '2024-06-01 04:05:00', 'late')")
    third = walk_over(server, night, indexed=indexed, remembered=first.digest)
    assert {line.split("|")[1] for lines in third.pages() for line in lines} == {"4", "7"}


def test_a_position_is_not_worth_all_that_is_held_back():
    """Once it would have to send the overlap, a night without a change writes none; a first load writes each."""
    server = Server(*FIVE)
    first = walk_over(server, WHOLE)
    assert [first.may_pause for _ in first.pages()] == [True] * 3
    night = replace(WHOLE, since=Reach().begin(first.progress.reached))
    second = walk_over(server, night, remembered=first.digest)
    assert [second.may_pause for _ in second.pages()] == [True, False, False]
    server.connection.execute("UPDATE visit SET ts = '2024-06-01 07:00:00'")
    third = walk_over(server, night, remembered=first.digest)
    assert [third.may_pause for _ in third.pages()] == [True] * 3


def test_a_full_table_is_sent_as_it_is():
    """No cursor, nothing held back, and every place may be written."""
    walk = walk_over(Server(*FIVE), replace(WHOLE, version=7), incremental=False)
    assert [(len(lines), walk.may_pause) for lines in walk.pages()] == [(2, True), (2, True), (1, True)]
    assert (walk.progress.reached, walk.digest, walk.release()) == (None, (), [])


def remember(key, cursor, _line):
    """A row as the next run may ask for it."""
    return Witness(key, cursor)


class Nights:
    """A clinic that works all the time, late commits among it, and a tap that is killed now and then."""

    def __init__(self, seed, *, indexed, reach=None):
        self.random = Random(seed)  # noqa: S311 - repeatable, not secret
        self.indexed = indexed
        self.reach = reach or Reach(seconds=3600)
        self.clock = datetime(2024, 6, 1)  # noqa: DTZ001 - a server's clock in UTC
        self.server = Server()
        self.state = json.dumps(Bookmark().to_state())
        self.target = {}
        self.versions = 0
        for _ in range(20):
            self.edit()

    def edit(self):
        """Some minutes pass; a row comes, changes, goes, or is dated ahead, back by up to an hour, or not at all."""
        self.clock += timedelta(seconds=self.random.randrange(900))
        late = self.random.choice([0, 0, 0, 60, 3540])
        moment = self.random.choice(
            [self.clock - timedelta(seconds=late)] * 8 + [self.clock + timedelta(days=400), None]
        )
        key, text = self.random.randrange(40), moment.isoformat(" ") if moment else None
        if self.random.random() < 0.1:
            self.server.connection.execute("DELETE FROM visit WHERE k = ?", (key,))
        else:
            row = (key, text, str(self.random.random()))
            self.server.connection.execute("INSERT OR REPLACE INTO visit VALUES (?, ?, ?)", row)

    def run(self, *, killed, busy=True):
        """One run of the tap, to its end or killed behind some page; how many rows it sent."""
        before = Bookmark.from_state("visit", json.loads(self.state))
        wish = Wish("ts", "s", reach=self.reach)
        start = choose_start(wish, before, Findings(TABLE, rows=self._recognise()))
        begun = start.unfinished or self._begin(start)
        sent, walk = self._follow(start, begun, before, killed=killed, busy=busy)
        if walk:
            self._finish(walk, before)
        return sent

    def _recognise(self):
        lines = self.server.rows().values()
        seen = zip(cursors_of(lines), self.server.rows(), strict=True)
        return {(key,): Witness((key,), cursor) for cursor, key in seen if cursor}

    def _begin(self, start):
        self.versions += 1
        watermark = (self.clock - timedelta(seconds=1)).isoformat() + "+00:00"
        version = self.versions if start.replaces else None
        return Pass(
            "s",
            Place("all"),
            since=start.since,
            watermark=watermark,
            version=version,
            looks=TABLE.look_like(None),
            witnesses=start.witnesses,
        )

    def _follow(self, start, begun, before, *, killed, busy):
        plan = make_plan(begun.since, indexed=self.indexed)
        reader = self.server.reader(
            lambda: self.random.randint(1, 6), lambda: busy and self.random.random() < 0.5 and self.edit()
        )
        walk = Walk(
            reader,
            plan,
            Lines(),
            begun,
            cursors=cursors_of,
            witness=remember,
            remembered=start.remembered,
            reach=self.reach,
        )
        sent = 0
        for lines in walk.pages():
            sent += self._send(lines, begun.version)
            if walk.may_pause:
                sent += self._send(walk.release(), begun.version)
                self.state = json.dumps(replace(before, unfinished=walk.progress).to_state())
            if killed and self.random.random() < 0.3:
                return sent, None
        return sent, walk

    def _send(self, lines, version):
        for line in lines:
            self.target[int(line.split("|")[1])] = (line, version)
        return len(lines)

    def _finish(self, walk, before):
        done = walk.progress
        if done.version is not None:
            self.target = {key: row for key, row in self.target.items() if row[1] == done.version}
        value = min(filter(None, (walk.progress.reached or before.value, done.watermark)))
        structure = Structure("s", {"k": "int"})
        self.state = json.dumps(
            Bookmark(
                "ts", value, structure=structure, looks=done.looks, overlap=walk.digest, witnesses=done.witnesses
            ).to_state()
        )

    def lost(self):
        """Keys whose row the target does not hold as it is; what was deleted is for others to find."""
        held = {key: line for key, (line, _) in self.target.items()}
        return {key for key, line in self.server.rows().items() if held.get(key) != line}


def live(nights):
    """Work, runs and kills in turn, and two quiet runs at the end."""
    for _ in range(12):
        for _ in range(nights.random.randrange(8)):
            nights.edit()
        nights.run(killed=nights.random.random() < 0.6)
    nights.run(killed=False, busy=False)
    nights.run(killed=False, busy=False)
    return nights


SEEDS = range(40)


@pytest.mark.parametrize("indexed", [False, True])
def test_no_night_loses_a_row_and_a_quiet_one_sends_nothing(indexed):
    """Edits, deletes, late commits, rows of the future and rows without a time, during a run and between them."""
    for seed in SEEDS:
        nights = live(Nights(seed, indexed=indexed))
        assert nights.lost() == set(), seed
        assert nights.run(killed=False, busy=False) == 0, seed
        assert nights.lost() == set(), seed


@pytest.mark.parametrize("indexed", [False, True])
def test_a_reach_that_changes_from_night_to_night_loses_nothing(indexed):
    """A person may set another overlap_seconds at any time, as long as it covers what commits late."""
    for seed in SEEDS:
        nights = Nights(seed, indexed=indexed)
        for _ in range(10):
            nights.reach = Reach(seconds=nights.random.choice([3600, 4000, 9000, 200_000]))
            nights.edit()
            nights.run(killed=nights.random.random() < 0.3)
        live(nights)
        assert nights.lost() == set(), seed


def lose(**options):
    """How many of the seeds lose a row."""
    return sum(bool(live(Nights(seed, **options)).lost()) for seed in SEEDS)


@pytest.mark.parametrize("indexed", [False, True])
def test_without_an_overlap_rows_are_lost(indexed):
    """The control: a bookmark alone passes over rows that commit late."""
    assert lose(indexed=indexed, reach=Reach(seconds=0)) > len(SEEDS) / 4


def test_a_position_in_front_of_held_rows_would_lose_them(monkeypatch):
    """The control: a position that is written while rows are held back, and a kill, and nobody sends them."""
    monkeypatch.setattr(Walk, "release", lambda _: [])
    monkeypatch.setattr(Walk, "may_pause", True)
    assert lose(indexed=False) > 0
