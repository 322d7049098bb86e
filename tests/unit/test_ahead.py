"""Pages are read one ahead, by one thread, and never beyond the end of the block."""

import threading
import time

import pytest

from tap_opendental.extraction.ahead import read_ahead


def count(upto, taken):
    for number in range(upto):
        taken.append(number)
        yield number


def test_items_come_in_their_order():
    """Nothing is lost, doubled or turned round, falsy items included."""
    with read_ahead(iter([0, None, "", 3])) as items:
        assert list(items) == [0, None, "", 3]


def test_one_item_is_taken_ahead_and_no_more():
    """While an item is worked on the next one is read, however long that takes, and none after it."""
    taken = []
    with read_ahead(count(9, taken)) as items:
        for number in items:
            until = time.monotonic() + 5
            while len(taken) < min(number + 2, 9) and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(0.01)
            assert taken == list(range(min(number + 2, 9)))


def test_an_error_comes_in_its_turn():
    """What was read before the error goes out first."""

    def fail():
        yield 1
        raise LookupError("gone")

    with read_ahead(fail()) as items:
        assert next(items) == 1
        with pytest.raises(LookupError, match="gone"):
            next(items)


def test_nothing_is_read_after_the_block():
    """A consumer that ends early waits for what is under way: nobody meets the source in the middle of an answer."""
    begun, goes_on, done = threading.Event(), threading.Event(), []

    def slow():
        yield 1
        begun.set()
        goes_on.wait(5)
        done.append("read")
        yield 2

    with read_ahead(slow()) as items:
        assert next(items) == 1
        assert begun.wait(5)
        threading.Timer(0.05, goes_on.set).start()
        assert not done
    assert done == ["read"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]
