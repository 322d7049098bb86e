"""Pages: the exact text of the SQL that reads rows. What it finds is proven on real servers by the other suites."""

from tap_opendental.extraction.pages import (
    SINCE,
    PagePlan,
    page_statement,
    quote,
    range_end_statement,
    range_statement,
)

PLAN = PagePlan(table="procedurelog", expressions=("`ProcNum`", "CAST(`x` AS DOUBLE)"), key=("ProcNum",), page_rows=100)
CHANGED = "(`DateTStamp` >= %(since)s OR `DateTStamp` IS NULL OR `DateTStamp` = 0)"


def test_first_page():
    """The first page starts at the beginning of the key, bounded in rows."""
    text, _ = page_statement(PLAN, None)
    assert text == "SELECT `ProcNum`, CAST(`x` AS DOUBLE), `ProcNum` FROM `procedurelog` ORDER BY `ProcNum` LIMIT 100"


def test_next_page_starts_behind_the_last_key():
    """Pages follow the key by value, never by OFFSET: rows deleted meanwhile shift nothing."""
    text, parameters = page_statement(PLAN, (7,))
    assert "WHERE (`ProcNum` > %(a0)s) ORDER BY" in text
    assert parameters["a0"] == 7


def test_composite_keys_compare_lexicographically():
    """A key of several columns pages in their order, and its first column still serves as an index range."""
    plan = PagePlan(table="t", expressions=("`a`",), key=("a", "b"), page_rows=2)
    text, parameters = page_statement(plan, (1, "x"))
    assert "(`a` >= %(a1)s AND (`a` > %(a1)s OR (`b` > %(a0)s)))" in text
    assert (parameters["a1"], parameters["a0"]) == (1, "x")
    text, _ = range_statement(plan, (1, "x"), (2, "y"))
    assert "(`a` <= %(u1)s AND (`a` < %(u1)s OR (`b` <= %(u0)s)))" in text


def test_ranges_find_changed_rows_without_an_index():
    """Where the cursor has no index, the predicate works inside a range of the primary key."""
    plan = PagePlan("t", ("`v`",), ("k",), 100, cursor="DateTStamp", since="2024-01-01 00:00:00")
    assert range_end_statement(plan, (5,))[0] == (
        "SELECT `k` FROM `t` WHERE (`k` > %(a0)s) ORDER BY `k` LIMIT 1 OFFSET 99"
    )
    text, parameters = range_statement(plan, (5,), (105,))
    assert text == (f"SELECT `v`, `k` FROM `t` WHERE {CHANGED} AND (`k` > %(a0)s) AND (`k` <= %(u0)s) ORDER BY `k`")
    assert parameters == {"since": "2024-01-01 00:00:00", "a0": 5, "u0": 105}


def test_an_indexed_cursor_orders_the_pages():
    """Where an index leads with the cursor, pages follow (cursor, key)."""
    plan = PagePlan("t", ("`v`",), ("ts", "k"), 10, cursor="ts", since="2024-01-01", changed=SINCE)
    text, _ = page_statement(plan, ("2024-01-02 00:00:00", 3))
    assert text == (
        "SELECT `v`, `ts`, `k` FROM `t` WHERE (`ts` >= %(since)s) AND "
        "(`ts` >= %(a1)s AND (`ts` > %(a1)s OR (`k` > %(a0)s))) ORDER BY `ts`, `k` LIMIT 10"
    )


def test_hostile_names_stay_names():
    """Backticks and percent signs in a name end neither the identifier nor the driver's parameters."""
    assert quote("a`b%s") == "`a``b%%s`"
