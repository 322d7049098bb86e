"""Names of locks, and how often the server is asked whether a lock still is ours."""

import pytest

from tap_opendental.connector import SourceAddress
from tap_opendental.errors import UnreachableError
from tap_opendental.locks import HeldLock, LockedError, LockLostError, StreamLocks, name_lock

LONG = "procedurelog" * 12


@pytest.mark.parametrize(
    ("lock_name", "stream"),
    [
        ("opendental.reader", "patient"),
        ("opendental.opendental_reader", LONG),
        ("clinic", "emoji\U0001f9b7" * 10),
        ("Ordination Süd", "straße"),
        ("a" * 200, "b"),
        ("", ""),
    ],
)
def test_a_name_fits_into_every_server(lock_name, stream):
    """At most 64 bytes, whatever the settings and the tables are called, and the same at each call."""
    name = name_lock(lock_name, stream)
    assert 0 < len(name.encode()) <= 64
    assert name == name_lock(lock_name, stream)


def test_a_short_name_can_be_read():
    """A person who looks at the server's locks sees who holds which."""
    assert name_lock("opendental.reader", "patient") == "tap-opendental/opendental.reader/patient"


def test_a_long_name_keeps_its_beginning():
    """What is cut off still counts: tables that differ in their last letter have locks of their own."""
    names = {name_lock("opendental.reader", LONG + last) for last in "abc"}
    assert len(names) == 3
    assert all(name.startswith("tap-opendental/opendental.reader/procedurelog") for name in names)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("clinic_a.reader", "patient"), ("clinic_b.reader", "patient")),
        (("clinic.reader", "patient"), ("clinic.reader", "patientnote")),
        (("clinic/x", "y"), ("clinic", "x/y")),
        ((f"{LONG}a", "patient"), (f"{LONG}b", "patient")),
    ],
)
def test_other_names_are_other_locks(one, other):
    """Two databases of one server, two destinations, two tables: no run waits for one of no concern to it."""
    assert name_lock(*one) != name_lock(*other)


@pytest.mark.parametrize("stream", ["patient", LONG])
def test_case_makes_no_difference(stream):
    """Servers compare these names without case; a digest that kept it would part runs that must meet."""
    assert name_lock("OpenDental.Reader", stream.upper()) == name_lock("opendental.reader", stream)


def test_the_server_is_asked_every_5_seconds_at_most():
    """Pages of a few milliseconds do not each cost a statement more; `at_once` asks in any case."""
    times = iter([100.0, 100.5, 104.9, 105.0, 109.9, 110.5, 110.6])  # at the lock, then at each page
    questions = []
    lock = HeldLock("patient", "name", lambda: questions.append("is it ours") or True, lambda: next(times))
    asked = []
    for _ in range(5):
        lock.require()
        asked.append(len(questions))
    assert asked == [0, 0, 1, 1, 2]
    lock.require(at_once=True)
    assert len(questions) == 3


def test_a_run_that_was_asked_to_end_takes_no_lock():
    """Where no page is read, since table after table did not change, this is where a signal is noticed."""

    def stop():
        raise SystemExit(143)

    locks = StreamLocks(SourceAddress("127.0.0.1", 1, "nobody", "", "none"), "clinic", 600, stop)
    with pytest.raises(SystemExit), locks.hold("patient"):
        pass


def lose():
    message = "the connection was lost"
    raise UnreachableError(message)


@pytest.mark.parametrize("answer", [lambda: False, lose])
def test_a_lost_lock_stops_the_stream(answer):
    """Whether the lock went to another or the connection went away: the stream is stopped, and says which."""
    times = iter([0.0, 4.9, 5.0, 5.1])
    lock = HeldLock("patient", "tap-opendental/x/patient", answer, lambda: next(times))
    lock.require()
    with pytest.raises(LockLostError, match="stream patient stopped, since its lock 'tap-opendental/x/patient'"):
        lock.require()
    with pytest.raises(LockLostError):
        lock.require()


def test_the_exit_codes_are_documented_ones():
    """A scheduler tells another run in the way (13), at the begin or in the middle, from a failure (1)."""
    assert (LockedError.exit_code, LockLostError.exit_code) == (13, 13)
