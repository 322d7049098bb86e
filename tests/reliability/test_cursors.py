"""What a cursor cannot be trusted with: clocks, crowded seconds, rows without a time. The stock rule runs beside."""

import signal
import time
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from zoneinfo import ZoneInfo

import pytest
from tests.reliability.harness import send
from tests.reliability.oracle_target import read_tables
from tests.reliability.stock import StockReader

STAMP = "Stamp timestamp NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
# Changed rows by an index of the timestamp, and in ranges of the key.
SHAPES = {"visit": "KEY (Stamp)) ENGINE=MyISAM", "memo": "KEY (Note)) ENGINE=InnoDB"}


@pytest.fixture(params=SHAPES)
def clock(request, source, make_pipe):
    """A table with a cursor, twelve rows that were read, the pipe, and the stock rule at the same point."""
    table = request.param
    source.sql(
        f"CREATE TABLE {table} (Num int PRIMARY KEY, Note varchar(20) NOT NULL, {STAMP}, {SHAPES[table]}",
        f"INSERT INTO {table} SELECT seq, 'old', NOW() - INTERVAL seq HOUR FROM seq_1_to_12",
    )
    source.review(incremental(table))
    pipe, stock = make_pipe(), StockReader(source.engine, table)
    pipe.settle()
    stock.run()
    assert source.differing(pipe, table) == {}
    assert stock.lost() == set()
    return table, pipe, stock


def incremental(*tables, page_rows=5, **words):
    """tables.yml: small tables that are read by their cursor."""
    chosen = {"extraction_strategy": "incremental", **words}
    return {table: {"batch_size": page_rows, "overrides": chosen} for table in tables}


@pytest.mark.parametrize("ahead", ["1 DAY", "70 YEAR", "1 HOUR"])
def test_a_row_from_the_future_hides_no_other(clock, source, ahead):
    """A row dated ahead is read, and so is each row after it; the stock bookmark skips them, for years."""
    table, pipe, stock = clock
    ahead = {"70 YEAR": "'2037-12-31'", "1 DAY": "NOW() + INTERVAL 1 DAY", "1 HOUR": "NOW() + INTERVAL 1 HOUR"}[ahead]
    source.sql(f"INSERT INTO {table} VALUES (13, 'future', {ahead})")
    for number in (14, 15):
        pipe.settle()
        stock.run()
        source.sql(
            f"INSERT INTO {table} (Num, Note) VALUES ({number}, 'then')",
            f"UPDATE {table} SET Note = 'then {number}' WHERE Num = 3",
        )
    pipe.settle()
    stock.run()
    assert source.differing(pipe, table) == {}
    assert stock.lost() == {3, 14, 15}


@pytest.mark.parametrize("late", ["59 MINUTE", "30 SECOND"])
def test_a_clock_that_went_back_hides_no_row(clock, source, late):
    """Rows whose time lies before the bookmark, within overlap_seconds (an hour): read; the stock rule loses them."""
    table, pipe, stock = clock
    source.sql(f"INSERT INTO {table} (Num, Note) VALUES (13, 'newest')")
    pipe.settle()
    stock.run()
    source.sql(
        f"SET timestamp = UNIX_TIMESTAMP(NOW() - INTERVAL {late})",
        f"INSERT INTO {table} (Num, Note) VALUES (14, 'late')",
        f"UPDATE {table} SET Note = 'late too' WHERE Num = 2",
    )
    pipe.settle()
    stock.run()
    assert source.differing(pipe, table) == {}
    assert stock.lost() == {2, 14}


@pytest.mark.parametrize("empty", ["NULL", "'0000-00-00 00:00:00'"])
def test_rows_without_a_time_are_read(clock, source, empty):
    """A row whose cursor is NULL or zero is found, and so is its edit; no comparison of the stock rule finds either."""
    table, pipe, stock = clock
    for number in (13, 14):
        source.sql(
            f"INSERT INTO {table} VALUES ({number}, 'timeless', {empty})",
            f"UPDATE {table} SET Note = 'edited {number}', Stamp = {empty} WHERE Num IN (1, 13)",
        )
        pipe.settle()
        stock.run()
        assert source.differing(pipe, table) == {}
    assert stock.lost() == {1, 13, 14}


ONE_SECOND = 5000
EACH = 97
SETTLED = 2.1


def test_a_second_with_thousands_of_rows_survives_a_kill_at_each_97th(source, make_pipe):
    """A mass update of 5,000 rows, and a kill after each 97th line: the runs get to the end, and every row is there.

    A page has 90 rows, so that each run gets one of them and its STATE through, and the second is beyond a page: the
    walk leaves the index of the timestamp for ranges of the key, and goes on in these.
    """
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, Note varchar(20) NOT NULL, {STAMP}, KEY (Stamp)) ENGINE=MyISAM",
        f"INSERT INTO visit SELECT seq, 'one', NOW() - INTERVAL seq HOUR FROM seq_1_to_{ONE_SECOND}",
    )
    source.review(incremental("visit", page_rows=90))
    pipe = make_pipe(max_page_bytes=1 << 20)
    pipe.settle()
    source.sql("UPDATE visit SET Note = 'two'")
    time.sleep(SETTLED)  # or else the runs cannot tell that nothing changes meanwhile, and read the hour once more
    kills = 0
    while (outcome := pipe.run({EACH: send(signal.SIGKILL)})).code != 0:
        kills += 1
        assert outcome.code == -signal.SIGKILL, outcome.log
        assert kills <= ONE_SECOND / 90, "a run came no further than the one before"
        assert pipe.state["bookmarks"]["visit"]["position"]["stage"] == "rest"
    assert kills >= ONE_SECOND / EACH - 1
    assert source.differing(pipe, "visit") == {}


