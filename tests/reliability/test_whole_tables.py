"""Tables that are read whole: not again while nothing changed, again after every change, wherever it fell in a read."""

import signal
import time

import pytest
from tests.reliability.harness import send
from tests.reliability.oracle_target import read_tables

# A fingerprint is trusted when the last change lies so many seconds back.
SETTLED = 2
ENGINES = ("MyISAM", "InnoDB")
ROWS, PAGE = 100, 10


def create(source, table, engine):
    """A table of a hundred rows, without anything that shows a change."""
    columns = "Num int AUTO_INCREMENT PRIMARY KEY, Note varchar(40) NOT NULL, Tail varchar(40) NOT NULL"
    source.sql(
        f"CREATE TABLE {table} ({columns}) ENGINE={engine}",
        f"INSERT INTO {table} SELECT seq, CONCAT('room ', seq), 'tail' FROM seq_1_to_{ROWS}",
    )


def review(source, *tables):
    whole = {"batch_size": PAGE, "overrides": {"extraction_strategy": "full_table"}}
    source.review(dict.fromkeys(tables, whole))


@pytest.fixture(params=ENGINES)
def room(request, source, make_pipe):
    """Such a table, and the pipe."""
    create(source, "room", request.param)
    review(source, "room")
    return make_pipe()


def settled(pipe, source):
    """Run until the table is known: the first run after a change may have come too soon to trust the second."""
    pipe.settle()
    time.sleep(SETTLED + 0.1)
    pipe.settle()
    assert source.differing(pipe, "room") == {}


def test_a_table_that_did_not_change_is_not_sent_again(room, source):
    """Two seconds after its last change the table is known, and costs no row until the next change."""
    settled(room, source)
    assert room.settle().records == 0
    source.sql("UPDATE room SET Note = 'edited' WHERE Num = 50")
    assert room.settle().records == ROWS
    assert source.differing(room, "room") == {}


CHANGES = {
    "edit": "UPDATE room SET Note = 'edited' WHERE Num = 3",
    "same length": "UPDATE room SET Note = 'mooR 3' WHERE Num = 3",
    "insert": "INSERT INTO room VALUES (0, 'new', 'tail')",
    "delete": "DELETE FROM room WHERE Num = 3",
    "delete all": "DELETE FROM room ",
    "truncate": "TRUNCATE room ",
    "swap": "UPDATE room SET Note = IF(Num = 3, 'room 4', 'room 3') WHERE Num IN (3, 4)",
    "text that moves to the next column": "UPDATE room SET Note = 'room', Tail = ' 3tail' WHERE Num = 3",
    "key": "UPDATE room SET Num = 1000 WHERE Num = 3",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_change_is_seen(source, make_pipe, engine):
    """Whatever changes a row changes what its table is known by, also where a sum over the rows stays the same."""
    tables = {f"room{number}": change for number, change in enumerate(CHANGES)}
    for table in tables:
        create(source, table, engine)
    review(source, *tables)
    pipe = make_pipe()
    pipe.settle()
    time.sleep(SETTLED + 0.1)
    pipe.settle()
    assert pipe.settle().records == 0
    for table, change in tables.items():
        source.sql(CHANGES[change].replace("room ", f"{table} ", 1))
    pipe.settle()
    assert [tables[table] for table in source.differing(pipe, *tables)] == []


def test_an_edit_in_the_second_of_the_last_read_is_seen(room, source):
    """A row edited behind the reader, in the second in which the read began: the next run brings it."""
    room.settle()
    wait_for_a_new_second()
    source.sql("UPDATE room SET Note = 'before' WHERE Num = 1")
    outcome = room.run({30: lambda _: source.sql("UPDATE room SET Note = 'behind' WHERE Num = 1")})
    assert outcome.code == 0
    room.settle()
    assert source.differing(room, "room") == {}
    assert read_tables(room.folder)["room"]["1",]["Note"] == "behind"


def test_a_second_holds_more_than_one_change(room, source):
    """The control: what a table says of its last change, in whole seconds, is the same before and after another one."""
    same = []
    while not any(same):  # two statements may lie on both sides of a second's end
        assert len(same) < 20
        source.sql("UPDATE room SET Note = CONCAT(Note, '!') WHERE Num = 1")
        before = last_change(source)
        source.sql("UPDATE room SET Note = CONCAT(Note, '?') WHERE Num = 1")
        same.append(last_change(source) == before)


def wait_for_a_new_second():
    time.sleep(1.01 - time.time() % 1)


def last_change(source):
    statement = "SELECT UPDATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
    with source.engine.connect() as connection:
        return connection.exec_driver_sql(statement).scalar_one()


@pytest.mark.parametrize("wait", [0, SETTLED + 0.1], ids=["at once", "later"])
def test_changes_behind_a_killed_load_are_not_forgotten(room, source, wait):
    """A first load is killed half way, and rows that it had sent change: exact when the runs after it are done.

    The first of them goes on from the position and ends the load; the table is known by what it was before the first
    page, so the changes make the next one read it again.
    """
    source.sql("INSERT INTO room VALUES (-5, 'first', 'tail')")
    time.sleep(wait)
    assert room.run({60: send(signal.SIGKILL)}).code == -signal.SIGKILL
    source.sql(CHANGES["edit"], "DELETE FROM room WHERE Num = 5", "INSERT INTO room VALUES (-9, 'behind', 'tail')")
    room.settle()
    room.settle()
    assert source.differing(room, "room") == {}


def test_killed_loads_add_up(room, source):
    """A first load whose every run is killed after its first page gets to its end, page by page, and is exact."""
    kill_after_a_page = {PAGE + 3: send(signal.SIGKILL)}  # SCHEMA, a page, its STATE, a row
    for _ in range(ROWS // PAGE):
        room.run(kill_after_a_page)
    assert len(read_tables(room.folder)["room"]) == ROWS
    room.settle()
    assert source.differing(room, "room") == {}


def test_activation_before_the_rows_would_empty_the_target(room, source):
    """Killed at any line of a second load, the target holds each row of the source: nothing goes before all came.

    The control: with ACTIVATE_VERSION before the rows, as the SDK sends it, the same store would be empty.
    """
    settled(room, source)
    source.sql("UPDATE room SET Note = 'edited' WHERE Num = 50")
    for line in (1, 2, 50):
        assert room.run({line: send(signal.SIGKILL)}).code == -signal.SIGKILL
        held = read_tables(room.folder)["room"]
        assert {key for (key,) in held} == {str(number) for number in range(1, ROWS + 1)}
    lines = (room.folder / "lines.jsonl").read_bytes().splitlines(keepends=True)
    hasty = b'{"type": "ACTIVATE_VERSION", "stream": "room", "version": 1}\n'
    (room.folder / "lines.jsonl").write_bytes(b"".join([*lines, hasty]))
    assert read_tables(room.folder)["room"] == {}
