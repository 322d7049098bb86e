"""Pages: the exact SQL that reads rows, and the place at which a walk goes on. What it costs, real servers prove.

What a walk finds is tried on SQLite, which understands the statements; real servers have their turn elsewhere.
"""

import json
import sqlite3
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest

from tap_opendental.errors import StateError
from tap_opendental.extraction import pages
from tap_opendental.extraction.pages import (
    Bounds,
    PagePlan,
    Place,
    is_ordered_by_cursor,
    list_stages,
    range_statement,
    read_pages,
    read_row_key,
)
from tap_opendental.quoting import quote

PLAN = PagePlan("procedurelog", ("`ProcNum`", "CAST(`x` AS DOUBLE)"), ("ProcNum",))
CHANGED = "(`DateTStamp` >= %(since)s OR `DateTStamp` IS NULL OR `DateTStamp` = 0)"
BY_KEY = "/*! FORCE INDEX (PRIMARY) */"


class Script:
    """Stands for the server: answers statements from a list, and then with nothing; keeps what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.examined = []

    def reader(self, rows=100, crowd=0):
        """Reads each page at the first try, and goes for so many rows."""

        def read(ask):
            answer = ask(self._run, Bounds(rows, crowd))
            self.examined.append(answer.examined)
            return answer

        return read

    def _run(self, statement):
        self.asked.append(statement)
        return self.answers.pop(0) if self.answers else []


def asked(plan, *answers, rows=100, start=None):
    """The statements of a walk whose server gives these answers."""
    script = Script(*answers)
    list(read_pages(script.reader(rows), plan, start))
    return script.asked


def test_first_page():
    """The first page starts at the beginning of the key, bounded in rows."""
    ((text, _),) = asked(PLAN)
    assert text == (
        f"SELECT `ProcNum`, CAST(`x` AS DOUBLE), `ProcNum` FROM `procedurelog` {BY_KEY} ORDER BY `ProcNum` LIMIT 100"
    )


def test_next_page_starts_behind_the_last_key():
    """Pages follow the key by value, never by OFFSET: rows deleted meanwhile shift nothing."""
    _, (text, parameters) = asked(PLAN, [("6", 1.0, 6), ("7", 1.0, 7)], rows=2)
    assert "WHERE (`ProcNum` > %(a0)s) ORDER BY" in text
    assert parameters == {"a0": 7}


def test_composite_keys_compare_lexicographically():
    """A key of several columns pages in their order, by conditions that are ranges of its index."""
    plan = PagePlan("t", ("`a`",), ("a", "b"))
    ((text, parameters),) = asked(plan, start=Place("all", (1, "x")))
    assert "(`a` > %(a1)s OR (`a` = %(a1)s AND (`b` > %(a0)s)))" in text
    assert (parameters["a1"], parameters["a0"]) == (1, "x")
    text, _ = range_statement(plan, None, (1, "x"), (2, "y"))
    assert "(`a` < %(u1)s OR (`a` = %(u1)s AND (`b` <= %(u0)s)))" in text


def test_ranges_find_changed_rows_without_an_index():
    """Where the cursor has no index, the predicate works inside a range of the primary key."""
    plan = PagePlan("t", ("`v`",), ("k",), cursor="DateTStamp", since="2024-01-01 00:00:00")
    end, rows, *_ = asked(plan, [(105,)], [("x", 9)], start=Place("all", (5,)))
    assert end == (f"SELECT `k` FROM `t` {BY_KEY} WHERE (`k` > %(a0)s) ORDER BY `k` LIMIT 1 OFFSET 99", {"a0": 5})
    text, parameters = rows
    assert text == (
        f"SELECT `v`, `k` FROM `t` {BY_KEY} WHERE {CHANGED} AND (`k` > %(a0)s) AND (`k` <= %(u0)s) "
        "ORDER BY `k` LIMIT 100"
    )
    assert parameters == {"since": "2024-01-01 00:00:00", "a0": 5, "u0": 105}


def test_the_last_range_is_open():
    """What lies behind the last end of a range is read as well: keys grow while the walk goes on."""
    plan = PagePlan("t", ("`v`",), ("k",), cursor="DateTStamp", since="2024-01-01 00:00:00")
    (_, _, _, (text, parameters)) = asked(plan, [(105,)], [], [], start=Place("all", (5,)))
    assert text == f"SELECT `v`, `k` FROM `t` {BY_KEY} WHERE {CHANGED} AND (`k` > %(a0)s) ORDER BY `k` LIMIT 100"
    assert parameters == {"since": "2024-01-01 00:00:00", "a0": 105}


def test_a_range_that_has_grown_goes_on_behind_what_was_read():
    """An import between the two statements of the last range: a page of it, and then the next range."""
    plan = PagePlan("t", ("`v`",), ("k",), cursor="ts", since="2024-01-01")
    script = Script([], [("a", 1), ("b", 2)], [], [("c", 3)])
    places = [(len(page.rows), page.place.after) for page in read_pages(script.reader(2), plan)]
    assert places == [(2, (2,)), (1, (3,))]


INDEXED = PagePlan("t", ("`v`",), ("k",), cursor="ts", since="2024-01-01", cursor_indexed=True)
SLICE_END = "SELECT `ts` FROM `t` WHERE (`ts` >= %(since)s) ORDER BY `ts` LIMIT 1 OFFSET 1"


def walk(plan, *answers, rows=2, crowd=0, start=None):
    """What the pages of a walk hold and where they end, what was asked, and how many rows each page went over."""
    script = Script(*answers)
    found = [(len(page.rows), page.place) for page in read_pages(script.reader(rows, crowd), plan, start)]
    return found, script.asked, script.examined


def test_an_indexed_cursor_is_read_in_slices():
    """A slice ends before the moment of the row that is one too many, which the next one begins with."""
    places, statements, examined = walk(INDEXED, [("2024-01-02",)], [("a", 7)], [], [("b", 4)])
    assert places == [(1, Place("changed", ("2024-01-02",)))] * 2 + [(0, Place("unset"))]
    assert statements[:4] == [
        (SLICE_END, {"since": "2024-01-01"}),
        (
            "SELECT `v`, `k` FROM `t` WHERE (`ts` >= %(since)s) AND `ts` < %(end)s LIMIT 2",
            {"since": "2024-01-01", "end": "2024-01-02"},
        ),
        (SLICE_END, {"since": "2024-01-02"}),
        ("SELECT `v`, `k` FROM `t` WHERE (`ts` >= %(since)s) LIMIT 2", {"since": "2024-01-02"}),
    ]
    assert statements[4:] == [("SELECT `v`, `k` FROM `t` WHERE (`ts` IS NULL OR `ts` = 0) LIMIT 2", {})]
    assert examined == [1, 1, 0]


def test_a_crowd_that_a_page_can_take_is_a_slice_as_well():
    """Pages begin small: 3 rows of one moment are read as one slice where 8 may be, and as ranges where not."""
    crowded, moment, rows = [("2024-01-02",)], [("2024-01-03",)], [("a", 4), ("b", 5), ("c", 6)]
    begin = Place("changed", ("2024-01-02",))
    places, statements, examined = walk(INDEXED, crowded, moment, rows, crowd=8, start=begin)
    assert places[0] == (3, Place("changed", ("2024-01-03",)))
    assert [text[-8:] for text, _ in statements[:3]] == ["OFFSET 1", "OFFSET 7", " LIMIT 8"]
    assert statements[2][1] == {"since": "2024-01-02", "end": "2024-01-03"}
    assert examined[0] == 3
    places, _, _ = walk(INDEXED, crowded, crowded, crowd=8, start=begin)
    assert places[0] == (0, Place("rest", ("2024-01-02",)))


def test_a_slice_that_has_grown_is_taken_again():
    """A mass update between the two statements of a slice: what came of it is dropped, and the slice ends elsewhere."""
    full = [("a", 7), ("b", 8)]
    places, statements, examined = walk(INDEXED, [("2024-01-03",)], full, [("2024-01-02",)], [("a", 7)])
    assert places[:2] == [(0, Place("changed")), (1, Place("changed", ("2024-01-02",)))]
    assert [parameters["since"] for _, parameters in statements[:4]] == ["2024-01-01"] * 4
    assert examined[:2] == [2, 1]


def test_more_rows_of_one_moment_than_a_page_are_left_to_ranges():
    """The walk goes over to ranges of the key from that moment on, for rows without a cursor too, and stays there."""
    answers = ([("2024-01-02",)], [("a", 7)], [("2024-01-02",)], [(5,)], [("b", 3)], [], [("c", 6)])
    places, statements, examined = walk(INDEXED, *answers)
    moment = "2024-01-02"
    assert places == [
        (1, Place("changed", (moment,))),
        (0, Place("rest", (moment,))),
        (1, Place("rest", (moment, 5))),
        (1, Place("rest", (moment, 6))),
    ]
    changed = "(`ts` >= %(since)s OR `ts` IS NULL OR `ts` = 0)"
    assert statements[3:] == [
        (f"SELECT `k` FROM `t` {BY_KEY} ORDER BY `k` LIMIT 1 OFFSET 1", {}),
        (
            f"SELECT `v`, `k` FROM `t` {BY_KEY} WHERE {changed} AND (`k` <= %(u0)s) ORDER BY `k` LIMIT 2",
            {"since": moment, "u0": 5},
        ),
        (f"SELECT `k` FROM `t` {BY_KEY} WHERE (`k` > %(a0)s) ORDER BY `k` LIMIT 1 OFFSET 1", {"a0": 5}),
        (
            f"SELECT `v`, `k` FROM `t` {BY_KEY} WHERE {changed} AND (`k` > %(a0)s) ORDER BY `k` LIMIT 2",
            {"since": moment, "a0": 5},
        ),
    ]
    assert examined == [1, 0, 2, 2]


def test_rows_without_a_cursor_are_read_at_once_or_in_ranges():
    """More of them than a page are dropped once, and read range by range."""
    unset = "(`ts` IS NULL OR `ts` = 0)"
    full = [("a", 9), ("b", 8)]
    places, statements, examined = walk(INDEXED, [], [], full, [(4,)], [("c", 3)], [], [("d", 8)])
    assert places == [(0, Place("changed")), (1, Place("unset", (4,))), (1, Place("unset", (8,)))]
    assert statements[4] == (
        f"SELECT `v`, `k` FROM `t` {BY_KEY} WHERE {unset} AND (`k` <= %(u0)s) ORDER BY `k` LIMIT 2",
        {"u0": 4},
    )
    assert statements[6] == (
        f"SELECT `v`, `k` FROM `t` {BY_KEY} WHERE {unset} AND (`k` > %(a0)s) ORDER BY `k` LIMIT 2",
        {"a0": 4},
    )
    assert examined == [0, 4, 2]


def test_a_walk_goes_on_in_its_stage():
    """Killed anywhere, a walk goes on behind its place: a slice with its moment, a range behind its key."""
    assert list_stages(INDEXED) == ["changed", "unset", "rest"]
    ((end, _), (_, parameters), *_) = asked(INDEXED, start=Place("changed", ("2024-01-05",)), rows=2)
    assert (end, parameters) == (SLICE_END, {"since": "2024-01-05"})
    (_, (text, parameters)) = asked(INDEXED, start=Place("unset", (3,)))
    assert "WHERE (`ts` IS NULL OR `ts` = 0) AND (`k` > %(a0)s) ORDER" in text
    assert parameters == {"a0": 3}
    (_, (text, parameters)) = asked(INDEXED, start=Place("rest", ("2024-01-05", 3)))
    assert "WHERE (`ts` >= %(since)s OR `ts` IS NULL OR `ts` = 0) AND (`k` > %(a0)s) ORDER" in text
    assert parameters == {"since": "2024-01-05", "a0": 3}
    (_, (_, parameters)) = asked(INDEXED, start=Place("rest", ("2024-01-05",)))
    assert parameters == {"since": "2024-01-05"}


@pytest.mark.parametrize(
    "place",
    [
        Place("changed", ("2024-01-05", 3)),
        Place("unset", (1, 2)),
        Place("rest", ("2024-01-05", 3, 4)),
        Place("all", (3,)),
    ],
)
def test_a_place_of_another_way_of_reading_is_refused(place):
    """With other values than the stage goes on from, or of a stage that the walk does not have: it would lose rows."""
    with pytest.raises(StateError, match="position in table t"):
        asked(INDEXED, start=place)
    with pytest.raises(StateError):
        asked(replace(INDEXED, cursor_indexed=False, key=("k", "l", "m")), start=place)


def test_only_slices_are_in_the_order_of_the_cursor():
    """And a table that is only added to, whose key the cursor is."""
    assert [stage for stage in pages.STAGES if is_ordered_by_cursor(INDEXED, stage)] == ["changed"]
    assert is_ordered_by_cursor(replace(INDEXED, key=("ts",)), "all")


def test_the_key_of_a_row_is_read_the_same_way_in_every_stage():
    """From the end of a row, or from its expressions where it can be: then nothing is selected beside them."""
    assert read_row_key(INDEXED, ("line", b"apart", 7)) == (7,)
    assert read_row_key(replace(INDEXED, key=("a", "b")), ("line", 7, "x")) == (7, "x")
    by_line = replace(INDEXED, read_key=lambda row: (int(row[0]),))
    assert read_row_key(by_line, ("7", b"apart")) == (7,)
    for start in (Place("changed"), Place("unset"), Place("rest", ("2024-01-05",))):
        text, _ = asked(by_line, start=start)[1 if start.stage != "unset" else 0]
        assert text.startswith("SELECT `v` FROM")


def test_an_append_only_key_is_its_own_cursor():
    """The key of an append-only table finds its rows by the primary key, in one statement a page."""
    plan = PagePlan("log", ("`v`",), ("k",), cursor="k", since=7000, cursor_indexed=True)
    ((text, parameters),) = asked(plan, start=Place("all", (7009,)))
    assert text == (
        f"SELECT `v`, `k` FROM `log` {BY_KEY} WHERE (`k` >= %(since)s) AND (`k` > %(a0)s) ORDER BY `k` LIMIT 100"
    )
    assert parameters == {"since": 7000, "a0": 7009}


def test_keys_that_sort_by_number_go_on_by_number():
    """ENUM, SET and BIT sort by their number, not by their text: the number is what the next page starts from."""
    plan = PagePlan("t", ("`v`",), ("k", "e"), keyed_by_number=frozenset({"e"}))
    assert asked(plan)[0][0] == f"SELECT `v`, `k`, `e`+0 FROM `t` {BY_KEY} ORDER BY `k`, `e` LIMIT 100"


def test_a_table_without_a_key_is_one_page():
    """Nothing orders its rows, so there is one statement, and no place to go on from."""
    (page,) = read_pages(Script([("a",), ("b",)]).reader(), replace(PLAN, key=()))
    assert (len(page.rows), page.place) == (2, Place("all"))


def test_each_page_says_where_it_ended():
    """The place of a page is behind its last row, and that of a range behind its end, even if nothing changed in it."""
    script = Script([("a", 3), ("b", 5)], [("c", 9)])
    assert [page.place.after for page in read_pages(script.reader(2), replace(PLAN, expressions=("`v`",)))] == [
        (5,),
        (9,),
    ]
    ranges = PagePlan("t", ("`v`",), ("k",), cursor="ts", since="2024-01-01")
    pages = list(read_pages(Script([(50,)], []).reader(), ranges))
    assert [(page.rows, page.place.after) for page in pages] == [([], (50,)), ([], (50,))]


class Clinic:
    """One table in which moments are crowded, and writers while it is read; each edit is of a moment of its own."""

    def __init__(self, seed):
        self.random = Random(seed)  # noqa: S311 - repeatable, not secret
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute("CREATE TABLE visit (k INTEGER PRIMARY KEY, ts TEXT)")
        spread = [f"{number:03}" for number in range(100)]
        moments = self.random.choice([spread, [*spread, *[None] * 100], ["000", "050"], ["020", "050", "051", None]])
        rows = [(key, self.random.choice(moments)) for key in self.random.sample(range(300), 150)]
        self.connection.executemany("INSERT INTO visit VALUES (?, ?)", rows)
        self.clock = 100

    def edit(self):
        """One row, or many at one moment, come or change."""
        self.clock += 1
        keys = self.random.sample(range(300), self.random.choice([1, 1, 1, 60]))
        rows = [(key, f"{self.clock:03}") for key in keys]
        self.connection.executemany("INSERT OR REPLACE INTO visit VALUES (?, ?)", rows)

    def rows(self, condition):
        """Key and moment of the rows."""
        return set(self.connection.execute(f"SELECT k, ts FROM visit WHERE {condition}"))

    def read(self, plan, *, busy, killed):
        """A walk with pages of many sizes, killed and gone on with at times; every row as often as it came."""
        most, found = self.random.choice([1, 4, 15, 15, 50, 400]), []
        read = self._reader(most, self.random.choice([0, 0.02, 0.2, 0.6]) if busy else 0)
        walk = read_pages(read, plan)
        for _ in range(5000):
            page = next(walk, None)
            if page is None:
                return found
            found += [row[:2] for row in page.rows]
            if killed and page.place.after is not None and self.random.random() < 0.3:
                walk = read_pages(read, plan, Place.from_state(json.loads(json.dumps(page.place.to_state()))))
        raise AssertionError("the walk goes in circles")

    def _reader(self, most, busy):
        def run(statement):
            if self.random.random() < busy:
                self.edit()
            text, parameters = statement
            return self.connection.execute(text.replace("%(", ":").replace(")s", ""), parameters).fetchall()

        return lambda ask: ask(run, self._choose(most))

    def _choose(self, most):
        rows = self.random.randint((most + 1) // 2, most)
        return Bounds(rows, self.random.choice([0, rows, 4 * rows]))


CLINIC = PagePlan("visit", ("`k`", "`ts`"), ("k",), cursor="ts", since="020", cursor_indexed=True)
CLINICS = range(120)


@pytest.mark.parametrize("indexed", [False, True])
def test_a_quiet_walk_finds_each_row_once(indexed):
    """Whatever is crowded, and whatever the size of the pages, from one row to more than the table has."""
    for seed in CLINICS:
        clinic = Clinic(seed)
        found = clinic.read(replace(CLINIC, cursor_indexed=indexed), busy=False, killed=False)
        assert len(found) == len(set(found)), seed
        assert set(found) == clinic.rows("ts >= '020' OR ts IS NULL"), seed


def lost(clinic, *, indexed=True):
    """Rows that a walk with writers and kills has passed over, though no later run will look for them."""
    found = clinic.read(replace(CLINIC, cursor_indexed=indexed), busy=True, killed=True)
    return clinic.rows("ts BETWEEN '020' AND '100' OR ts IS NULL") - set(found)


@pytest.mark.parametrize("indexed", [False, True])
def test_no_walk_loses_a_row_that_it_does_not_leave_to_the_next_run(indexed):
    """Rows move between slices and ranges while they are read, and runs are killed: what is not younger is read."""
    for seed in CLINICS:
        assert lost(Clinic(seed), indexed=indexed) == set(), seed


def test_slices_that_begin_behind_their_moment_would_lose_rows(monkeypatch):
    """The control: going on after the last moment, not with it."""
    monkeypatch.setattr(pages, "_SINCE", "{0} > %(since)s OR {0} = '020'")
    assert sum(bool(lost(Clinic(seed))) for seed in CLINICS) > len(CLINICS) / 4


def test_hostile_names_stay_names():
    """Backticks and percent signs in a name end neither the identifier nor the driver's parameters."""
    assert quote("a`b%s") == "`a``b%%s`"