def test_stepping_past_a_second_would_lose_the_rest_of_it(source):
    """The control of the test above, in one page: killed after 97 rows of a second, `>` finds none of the others."""
    source.sql(
        f"CREATE TABLE visit (Num int PRIMARY KEY, {STAMP})",
        f"INSERT INTO visit SELECT seq, '2024-01-02 03:04:05' FROM seq_1_to_{ONE_SECOND}",
    )
    with source.engine.connect() as connection:
        page = connection.exec_driver_sql(f"SELECT * FROM visit ORDER BY Stamp, Num LIMIT {EACH}").fetchall()
        rest = connection.exec_driver_sql("SELECT * FROM visit WHERE Stamp > %s", (page[-1].Stamp,)).fetchall()
    assert len(page) + len(rest) == EACH < ONE_SECOND


ZONES = ("America/New_York", "America/Chicago", "America/Los_Angeles", "America/Halifax")
SPRING, AUTUMN = datetime(2024, 3, 10, tzinfo=UTC), datetime(2024, 11, 3, tzinfo=UTC)
# Minutes from the hour of the change (2 o'clock) at which a run happens; a row is written in each minute.
RUNS = (-61, -60, -31, -1, 0, 1, 29, 59, 60, 61, 90)


def moments(day, zone):
    """Each minute from 70 before to 90 after a change of the clocks: minute, seconds since 1970, and UTC's distance."""
    before = day.replace(hour=1, minute=59, tzinfo=ZoneInfo(zone), fold=0)
    change = before.timestamp() + 60
    for minute in range(-70, 91):
        epoch = int(change) + 60 * minute
        yield minute, epoch, datetime.fromtimestamp(epoch, ZoneInfo(zone)).utcoffset()


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_no_row_is_lost_when_the_clocks_change(source, make_pipe, day):
    """A DATETIME cursor on a wall clock, in four zones, a row in each minute around the change, run after run: exact.

    The control: in autumn the stock rule loses the hour that the clock shows twice.
    """
    tables = {f"wall_{number}": zone for number, zone in enumerate(ZONES)}
    cursor = "Stamp datetime NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
    for number, table in enumerate(tables):
        index = ", KEY (Stamp)" if number % 2 else ""
        source.sql(f"CREATE TABLE {table} (Num int AUTO_INCREMENT PRIMARY KEY, Note varchar(20), {cursor}{index})")
    source.review(incremental(*tables, page_rows=50))
    pipe, stock = make_pipe(), {table: StockReader(source.engine, table) for table in tables}
    steps = {table: list(moments(day, zone)) for table, zone in tables.items()}
    for begin, end in pairwise((-71, *RUNS)):
        between = [(table, step) for table in tables for step in steps[table] if begin < step[0] <= end]
        source.sql(*(statement for table, step in between for statement in write_row(table, step)))
        pipe.settle()
        for reader in stock.values():
            reader.run()
    assert source.differing(pipe, *tables) == {}
    assert {len(reader.lost()) > 30 for reader in stock.values()} == {day is AUTUMN}


def write_row(table, step):
    """Statements that write a row at a moment, in a session whose zone is the clinic's then, and edit another one."""
    _, epoch, distance = step
    yield f"SET time_zone = '{offset(distance)}', timestamp = {epoch}"
    yield f"INSERT INTO {table} (Note) VALUES ('written')"
    yield f"UPDATE {table} SET Note = 'edited {epoch}' WHERE Num = 5"


def offset(distance: timedelta) -> str:
    """A distance from UTC as MySQL writes it."""
    minutes = int(distance.total_seconds() // 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def test_a_session_in_another_zone_loses_the_repeated_hour(source, make_pipe):
    """A TIMESTAMP cursor: the tap reads it in UTC and loses nothing; read in the clinic's zone, it loses an hour."""
    source.sql(
        "CREATE TABLE visit (Num int AUTO_INCREMENT PRIMARY KEY, Stamp timestamp NOT NULL DEFAULT current_timestamp() "
        "ON UPDATE current_timestamp())"
    )
    source.review(incremental("visit"))
    pipe, stock = make_pipe(overlap_seconds=1), StockReader(source.engine, "visit", zone="-04:00")
    steps = list(moments(AUTUMN, "America/New_York"))
    for begin, end in pairwise((-71, *RUNS)):
        between = [step for step in steps if begin < step[0] <= end]
        inserts = ((f"SET timestamp = {epoch}", "INSERT INTO visit VALUES ()") for _, epoch, _ in between)
        source.sql(*chain.from_iterable(inserts))
        stock.zone = offset(between[-1][2])
        stock.run()
        pipe.settle()
    assert source.differing(pipe, "visit") == {}
    assert set(read_tables(pipe.folder)["visit"]) >= {(str(number),) for number in stock.lost()}
    assert len(stock.lost()) > 30
