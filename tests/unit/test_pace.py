"""Pace: the next page's size follows what pages cost, and no page begins before it may."""

from datetime import datetime, timedelta
from itertools import pairwise
from threading import Thread

import pytest

from tap_opendental.errors import ConfigError
from tap_opendental.extraction.pace import OfficeHours, Pace, PaceLimits, Throttle, follow_clock

MIB = 1024 * 1024
LIMITS = PaceLimits()


def read(pace, width, seconds_per_row=1e-6, overhead=0.0):
    """One page in the order of the key, all rows of one width; returns its rows."""
    rows = pace.rows
    pace.note(rows, rows * width, overhead + rows * seconds_per_row, found=rows)
    return rows


def test_the_first_page_has_the_rows_of_tables_yml():
    """Nothing measured yet: batch_size, unless the table's mean row makes more than max_page_bytes of them."""
    assert Pace(LIMITS, 5000, 0).rows == 5000
    assert Pace(LIMITS, 5000, 200).rows == 5000
    assert Pace(LIMITS, 5000, 100_000).rows == 83
    assert Pace(LIMITS, 5000, 100 * MIB).rows == 1


def test_a_slow_page_shrinks_the_next_at_once():
    """One page of 10 s is followed by one that would take less than max_page_seconds at the same speed."""
    pace = Pace(LIMITS, 5000, 200)
    read(pace, 200, seconds_per_row=10 / 5000)
    assert 50 < pace.rows <= 125
    assert pace.rows * 10 / 5000 < LIMITS.max_page_seconds


def test_a_fast_page_grows_by_two_at_most_and_without_an_upper_limit_in_rows():
    """Narrow rows from a fast server reach pages of 200,000 rows and stay within max_page_seconds."""
    pace = Pace(LIMITS, 5000, 20)
    sizes = [read(pace, 20) for _ in range(12)]
    assert all(later <= 2 * size for size, later in pairwise(sizes))
    assert sizes[-1] == 200_000


