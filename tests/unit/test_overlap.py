"""The overlap: what the last run sent is not sent again, and whatever changed is, bucket by bucket."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest

from tap_opendental.extraction.overlap import UNSET, Overlap, Reach, find_largest, name_bucket

NIGHT = [
    ("a", "2024-06-28T18:01:02+00:00"),
    ("b", "2024-06-28T18:09:59+00:00"),
    ("c", "2024-06-28T18:10:00+00:00"),
    ("d", None),
    ("e", "2037-01-01T00:00:00+00:00"),
    ("f", None),
]
BUCKETS = [{"a", "b"}, {"c"}, {"d", "f"}, {"e"}]


def read(rows, remembered=(), **options):
    """What goes out of a pass over these rows, and the digest for the next one."""
    overlap = Overlap(remembered, **options)
    sent = overlap.admit([line for line, _ in rows], [cursor for _, cursor in rows], None)
    sent += overlap.finish()
    return sent, overlap.digest(None)


REMEMBERED = read(NIGHT)[1]


def test_without_a_digest_every_row_goes_out_in_order():
    """A first run, or one that goes on, has nothing to compare with."""
    assert read(NIGHT)[0] == ["a", "b", "c", "d", "e", "f"]


def test_what_did_not_change_is_not_sent():
    """In whatever order the rows come; the digest for the next run is the same as before."""
    for rows in permutations(NIGHT):
        assert read(rows, REMEMBERED) == ([], REMEMBERED)


@pytest.mark.parametrize("place", range(len(NIGHT)))
def test_a_changed_row_sends_its_bucket_and_no_other(place):
    """Edited, deleted, sent twice, or joined by another: the rows of its ten minutes go out, as they are now."""
    line, cursor = NIGHT[place]
    (bucket,) = (each for each in BUCKETS if line in each)
    rest = NIGHT[:place] + NIGHT[place + 1 :]
    assert set(read([*rest, ("edited", cursor)], REMEMBERED)[0]) == bucket - {line} | {"edited"}
    assert set(read(rest, REMEMBERED)[0]) == bucket - {line}
    assert set(read([*NIGHT, ("added", cursor)], REMEMBERED)[0]) == bucket | {"added"}
    assert sorted(read([*NIGHT, (line, cursor)], REMEMBERED)[0]) == sorted([*bucket, line])


def test_two_rows_that_swap_their_times_are_both_sent():
    """A bucket is its rows, not their number."""
    swapped = [(line, {"b": NIGHT[2][1], "c": NIGHT[1][1]}.get(line, cursor)) for line, cursor in NIGHT]
    assert set(read(swapped, REMEMBERED)[0]) == {"a", "b", "c"}


def test_a_row_in_a_new_bucket_goes_out_at_once():
    """Only what may be the same as the last time waits."""
    overlap = Overlap(REMEMBERED)
    assert overlap.admit(["new", "a"], ["2024-06-28T18:20:00+00:00", NIGHT[0][1]], None) == ["new"]
    assert sorted(overlap.finish()) == ["a"]


def test_release_gives_all_that_is_held_and_goes_on_comparing_the_rest():
    """Before a position is written nothing may be owed; buckets that come later are whole, and are compared."""
    overlap = Overlap(REMEMBERED)
    assert overlap.admit(["a", "d"], [NIGHT[0][1], None], None) == []
    assert overlap.release() == ["a", "d"]
    assert overlap.release() == []
    lines, cursors = zip(*[row for row in NIGHT if row[0] not in "ad"], strict=True)
    assert overlap.admit(lines, cursors, None) == ["b", "f"]
    assert overlap.finish() == []
    assert overlap.digest(None) == REMEMBERED


def test_settled_buckets_are_compared_before_the_end():
    """Where rows come in the order of their cursors, a bucket is whole as soon as a later one begins."""
    overlap = Overlap(REMEMBERED)
    assert overlap.admit(["edited", "b", "c"], [row[1] for row in NIGHT[:3]], None) == []
    assert overlap.settle(None) == []
    assert overlap.settle(NIGHT[1][1]) == []
    assert overlap.settle(NIGHT[2][1]) == ["edited", "b"]
    assert overlap.release() == ["c"]


def test_the_memory_of_held_rows_is_bounded():
    """Beyond the limit all that is held goes out, which does no harm; the count of bytes begins again."""
    times = [f"2024-06-28T18:{minute:02}:00+00:00" for minute in range(60)]
    rows = [("x" * 100, time) for time in times]
    _, remembered = read(rows)
    overlap = Overlap(remembered, most_held_bytes=1000)
    sent = [overlap.admit([line], [time], None) for line, time in rows]
    assert [len(lines) for lines in sent[:12]] == [0] * 10 + [11, 1]
    assert sum(map(len, sent)) > 40
    assert read(rows, remembered)[0] == []


def test_releasing_pays_once_as_much_was_sent():
    """To release what is held costs at most as much again as what went out anyway."""
    overlap = Overlap(REMEMBERED)
    assert not overlap.holds_most
    overlap.admit(["a", "b"], [NIGHT[0][1], NIGHT[1][1]], None)
    assert overlap.holds_most
    overlap.admit(["new"], ["2024-07-01T00:00:00+00:00"], None)
    assert overlap.holds_most
    overlap.admit(["new"], ["2024-07-01T00:00:00+00:00"], None)
    assert not overlap.holds_most


MOMENTS = (
    "2024-06-28T18:01:02+00:00",
    "2024-06-28T18:01:02.123456+00:00",
    "2024-02-29T00:00:00",
    "0999-12-31T23:59:59",
)


@pytest.mark.parametrize("seconds", [0, 1, 599, 3600, 86_400 * 8])
@pytest.mark.parametrize("bookmark", MOMENTS)
def test_a_run_reads_from_the_begin_of_a_bucket(bookmark, seconds):
    """So that what it compares is whole: a row is read if, and only if, its bucket is."""
    begin = Reach(seconds=seconds).begin(bookmark)
    early, late = datetime.fromisoformat(begin), datetime.fromisoformat(bookmark)
    assert timedelta(seconds=seconds) <= late - early < timedelta(seconds=seconds, minutes=10)
    assert early.tzinfo == late.tzinfo
    floor = name_bucket(begin)
    for distance in (-600, -1, -0.001, 0, 0.001, 1, 599.999, 600):
        cursor = (early + timedelta(seconds=distance)).isoformat()
        assert (cursor >= begin) == (name_bucket(cursor) >= floor)


def test_year_one_has_nothing_before_it():
    """The sentinel of no date is a bookmark like any other."""
    assert Reach().begin("0001-01-01T00:00:00+00:00") == "0001-01-01T00:00:00+00:00"


@pytest.mark.parametrize("keys", [0, 1, 999, 1000, 10_000])
@pytest.mark.parametrize("bookmark", [-12_345, -1, 0, 1, 999, 1000, 12_345, 2**63])
def test_a_log_is_read_from_the_begin_of_a_thousand(bookmark, keys):
    """The same for keys, on either side of zero."""
    begin = Reach(keys=keys).begin(bookmark)
    assert keys <= bookmark - begin < keys + 1000
    for distance in (-1, 0, 999, 1000):
        assert (distance >= 0) == (int(name_bucket(begin + distance)) >= int(name_bucket(begin)))


def test_a_log_is_compared_by_thousands_of_keys():
    """Numbers, also below zero, are put in order as numbers: those before the bookmark's reach are left out."""
    rows = [(str(key), key) for key in (-1500, -1, 0, 999, 1000, 9999, 10_000)]
    overlap = Overlap(())
    overlap.admit([line for line, _ in rows], [key for _, key in rows], -1000)
    digest = overlap.digest(-1000)
    assert [bucket for bucket, _ in digest] == ["-1", "0", "1", "9", "10"]
    assert read(rows, digest)[0] == ["-1500"]
    edited = [("edited" if key == 999 else line, key) for line, key in rows]
    assert set(read(edited, digest)[0]) == {"-1500", "0", "edited"}


