"""Pages: the exact SQL that reads rows, and the place at which a walk goes on. What it finds, real servers prove."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from tap_opendental.extraction.pages import PagePlan, Place, list_stages, range_statement, read_pages
from tap_opendental.quoting import quote

PLAN = PagePlan("procedurelog", ("`ProcNum`", "CAST(`x` AS DOUBLE)"), ("ProcNum",))
CHANGED = "(`DateTStamp` >= %(since)s OR `DateTStamp` IS NULL OR `DateTStamp` = 0)"


class Script:
    """Stands for the server: answers statements from a list, and then with nothing; keeps what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def reader(self, rows=100):
        """Reads each page at the first try, and goes for so many rows."""
        return lambda ask: ask(self._run, rows)

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
    assert text == "SELECT `ProcNum`, CAST(`x` AS DOUBLE), `ProcNum` FROM `procedurelog` ORDER BY `ProcNum` LIMIT 100"


def test_next_page_starts_behind_the_last_key():
    """Pages follow the key by value, never by OFFSET: rows deleted meanwhile shift nothing."""
    _, (text, parameters) = asked(PLAN, [("6", 1.0, 6), ("7", 1.0, 7)], rows=2)
    assert "WHERE (`ProcNum` > %(a0)s) ORDER BY" in text
    assert parameters == {"a0": 7}


def test_composite_keys_compare_lexicographically():
    """A key of several columns pages in their order, and its first column still serves as an index range."""
    plan = PagePlan("t", ("`a`",), ("a", "b"))
    ((text, parameters),) = asked(plan, start=Place("all", (1, "x")))
    assert "(`a` >= %(a1)s AND (`a` > %(a1)s OR (`b` > %(a0)s)))" in text
    assert (parameters["a1"], parameters["a0"]) == (1, "x")
    text, _ = range_statement(plan, None, (1, "x"), (2, "y"))
    assert "(`a` <= %(u1)s AND (`a` < %(u1)s OR (`b` <= %(u0)s)))" in text


def test_ranges_find_changed_rows_without_an_index():
    """Where the cursor has no index, the predicate works inside a range of the primary key."""
    plan = PagePlan("t", ("`v`",), ("k",), cursor="DateTStamp", since="2024-01-01 00:00:00")
    end, rows, *_ = asked(plan, [(105,)], [("x", 9)], start=Place("all", (5,)))
    assert end == ("SELECT `k` FROM `t` WHERE (`k` > %(a0)s) ORDER BY `k` LIMIT 1 OFFSET 99", {"a0": 5})
    text, parameters = rows
    assert text == f"SELECT `v`, `k` FROM `t` WHERE {CHANGED} AND (`k` > %(a0)s) AND (`k` <= %(u0)s) ORDER BY `k`"
    assert parameters == {"since": "2024-01-01 00:00:00", "a0": 5, "u0": 105}


def test_the_last_range_is_open():
    """What lies behind the last end of a range is read as well: keys grow while the walk goes on."""
    plan = PagePlan("t", ("`v`",), ("k",), cursor="DateTStamp", since="2024-01-01 00:00:00")
    (_, _, _, (text, parameters)) = asked(plan, [(105,)], [], [], start=Place("all", (5,)))
    assert text == f"SELECT `v`, `k` FROM `t` WHERE {CHANGED} AND (`k` > %(a0)s) ORDER BY `k`"
    assert parameters == {"since": "2024-01-01 00:00:00", "a0": 105}


def test_an_indexed_cursor_orders_the_pages():
    """Where an index leads with the cursor, pages follow (cursor, key); rows without a cursor come after them."""
    plan = PagePlan("t", ("`v`",), ("k",), cursor="ts", since="2024-01-01", cursor_indexed=True)
    changed, unset = asked(plan, start=Place("changed", ("2024-01-02 00:00:00", 3)))
    assert changed[0] == (
        "SELECT `v`, `ts`, `k` FROM `t` WHERE (`ts` >= %(since)s) AND "
        "(`ts` >= %(a1)s AND (`ts` > %(a1)s OR (`k` > %(a0)s))) ORDER BY `ts`, `k` LIMIT 100"
    )
    assert changed[1] == {"since": "2024-01-01", "a1": "2024-01-02 00:00:00", "a0": 3}
    assert unset == ("SELECT `v`, `k` FROM `t` WHERE (`ts` IS NULL OR `ts` = 0) ORDER BY `k` LIMIT 100", {})


def test_an_append_only_key_is_its_own_cursor():
    """The key of an append-only table finds its rows by the primary key, in one statement a page."""
    plan = PagePlan("log", ("`v`",), ("k",), cursor="k", since=7000, cursor_indexed=True)
    ((text, parameters),) = asked(plan, start=Place("all", (7009,)))
    assert text == "SELECT `v`, `k` FROM `log` WHERE (`k` >= %(since)s) AND (`k` > %(a0)s) ORDER BY `k` LIMIT 100"
    assert parameters == {"since": 7000, "a0": 7009}


def test_a_walk_goes_on_in_its_stage():
    """Killed among the rows without a cursor, a walk does not read the changed rows again."""
    plan = PagePlan("t", ("`v`",), ("k",), cursor="ts", since="2024-01-01", cursor_indexed=True)
    assert list_stages(plan) == ["changed", "unset"]
    ((text, parameters),) = asked(plan, start=Place("unset", (3,)))
    assert "IS NULL" in text
    assert parameters == {"a0": 3}


def test_keys_that_sort_by_number_go_on_by_number():
    """ENUM, SET and BIT sort by their number, not by their text: the number is what the next page starts from."""
    plan = PagePlan("t", ("`v`",), ("k", "e"), keyed_by_number=frozenset({"e"}))
    assert asked(plan)[0][0] == "SELECT `v`, `k`, `e`+0 FROM `t` ORDER BY `k`, `e` LIMIT 100"


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


@pytest.mark.parametrize("stage", ["all", "changed", "unset"])
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
