"""A table as a whole: when nothing can have changed since, and when it is older than it was."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from tap_opendental.errors import OpenDentalError
from tap_opendental.extraction.facts import read_digest, read_largest_key, read_table_state, read_table_states
from tap_opendental.extraction.table_state import Looks, TableState

TABLE = TableState("MyISAM", "2024-01-01 00:00:00", "2024-06-28 18:00:00", 9, 99, 10, "2024-06-28 18:00:02")


def test_a_fingerprint_differs_whenever_anything_does():
    """An edit moves UPDATE_TIME, and rows, bytes or the counter; a table made again has another CREATE_TIME."""
    others = [
        replace(TABLE, updated="2024-06-28 17:59:59"),
        replace(TABLE, created="2024-01-01 00:00:01"),
        replace(TABLE, rows=8),
        replace(TABLE, data_bytes=100),
        replace(TABLE, auto_increment=11),
        replace(TABLE, auto_increment=None),
    ]
    assert len({table.fingerprint for table in (TABLE, *others)}) == 7
    assert replace(TABLE, read_at="2025-01-01 00:00:00").fingerprint == TABLE.fingerprint


@pytest.mark.parametrize(
    ("read_at", "settled"),
    [
        ("2024-06-28 18:00:00", False),
        ("2024-06-28 18:00:01", False),
        ("2024-06-28 18:00:02", True),
        ("2024-06-28 17:00:00", False),
        ("2024-07-01 00:00:00", True),
    ],
)
def test_an_update_of_this_moment_is_no_fingerprint(read_at, settled):
    """UPDATE_TIME has seconds: another edit in the same one would not move it. So it must lie two seconds back."""
    assert (replace(TABLE, read_at=read_at).fingerprint is not None) == settled


@pytest.mark.parametrize("engine", ["InnoDB", "Aria", "MEMORY", "None"])
def test_only_myisam_has_a_fingerprint(engine):
    """Others forget UPDATE_TIME at a restart, and estimate their rows."""
    assert replace(TABLE, engine=engine).fingerprint is None
    assert replace(TABLE, updated=None).fingerprint is None


def test_what_a_later_run_compares_with():
    """Times and counter; rows and bytes are estimates elsewhere than on MyISAM."""
    looks = replace(TABLE, lead=-3).look_like(None)
    state = {"created": "2024-01-01 00:00:00", "updated": "2024-06-28 18:00:00", "auto_increment": 10, "lead": -3}
    assert looks.to_state() == state
    assert Looks.from_state(state) == looks


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"created": "2024-01-02 00:00:00", "updated": "2024-07-01 00:00:00", "auto_increment": 11}, None),
        ({"created": None, "updated": None, "auto_increment": None}, None),
        ({"auto_increment": 9}, "went back in AUTO_INCREMENT"),
        ({"created": "2023-12-31 23:59:59"}, "went back in CREATE_TIME"),
        ({"updated": "2024-06-28 17:59:59"}, "went back in UPDATE_TIME"),
        ({"updated": "2024-06-28 17:59:59", "engine": "InnoDB"}, None),
        ({"created": "2023-12-31 23:59:59", "engine": "InnoDB"}, "went back in CREATE_TIME"),
        ({"auto_increment": 9, "engine": "InnoDB"}, "went back in AUTO_INCREMENT"),
    ],
)
def test_a_table_that_went_back(change, why):
    """A backup brings counter and times back; InnoDB's UPDATE_TIME is lost at a restart and says nothing."""
    assert replace(TABLE, **change).went_back(TABLE.look_like(None)) == why


def test_nothing_remembered_is_nothing_to_compare_with():
    """A first run, or a state of another tap."""
    for before in (None, Looks()):
        assert TABLE.went_back(before) is None
        assert TABLE.count_set_back(before) == 0


def test_a_clock_that_loses_seconds_every_night_is_noticed():
    """What it was ahead of ours by is remembered from when that last moved, so small steps add up."""
    looks = replace(TABLE, lead=100).look_like(None)
    for lead in (80, 60, 40):
        looks = replace(TABLE, lead=lead).look_like(looks)
        assert looks.lead == 100
    assert replace(TABLE, lead=39).count_set_back(looks) == 61
    assert replace(TABLE, lead=39).look_like(looks).lead == 39


@pytest.mark.parametrize(("lead", "seconds"), [(100, 0), (99, 0), (40, 0), (39, 61), (-3500, 3600), (9000, 0)])
def test_a_clock_that_was_set_back(lead, seconds):
    """By the server's lead over our own clock; what two clocks differ by from night to night is not counted."""
    assert replace(TABLE, lead=lead).count_set_back(replace(TABLE, lead=100).look_like(None)) == seconds


