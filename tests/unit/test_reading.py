"""Pages from a server that falters: tried again within bounds, smaller where time ran out, and never in a snapshot."""

import logging

import pytest

from tap_opendental.connector import TIMEOUT_CODES, TRANSIENT_CODES, SourceAddress, explain
from tap_opendental.errors import OpenDentalError
from tap_opendental.extraction.pace import Pace, PaceLimits
from tap_opendental.extraction.pages import Answer
from tap_opendental.extraction.reading import PageReader, Retries

ADDRESS = SourceAddress("h", 3306, "u", "p", "d")
TIMEOUT, LOST, KILLED, GONE = 1969, 2013, 1317, 1146


class Server:
    """Fails with these codes, one after the other, and then answers."""

    def __init__(self, *codes, rows=(("line", 1),)):
        self.codes = list(codes)
        self.rows = rows
        self.asked = []
        self.events = []

    def fetch(self, statement, *, table=None):
        """Fail or answer."""
        self.asked.append((statement, table))
        self.events.append("ask")
        if self.codes:
            raise explain(Exception(self.codes.pop(0)), ADDRESS, table=table)
        return self.rows

    def disconnect(self):
        """Note it."""
        self.events.append("disconnect")


@pytest.fixture
def naps(monkeypatch):
    """Seconds of each pause, without sleeping them."""
    slept = []
    monkeypatch.setattr("tap_opendental.extraction.reading.sleep_alert", lambda seconds, _: slept.append(seconds))
    return slept


def ask(run, bounds):
    """Ask for a page of so many rows."""
    found = run((f"LIMIT {bounds.rows}", {}))
    return Answer(found, None, len(found), last=True)


def retries_of(server, *, tries=6, stop=lambda: None):
    """What asks this server again."""
    return Retries(server, tries, stop_if_asked=stop, logger=logging.getLogger("tap-opendental"))


def reader_of(server, *, tries=6, pace=None, texts=1, stop=lambda: None):
    """Reads pages of table visit."""
    pace = pace or Pace(PaceLimits(), 1000, 100)
    return PageReader(server, "visit", pace, texts=texts, retries=retries_of(server, tries=tries, stop=stop))


@pytest.mark.parametrize("code", sorted(TRANSIENT_CODES))
def test_what_may_pass_is_tried_again_over_another_connection(code, naps, caplog):
    """One failure of each such kind: the page is read, with a line in the log, and a pause before the second try."""
    server = Server(code)
    assert reader_of(server)(ask).rows == (("line", 1),)
    assert server.events == ["ask", "disconnect", "ask"]
    assert len(naps) == 1
    (line,) = caplog.messages
    assert f"{code}" in line or "no connection left" in line
    assert line.endswith("trying again (try 1 failed)")


@pytest.mark.parametrize("tries", [1, 2, 6])
def test_tries_are_bounded(tries, naps):
    """Then the stream fails, with what the server said last, and its exit code; pauses grow, up to half a minute."""
    server = Server(*[KILLED] * (tries - 1), LOST, *[KILLED] * 9)
    with pytest.raises(OpenDentalError, match="was lost while reading table visit") as caught:
        reader_of(server, tries=tries)(ask)
    assert caught.value.exit_code == 4
    assert caught.value.mysql_code == LOST
    assert len(server.asked) == tries
    assert len(naps) == tries - 1
    assert all(0 <= nap <= longest for nap, longest in zip(naps, (1, 2, 4, 8, 16, 30), strict=False))


def test_pauses_are_random(naps):
    """Runs that lost one server at one moment do not come back at one moment."""
    for _ in range(3):
        reader_of(Server(LOST, LOST))(ask)
    assert len(set(naps)) == 6


@pytest.mark.parametrize("code", [GONE, 1142, 126, 1054])
def test_what_will_not_pass_is_not_tried_again(code, naps):
    """A table that is gone, a right that is missing, a damaged table: at once."""
    server = Server(code)
    with pytest.raises(OpenDentalError):
        reader_of(server)(ask)
    assert (len(server.asked), naps) == (1, [])


@pytest.mark.parametrize("code", sorted(TIMEOUT_CODES))
def test_a_page_that_ran_out_of_time_is_asked_for_smaller(code, naps):
    """A quarter of the rows at each try: the same page again would run out of time again."""
    server = Server(code, code)
    reader_of(server)(ask)
    assert [statement[0] for statement, _ in server.asked] == ["LIMIT 1000", "LIMIT 250", "LIMIT 62"]


def test_a_lost_connection_says_nothing_of_the_pages_size(naps):
    """It is asked for as it was."""
    server = Server(LOST)
    reader_of(server)(ask)
    assert {statement[0] for statement, _ in server.asked} == {"LIMIT 1000"}


def test_a_single_try_is_none_again(naps):
    """In a snapshot, which died with its connection: another try would read another moment, in silence."""
    server = Server(LOST)
    with pytest.raises(OpenDentalError, match="was lost"):
        reader_of(server, tries=1)(ask)
    assert (server.events, naps) == (["ask"], [])


def test_what_is_no_page_is_asked_again_as_well(naps):
    """Clocks and facts before the first page, several statements at once: all of them, from the first on."""
    server = Server()

    def begin():
        first = server.fetch("facts")
        server.codes += [LOST] if len(server.asked) == 1 else []
        return first, server.fetch("clock")

    assert retries_of(server)(begin) == (server.rows, server.rows)
    assert [statement for statement, _ in server.asked] == ["facts", "clock", "facts", "clock"]
    assert len(naps) == 1


def test_a_signal_before_a_pause_ends_the_run(naps):
    """Whoever asks the run to end does not wait for its tries."""

    def stop():
        raise SystemExit(143)

    server = Server(LOST, LOST)
    with pytest.raises(SystemExit):
        reader_of(server, stop=stop)(ask)
    assert (len(server.asked), naps) == (1, [])


def test_a_signal_in_a_pause_ends_the_run(monkeypatch):
    """A pause is slept a second at a time: of half a minute, a signal in its third second waits for no more."""
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("tap_opendental.extraction.reading.PAUSE", lambda _: 30)

    def stop():
        if len(slept) == 3:
            raise SystemExit(143)

    server = Server(LOST, LOST)
    with pytest.raises(SystemExit):
        reader_of(server, stop=stop)(ask)
    assert (len(server.asked), slept) == (1, [1, 1, 1])


class Measured(Pace):
    """A pace that tells what it was told."""

    def __init__(self):
        super().__init__(PaceLimits(), 1000, 100)
        self.notes = []
        self.waits = 0

    def note(self, rows, nbytes, seconds, *, found):
        """Keep it."""
        self.notes.append((rows, nbytes, found, seconds > 0))

    def wait(self):
        """Count it."""
        self.waits += 1


def test_the_pace_learns_from_each_page(naps):
    """Rows examined and found, text and blobs without the key; it is asked before each page, and once for its tries."""
    pace = Measured()
    rows = [("lines", b"blob", None, 12345), ("line", None, "text", 12346)]
    server = Server(LOST, rows=rows)
    reader = reader_of(server, pace=pace, texts=3)
    reader(lambda run, _: Answer(run(("SELECT", {})), None, 5000, last=False))
    assert pace.notes == [(5000, 5 + 4 + 4 + 4, 2, True)]
    assert pace.waits == 1
    reader_of(Server(rows=[]), pace=pace)(ask)
    assert pace.notes[1:] == [(0, 0, 0, True)]