def test_the_digest_is_of_what_the_next_run_reads():
    """Buckets before its begin are left out, though they were read: it would never see them whole, nor at all."""
    overlap = Overlap(())
    lines, cursors = zip(*NIGHT, strict=True)
    overlap.admit(lines, cursors, None)
    assert [bucket for bucket, _ in overlap.digest("2024-06-28T18:10:00+00:00")] == [
        "2024-06-28T18:1",
        "2037-01-01T00:0",
        UNSET,
    ]


def test_the_digest_is_bounded_and_keeps_rows_without_a_cursor():
    """Rows of very many future days: the newest thousand buckets are remembered, and those without a cursor."""
    first = datetime(2030, 1, 1)  # noqa: DTZ001 - a wall clock
    cursors = [(first + timedelta(days=day)).isoformat() for day in range(1500)]
    overlap = Overlap(())
    overlap.admit(["x"] * 1501, [*cursors, None], None)
    buckets = [bucket for bucket, _ in overlap.digest(None)]
    assert len(buckets) == 1000
    assert buckets[-1] == UNSET
    assert buckets[-2] == name_bucket(cursors[-1])


@pytest.mark.parametrize("ascending", [True, False])
def test_a_first_load_of_many_years_does_not_fill_memory(ascending):
    """What was counted and lies before the reach of the bookmark so far is forgotten; the digest does not change."""
    first = datetime(2010, 1, 1)  # noqa: DTZ001 - a wall clock
    cursors = [(first + timedelta(minutes=10 * step)).isoformat() for step in range(20_000)]
    bounded, plain = Overlap(()), Overlap(())
    for begin in range(0, len(cursors), 500):
        page = cursors[begin : begin + 500] if ascending else cursors[::-1][begin : begin + 500]
        keep_from = Reach().begin(max(page) if ascending else cursors[-1])
        bounded.admit(page, page, keep_from)
        plain.admit(page, page, None)
    begin = Reach().begin(cursors[-1])
    assert bounded.digest(begin) == plain.digest(begin)
    assert len(bounded._counts) < 3000 < len(plain._counts)


def test_the_largest_cursor():
    """None counts for nothing; a fraction of a second is larger than none."""
    assert find_largest([]) is None
    assert find_largest([None, None]) is None
    assert find_largest([3, None, 10]) == 10
    assert find_largest(["2024-01-01T00:00:00.5+00:00", None, "2024-01-01T00:00:00+00:00"]).endswith(".5+00:00")
