"""How often rows without a key are loaded: they add up, so that only what cannot be committed yet is tried again."""

import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.memory_warehouse import MemoryWarehouse

from target_opendental_replica import loading
from target_opendental_replica.batches import Batch
from target_opendental_replica.errors import UnreachableError
from target_opendental_replica.loading import Activation, Loading, Progress, Settlement
from target_opendental_replica.settings import Address, Settings
from target_opendental_replica.stream_facts import Field, StreamFacts

LOST = UnreachableError("lost")
SETTINGS = Settings("mysql", Address("h", 1, "u", "p", "d"), retries=3)


@pytest.fixture
def warehouse(monkeypatch):
    monkeypatch.setattr(loading, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(loading, "_LONGEST_PAUSE", 0.001)
    return MemoryWarehouse()


def rows(*numbers, version=None, columns=("Num",)):
    """A batch."""
    lines = [",".join([str(number), *["NULL"] * (len(columns) - 1)]) for number in numbers]
    content = "\n".join([",".join(columns), *lines, ""]).encode()
    return Batch(columns, content, len(content), datetime.now(UTC), version)


def do(warehouse, *steps, key=()):
    """Do steps of one stream, one after the other; how often the server was asked for a session."""
    facts = StreamFacts("log", (Field("Num", {"type": ["integer"]}),), key)
    stream = Progress(facts)
    ours = Loading(warehouse, replace(SETTINGS), logging.getLogger("test"))
    for step in steps:
        ours.do(stream, step)
    return [int(row["Num"]) for row in warehouse.tables["log"].values()]


@pytest.mark.parametrize("fault", ["connect", "open log", "load"])
def test_what_is_not_committed_is_tried_again(warehouse, fault):
    """The first connection, the table, and a batch behind others: each row is there once."""
    warehouse.faults[fault] = [LOST, LOST, None, LOST]
    assert do(warehouse, rows(1), rows(2), rows(3), Settlement()) == [1, 2, 3]


def test_a_settle_that_did_not_begin_is_tried_again(warehouse):
    """The stream is opened for it, which fails: nothing can be committed."""
    warehouse.faults["connect"] = [LOST]
    assert do(warehouse, Settlement()) == []


def test_what_may_be_committed_is_not(warehouse):
    """A settle that was cut: the row may be there."""
    warehouse.faults["settle"] = [LOST]
    with pytest.raises(UnreachableError):
        do(warehouse, rows(1), Settlement())
    assert warehouse.sessions == 1


@pytest.mark.parametrize(
    "steps",
    [(rows(1), rows(2, version=5)), (rows(1), Activation(5), rows(2)), (rows(1), rows(2, columns=("Num", "a")))],
)
def test_nor_rows_before_those_of_another_kind(warehouse, steps):
    """MySQL commits the ones before it takes the others."""
    warehouse.faults["load"] = [*[None] * (sum(isinstance(step, Batch) for step in steps) - 1), LOST]
    with pytest.raises(UnreachableError):
        do(warehouse, *steps)
    assert warehouse.sessions == 1


def test_the_next_rows_are_tried_again(warehouse):
    """After a settle, and after rows with a key that failed."""
    warehouse.faults["load"] = [None, LOST]
    assert do(warehouse, rows(1), Settlement(), rows(2), Settlement()) == [1, 2]


def test_rows_with_a_key_are_tried_again(warehouse):
    """The control: they come right however often they are loaded."""
    warehouse.faults["settle"] = [LOST, LOST]
    assert do(warehouse, rows(1), Settlement(), key=("Num",)) == [1]
    assert warehouse.sessions == 3