def test_a_crowd_is_what_the_server_was_fast_enough_for():
    """No more than a page before anything was measured; then what fits the time, up to 16 pages, within the bytes."""
    pace = Pace(LIMITS, 1000, 200)
    assert pace.crowd == pace.rows == 1000
    read(pace, 200, seconds_per_row=2e-5)
    assert (pace.rows, pace.crowd) == (2000, 10_000)
    read(pace, 200, seconds_per_row=1e-6)
    assert (pace.rows, pace.crowd) == (4000, 8 * MIB // 200)
    pace.note(1, 200, 0.002, found=1)
    assert pace.crowd > 10_000, "a page of one row says nothing of the server"


def test_a_slow_page_ends_what_was_known_of_the_server():
    """Whatever was fast before: the next crowd is no larger than what the slow page would have had time for."""
    pace = Pace(LIMITS, 1000, 200)
    read(pace, 200, seconds_per_row=1e-6)
    read(pace, 200, seconds_per_row=2 * LIMITS.max_page_seconds / 2000)
    assert pace.crowd == pace.rows == 800
    read(pace, 200, seconds_per_row=1e-6)
    assert pace.crowd > pace.rows
    pace.failed()
    assert pace.crowd == pace.rows


def test_sizes_come_to_rest():
    """At a steady speed the size settles where a page fits its time, and does not swing."""
    pace = Pace(LIMITS, 5000, 200)
    sizes = [read(pace, 200, seconds_per_row=3e-5) for _ in range(20)]
    assert len(set(sizes[-10:])) == 1
    assert 0.7 * LIMITS.max_page_seconds <= sizes[-1] * 3e-5 <= LIMITS.max_page_seconds


@pytest.mark.parametrize("delay", [0.3, 5.0])
def test_a_line_slower_than_the_limit_does_not_end_at_pages_of_one_row(delay):
    """The delay of the line is in every page: smaller pages would not be faster, only more."""
    pace = Pace(LIMITS, 5000, 200)
    for _ in range(20):
        read(pace, 200, overhead=delay)
    assert pace.rows == 50
    pace.failed(), pace.failed(), pace.failed()
    for _ in range(20):
        read(pace, 200, overhead=delay)
    assert pace.rows == 50


def test_wide_rows_shrink_by_time_below_fifty():
    """Rows of 1 MB at 80 ms each, as over a line of 100 Mbit: three of them already take max_page_seconds."""
    pace = Pace(LIMITS, 5000, MIB)
    for _ in range(5):
        read(pace, MIB, seconds_per_row=0.08)
    assert pace.rows in (2, 3)


def test_rows_that_turn_wide_never_make_two_pages_above_max_page_bytes():
    """The statistics say 100 bytes, rows are 2,000: only the first such page may be larger than allowed."""
    pace = Pace(LIMITS, 50_000, 100)
    read(pace, 2000)
    assert all(read(pace, 2000) * 2000 <= LIMITS.max_page_bytes for _ in range(30))


def test_one_row_of_16_mb_is_forgotten():
    """It brings the next page down in proportion, and pages double from there, whatever the size it struck at."""
    for rows in (1, 10, 5000):
        pace = Pace(LIMITS, rows, 200)
        pace.note(rows, rows * 200 + 16 * MIB, 0.2, found=rows)
        assert pace.rows <= max(1, rows / 2)
        sizes = [read(pace, 200, seconds_per_row=1e-5) for _ in range(17)]
        assert all(later <= 2 * size for size, later in pairwise(sizes))
        assert max(sizes) >= 5000


def test_a_table_in_which_every_hundredth_row_is_wide_never_takes_much_memory():
    """Rows of 16 MB among small ones: a page holds some of them, never the hundreds that small rows alone allow."""
    pace, position, widest = Pace(LIMITS, 5000, 200), 0, 0
    pace.note(5000, 50 * 16 * MIB, 0.2, found=5000)
    for _ in range(400):
        wide = (position + pace.rows) // 100 - position // 100
        position += pace.rows
        widest = max(widest, wide)
        pace.note(pace.rows, wide * 16 * MIB + pace.rows * 200, 0.01, found=pace.rows)
    assert widest <= 4


def test_a_range_in_which_nothing_changed_grows_by_its_time_and_keeps_the_width_of_rows():
    """Sparse ranges grow with what they examine, and the first in which all rows changed still fits."""
    pace = Pace(LIMITS, 5000, 150)
    for _ in range(100):
        pace.note(pace.rows, 3 * 400, 0.004, found=3)
    assert pace.rows == LIMITS.max_page_bytes // 400
    for _ in range(100):
        pace.note(pace.rows, 0, 0.004, found=0)
    assert pace.rows == LIMITS.max_page_bytes // 400


def test_a_width_by_examined_rows_would_let_a_dense_range_through():
    """The control: told that every examined row was returned, 1,200 bytes a page, the range has no end."""
    pace = Pace(LIMITS, 5000, 150)
    for _ in range(20):
        pace.note(pace.rows, 3 * 400, 0.004, found=pace.rows)
    assert pace.rows * 400 > 100 * LIMITS.max_page_bytes


def test_an_unknown_width_grows_nothing_until_rows_were_seen():
    """No statistics and empty ranges: who knows what the next one holds."""
    pace = Pace(LIMITS, 5000, 0)
    for _ in range(5):
        pace.note(5000, 0, 0.001, found=0)
    assert pace.rows == 5000
    for _ in range(5):
        read(pace, 100)
    assert pace.rows == LIMITS.max_page_bytes // 100


def test_an_odd_row_found_alone_does_not_make_a_sparse_scan_crawl():
    """A range with one changed row, of 16 MB: the ranges after it are back at their size within a dozen pages."""
    pace = Pace(LIMITS, 5000, 0)
    pace.note(5000, 16 * MIB, 0.2, found=1)
    for _ in range(12):
        pace.note(pace.rows, 0, 0.004, found=0)
    assert pace.rows == 5000


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_last_page_tells_little(rows):
    """A page with few rows or none, fast or slow, leaves the next at its size: the next pass begins with it."""
    for seconds in (0.0, 0.001, 3.0):
        pace = Pace(LIMITS, 5000, 200)
        pace.note(rows, rows * 200, seconds, found=rows)
        assert pace.rows == (10_000 if rows and not seconds else 5000)


def test_a_failed_page_is_at_least_halved_and_recovers():
    """A page given up for its time is tried again with a quarter of its rows; pages that succeed grow again."""
    pace = Pace(LIMITS, 5000, 200)
    pace.failed()
    assert pace.rows == 1250
    for _ in range(10):
        pace.failed()
    assert pace.rows == 1
    for _ in range(13):
        read(pace, 200)
    assert pace.rows >= 5000


class Clock:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def __call__(self):
        """Seconds since some moment."""
        return self.now

    def sleep(self, seconds):
        """Let them pass, and note how many."""
        self.slept.append(seconds)
        self.now += seconds


def throttled(clock, local="2024-03-04 10:00", **limits):
    start = datetime.fromisoformat(local)
    return Throttle(
        PaceLimits(**limits), lambda: start + timedelta(seconds=clock() - 1000), clock=clock, sleep=clock.sleep
    )


def test_pages_begin_no_faster_than_allowed_over_all_streams():
    """Four pages a second, whichever stream's they are; the first waits for nobody."""
    clock = Clock()
    throttle = throttled(clock, max_pages_per_second=4)
    paces = [Pace(LIMITS, 1, 0, throttle) for _ in range(3)]
    begins = []
    for page in range(12):
        paces[page % 3].wait()
        begins.append(clock())
        clock.now += 0.01  # the page itself
    assert begins[0] == 1000
    assert all(later - begin >= 0.25 - 1e-9 for begin, later in pairwise(begins))
    assert begins[-1] == pytest.approx(1000 + 11 * 0.25)


def test_time_that_pages_take_is_not_saved_up():
    """After a long page the next begins at once, but the pages behind it do not catch up."""
    clock = Clock()
    throttle = throttled(clock, max_pages_per_second=4)
    throttle.wait()
    clock.now += 60
    throttle.wait()
    assert clock() == 1060
    throttle.wait()
    assert clock() == 1060.25


def test_no_limit_is_no_wait():
    """Without max_pages_per_second nobody sleeps, inside office hours or out of them; nor without a throttle."""
    clock = Clock()
    throttled(clock, office_hours=OfficeHours.parse("Mon-Sun 00:00-24:00")).wait()
    Pace(LIMITS, 1, 0).wait()
    assert clock.slept == []


def test_the_limit_holds_inside_office_hours_only():
    """A run that begins at 17:59:58 is slow for its first two seconds, on the server's clock, and then free."""
    clock = Clock()
    hours = OfficeHours.parse("Mon 07:30-18:00")
    throttle = throttled(clock, "2024-03-04 17:59:58", max_pages_per_second=1, office_hours=hours)
    for _ in range(100):
        throttle.wait()
    assert clock() == 1002


def test_a_long_wait_is_slept_in_short_pieces():
    """A page a minute: the sleep looks around every second, and what it raises ends the wait."""
    clock = Clock()
    throttle = throttled(clock, max_pages_per_second=1 / 60)
    throttle.wait()
    throttle.wait()
    assert max(clock.slept) <= 1.0
    assert sum(clock.slept) == pytest.approx(60)


def test_threads_share_the_limit():
    """Readers side by side take one place each."""
    clock = Clock()
    throttle = throttled(clock, max_pages_per_second=10)
    workers = [Thread(target=lambda: [throttle.wait() for _ in range(50)]) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    throttle.wait()
    assert clock() >= 1000 + 200 / 10 - 1e-6


def test_the_followed_clock_goes_on_from_what_the_server_said():
    """The server's wall clock is read once; from there on seconds are counted."""
    clock = Clock()
    local = follow_clock(datetime.fromisoformat("2024-03-04 23:59:50"), clock)
    clock.now += 15
    assert local() == datetime.fromisoformat("2024-03-05 00:00:05")


def covered(text, *moments):
    hours = OfficeHours.parse(text)
    # 2024-03-04 is a Monday
    days = {"Mon": 4, "Tue": 5, "Wed": 6, "Thu": 7, "Fri": 8, "Sat": 9, "Sun": 10}
    return [
        hours.covers(datetime.fromisoformat(f"2024-03-{days[day]:02} {clock}"))
        for day, clock in (moment.split() for moment in moments)
    ]


def test_office_hours_cover_from_their_begin_to_before_their_end():
    """The begin is inside, the end is not; days are those named."""
    text = "Mon-Sat 07:30-18:00"
    assert covered(text, "Mon 07:29:59", "Mon 07:30", "Sat 17:59:59", "Mon 18:00", "Sun 12:00") == [
        False, True, True, False, False,
    ]  # fmt: skip


def test_office_hours_over_midnight_belong_to_the_day_they_begin_on():
    """Friday's night ends on Saturday morning; the night before Friday is not Friday's."""
    moments = ("Fri 01:00", "Fri 22:00", "Sat 01:59", "Sat 02:00", "Sat 22:00")
    assert covered("Fri 22:00-02:00", *moments) == [False, True, True, False, False]
    assert covered("Sun 22:00-02:00", "Mon 01:00", "Sun 01:00") == [True, False]


def test_office_hours_take_lists_ranges_over_sunday_and_several_windows():
    """All ways of writing days, in any case, and more than one window."""
    assert covered("Mon-Wed,fri 08:00-12:00", "Tue 09:00", "Thu 09:00", "Fri 09:00") == [True, False, True]
    assert covered("SAT-Mon 08:00-12:00", "Sat 09:00", "Sun 09:00", "Mon 09:00", "Tue 09:00") == [
        True,
        True,
        True,
        False,
    ]
    assert covered("Mon-Fri 8:00-12:00 ; monday 13:00 - 24:00", "Mon 12:30", "Mon 23:59", "Tue 13:30") == [
        False, True, False,
    ]  # fmt: skip
    assert all(covered("Mon-Sun 00:00-24:00", "Mon 00:00", "Sun 23:59:59"))


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ";", "Mon", "07:30-18:00", "Mon 07:30", "Mon 7-18", "Mon 07:30-18:60", "Mon 07:30-24:01",
        "Mon 24:00-06:00", "Mon 08:00-08:00", "Mo 07:30-18:00", "Mon-Fri-Sun 07:30-18:00", "Mon- 07:30-18:00",
        "Mon,,Tue 07:30-18:00", "Mon 07:30-18:00;", "Mon 07:30-18:00, Tue 07:30-18:00", "Mon 07:30-18:00 Europe/Berlin",
        "Mon\nx 07:30-18:00", "Mon \u0660\u0667:30-18:00",
    ],
)  # fmt: skip
def test_office_hours_that_cannot_be_read_are_refused_in_one_line(text):
    """A typing error must not make the limit hold never, or always."""
    with pytest.raises(
        ConfigError, match=r"^office_hours: .* is no window: write days and hours as in `Mon-Sat 07:"
    ) as e:
        OfficeHours.parse(text)
    assert "\n" not in str(e.value)