KEYS = {
    "number": (7,),
    "unsigned": (2**64 - 1,),
    "negative": (-(2**63),),
    "text": ("O'Brien \\ 漢字 \t",),
    "empty text": ("",),
    "moment": ("2024-02-29 23:59:59.123456",),
    "zero": ("0000-00-00",),
    "bytes": (b"\x00\xff'%s",),
    "no bytes": (b"",),
    "decimal": (Decimal("-99999999999999999999.00001"),),
    "float": (0.1,),
    "single": (0.10000000149011612,),
    "large": (3.4028234663852886e38,),
    "composite": ("East", -3, b"\xfe", Decimal("1.50"), 1.5, "2024-01-01"),
}


@pytest.mark.parametrize("stage", pages.STAGES)
@pytest.mark.parametrize("kind", KEYS)
def test_a_place_survives_the_state(kind, stage):
    """Whatever a key holds comes back as it was, of the same type, through JSON without a float."""
    place = Place(stage, KEYS[kind])
    text = json.dumps(place.to_state())
    assert all(type(value) is not float for value in json.loads(text)["after"])
    found = Place.from_state(json.loads(text))
    assert found == place
    assert [type(value) for value in found.after] == [type(value) for value in place.after]


def test_the_first_place_survives_the_state():
    """A walk that has not read a row is at no key."""
    assert Place.from_state(Place("all").to_state()) == Place("all")


@pytest.mark.parametrize(
    "after",
    [
        [],
        {},
        "7",
        7,
        [None],
        [1.5],
        [True],
        [{}],
        [[]],
        [["float"]],
        [["float", "many"]],
        [["float", "nan"]],
        [["float", 1.5]],
        [["decimal", "many"]],
        [["decimal", "NaN"]],
        [["bytes", "*"]],
        [["bytes", "QUI"]],
        [["bytes", 7]],
        [["date", "2024-01-01"]],
        [[["float"], "1"]],
    ],
)
def test_a_place_that_cannot_be_read_is_refused(after):
    """A key that is only nearly right would go on from somewhere else: refused, as what `from_state` says."""
    with pytest.raises((ValueError, TypeError, KeyError)):
        Place.from_state({"stage": "all", "after": after})


@pytest.mark.parametrize("value", [{}, {"stage": "all"}, {"after": [7]}, {"stage": "some", "after": [7]}, {"stage": 1}])
def test_a_place_that_is_incomplete_is_refused(value):
    """Stage and key are both there, or it is no place."""
    with pytest.raises((ValueError, TypeError, KeyError)):
        Place.from_state(value)
