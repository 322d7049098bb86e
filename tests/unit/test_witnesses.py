"""The newest rows of a run: which they are, how they are asked for again, and that their state is believed strictly."""

from random import Random

import pytest

from tap_opendental.extraction.overlap import Reach
from tap_opendental.extraction.pages import PagePlan
from tap_opendental.extraction.witnesses import MOST, Witness, ask_for, digest_row, find_contradiction, gather, vouch


def remember(offset):
    """A function that makes a witness of the row at a place; keys begin at the offset."""
    return lambda place, cursor: Witness((offset + place,), cursor)


def moments(*hours):
    """Cursors at hours of one day; None stays None."""
    return [None if hour is None else f"2024-06-01T{hour:02}:00:00+00:00" for hour in hours]


def test_the_newest_rows_are_remembered():
    """The newest first; rows without a cursor, or dated beyond the watermark, are none."""
    found = gather((), moments(3, None, 1, 9, 2), remember(0), upto=moments(5)[0])
    assert [(witness.key, witness.cursor[11:13]) for witness in found] == [((0,), "03"), ((4,), "02"), ((2,), "01")]


def test_pages_in_any_order_give_the_same_rows():
    """Whatever the pages, the newest rows of all of them are left, and no more than the state has room for."""
    random = Random(5)  # noqa: S311 - repeatable, not secret
    cursors = random.sample(range(10_000), 300)
    expected = sorted(cursors, reverse=True)[:MOST]
    for size in (1, 7, 8, 300):
        found = ()
        for begin in range(0, 300, size):
            found = gather(found, cursors[begin : begin + size], remember(begin))
        assert [witness.cursor for witness in found] == expected
        assert [cursors[witness.key[0]] for witness in found] == expected


def test_a_row_is_remembered_as_it_was_seen_last():
    """Edited since, it is one row still."""
    old = Witness((1,), moments(3)[0])
    (found,) = gather((old,), moments(None, 5), remember(0))
    assert found == Witness((1,), moments(5)[0])


def test_rows_are_asked_for_by_their_whole_keys():
    """Values are bound, names quoted, and a key that is known by its number is asked for by it."""
    plan = PagePlan("vi`sit", ("line",), ("Ward", "Kind"), keyed_by_number=frozenset({"Kind"}))
    text, parameters = ask_for([Witness(("O'Brien", 2), 1), Witness(("East", 3), 1)], plan)
    assert text == (
        "SELECT line, `Ward`, `Kind`+0 FROM `vi``sit` WHERE (`Ward` = %(w0_0)s AND `Kind` = %(w0_1)s) "
        "OR (`Ward` = %(w1_0)s AND `Kind` = %(w1_1)s)"
    )
    assert parameters == {"w0_0": "O'Brien", "w0_1": 2, "w1_0": "East", "w1_1": 3}


def test_a_digest_is_of_the_row_and_of_the_way_its_line_is_made():
    """Any other text has another digest; lines of another form cannot be compared."""
    assert digest_row("a", "json x") == digest_row("a", "json x")
    assert len({digest_row("a", "json x"), digest_row("b", "json x"), digest_row("a", "csv x")}) == 3
    before = (Witness((1,), 1, digest_row("a", "json x")),)
    now = {(1,): Witness((1,), 1, digest_row("b", "csv x"))}
    assert find_contradiction(before, now, Reach()) is None
    assert find_contradiction((), {}, Reach()) is None


@pytest.mark.parametrize("witness", [Witness((7,), 7, "json x:00ff"), Witness((b"\xff", "East", 1.5), "2024-06-01")])
def test_a_witness_survives_the_state(witness):
    """Whatever its key holds."""
    assert Witness.from_state(witness.to_state()) == witness


@pytest.mark.parametrize(
    "foreign",
    [
        None,
        7,
        [],
        [[7], 7],
        [None, 7, None],
        [[], 7, None],
        [[7], 1.5, None],
        [[7], True, None],
        [[7], 7, 7],
        [[7], "noon", None],
    ],
)
def test_what_is_no_witness_is_refused(foreign):
    """A state that cannot be read is not believed in part."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        Witness.from_state(foreign)


def test_the_very_newest_rows_that_are_gone_together_are_a_sign():
    """Unless one that is older than they are is as it was; a deleted row among them is no sign."""
    known = tuple(Witness((number,), number) for number in range(9, 1, -1))

    def left(*numbers):
        return find_contradiction(known, {(number,): Witness((number,), number) for number in numbers}, Reach())

    assert left() == "has none of its newest rows any more"
    assert left(5, 4, 3, 2) is None
    assert left(2) is None
    assert left(6) is None
    assert find_contradiction(known[:2], {(8,): known[1]}, Reach()) is None


def test_a_row_that_is_as_it_was_vouches_for_its_table():
    """Where no newer one is gone; a deleted one leaves it open what happened to the rest, and so do edits of all."""
    known = (Witness((2,), 2), Witness((1,), 1))
    edited = Witness((2,), 9)
    assert vouch(known, {witness.key: witness for witness in known})
    assert vouch(known, {(2,): known[0]})
    assert vouch(known, {(2,): edited, (1,): known[1]})
    assert not vouch(known, {(1,): known[1]})
    assert not vouch(known, {(2,): edited})
    assert not vouch((), {})


def test_half_of_the_witnesses_have_settled_keys():
    """Newer rows have keys that rows inserted after a restore may take: they would look like edits of them."""
    edits = [Witness((number,), 1000 + number) for number in range(1, 7)]
    inserts = [Witness((number,), 2000 + number) for number in range(50, 70)]
    rows = [*edits, *inserts]
    Random(5).shuffle(rows)  # noqa: S311 - repeatable, not secret
    cursors = [row.cursor for row in rows]
    for size in (1, 5, 26):
        found = ()
        for begin in range(0, 26, size):
            found = gather(found, cursors[begin : begin + size], lambda at, _, b=begin: rows[b + at], settled=50)
        assert [witness.key[0] for witness in found] == [69, 68, 67, 66, 6, 5, 4, 3]
    assert [w.key[0] for w in gather((), cursors, lambda at, _: rows[at], settled=None)] == [*range(69, 61, -1)]


def test_a_restore_that_took_the_keys_of_the_newest_rows_is_noticed():
    """All of the newest were inserted, and their keys are others' rows now: an older row's lost edit tells it."""
    known = gather(
        (), [*range(100_000, 100_004), *range(200_000, 200_008)], lambda at, cursor: Witness((at,), cursor), settled=4
    )
    restored = {w.key: Witness(w.key, 300_000 if w.key[0] >= 4 else 10) for w in known}
    assert find_contradiction(known, restored, Reach(keys=100)) == "holds older versions of rows"


def test_rows_of_another_cursor_are_not_compared():
    """A stream that goes by another column since."""
    known = (Witness((1,), "2024-06-01T00:00:00"),)
    assert find_contradiction(known, {(1,): Witness((1,), 5)}, Reach()) is None