class Server:
    """Stands for the source: gives an answer, and keeps what it was asked."""

    def __init__(self, *rows, trusted=True, error=None):
        self.rows, self.error = rows, error
        self.asked = []
        self.session = SimpleNamespace(trusts_update_time=trusted)

    def fetch(self, statement, *, table=None, warned=False):
        """Return the rows, whatever was asked."""
        self.warned = warned
        self.asked.append((statement[0], statement[1], table))
        if self.error:
            raise self.error
        return self.rows


FACTS = ("visit", "MyISAM", "2024-01-01 00:00:00", "2024-06-28 18:00:00", 9, 99, 10, "2024-06-28 18:00:02")
BARE = ("view", None, None, None, None, None, None, "2024-06-28 18:00:02")


def test_all_tables_cost_one_statement():
    """Whatever their number; a view has no facts, which is nothing to stumble over."""
    server = Server(FACTS, BARE)
    found = read_table_states(server)
    assert replace(found["visit"], lead=0) == TABLE
    assert found["view"].fingerprint is None
    assert len(server.asked) == 1
    assert server.warned  # of a broken view, for one


def test_one_table_now():
    """By its exact name: a server that ignores case may answer with another one's."""
    server = Server(FACTS)
    assert replace(read_table_state(server, "visit"), lead=0) == TABLE
    assert server.asked[0][1:] == ({"table": "visit"}, "visit")
    assert read_table_state(server, "Visit") is None
    assert read_table_state(Server(), "visit") is None


def test_the_servers_lead_is_measured_from_our_own_clock():
    """In whole seconds, either way."""
    for lead in (-4000, 0, 4000):
        now = datetime.fromtimestamp(time.time() + lead, UTC).strftime("%Y-%m-%d %H:%M:%S")
        found = read_table_state(Server((*FACTS[:-1], now)), "visit")
        assert abs(found.lead - lead) <= 2


def test_an_update_time_that_is_not_trusted_says_nothing():
    """Where MyISAM writes through a memory map: the table has no fingerprint, and never went back."""
    found = read_table_state(Server(FACTS, trusted=False), "visit")
    assert (found.updated, found.fingerprint) == (None, None)


INNODB = replace(TABLE, engine="InnoDB", data_bytes=2 * 1_048_576)
SUM = "SELECT COUNT(*), CAST(SUM(CAST(CONV(LEFT(MD5({}), 15), 16, 10) AS UNSIGNED)) AS CHAR) FROM `vi``s%%it`"


def test_a_digest_is_asked_of_innodb_within_the_limit_only():
    """It would keep the writers of a MyISAM table waiting, and costs as much as reading anywhere."""
    server = Server((3, "12345"))
    assert read_digest(server, "vi`s%it", INNODB, ["line"], 2) == "digest 3 12345 2024-01-01 00:00:00"
    assert server.asked == [(SUM.format("line"), {}, "vi`s%it")]
    read_digest(server, "vi`s%it", INNODB, ["line", "blob"], 2)
    assert server.asked[1][0] == SUM.format("CONCAT(IFNULL(MD5(line), '-'), IFNULL(MD5(blob), '-'))")
    idle = Server()
    assert read_digest(idle, "visit", replace(INNODB, data_bytes=2 * 1_048_576 + 1), ["line"], 2) is None
    assert read_digest(idle, "visit", INNODB, ["line"], 0) is None
    assert read_digest(idle, "visit", TABLE, ["line"], 64) is None
    assert idle.asked == []


def test_a_digest_that_takes_too_long_is_done_without():
    """The server ends a statement for its time: the table is read as if nobody knew. Other errors are errors."""
    late, lost = OpenDentalError("timed out"), OpenDentalError("gone")
    late.mysql_code, lost.mysql_code = 1969, 2013
    assert read_digest(Server(error=late), "visit", INNODB, ["line"], 2) is None
    with pytest.raises(OpenDentalError, match="gone"):
        read_digest(Server(error=lost), "visit", INNODB, ["line"], 2)


def test_the_largest_key():
    """By the index alone; None of an empty table."""
    server = Server((7,))
    assert read_largest_key(server, "log", "Log`Num") == 7
    assert server.asked[0][0] == "SELECT MAX(`Log``Num`) FROM `log`"
    assert read_largest_key(Server((None,)), "log", "LogNum") is None
