"""The oracle target: what it keeps, what it refuses, and that no state of it is ahead of its rows."""

import json
import subprocess
from itertools import islice
from pathlib import Path

import pytest
from tests.reliability.harness import ORACLE
from tests.reliability.oracle_target import BROKEN_LINE, HALF_LINE, read_state, read_tables

SCHEMA = {"type": "SCHEMA", "stream": "visit", "schema": {}, "key_properties": ["Num"]}


def record(number, note, **version):
    return {"type": "RECORD", "stream": "visit", "record": {"Num": number, "Note": note}, **version}


def activate(version):
    return {"type": "ACTIVATE_VERSION", "stream": "visit", "version": version}


def state(value):
    return {"type": "STATE", "value": value}


def text_of(messages):
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


@pytest.fixture
def load(tmp_path):
    """Give messages, or bytes, to the target; its exit code."""

    def run(*messages, raw=b""):
        return subprocess.run(
            [*ORACLE, tmp_path], input=text_of(messages) + raw, stderr=subprocess.DEVNULL, check=False
        ).returncode

    return run


def notes(folder):
    return {key: row["Note"] for key, row in read_tables(folder).get("visit", {}).items()}


def test_the_last_row_of_a_key_stands(load, tmp_path):
    """A row replaces the one with its key, also one of an earlier run."""
    assert load(SCHEMA, record(1, "a"), record(2, "b"), record(1, "c")) == 0
    assert load(SCHEMA, record(2, "d"), record(3, "e")) == 0
    assert notes(tmp_path) == {("1",): "c", ("2",): "d", ("3",): "e"}


def test_activate_version_removes_the_other_versions(load, tmp_path):
    """Rows of another version and rows without one go; rows of the version, of this run or an earlier one, stay."""
    assert load(SCHEMA, record(1, "a"), record(2, "b", version=1), record(3, "c", version=2)) == 0
    assert set(notes(tmp_path)) == {("1",), ("2",), ("3",)}
    assert load(SCHEMA, record(4, "d", version=2), activate(2)) == 0
    assert set(notes(tmp_path)) == {("3",), ("4",)}
    assert load(SCHEMA, activate(3)) == 0
    assert notes(tmp_path) == {}


def test_rows_of_an_incremental_stream_have_no_version(load, tmp_path):
    """Without ACTIVATE_VERSION nothing ever goes."""
    assert load(SCHEMA, record(1, "a")) == 0
    assert load(SCHEMA, record(2, "b")) == 0
    assert set(notes(tmp_path)) == {("1",), ("2",)}


def test_the_last_state_is_kept(load, tmp_path):
    """A state of an earlier run stands until the next one comes."""
    assert read_state(tmp_path) is None
    assert load(SCHEMA, state({"at": 1}), record(1, "a"), state({"at": 2}), record(2, "b")) == 0
    assert load(SCHEMA) == 0
    assert read_state(tmp_path) == {"at": 2}


def test_half_a_line_is_said_and_costs_no_whole_one(load, tmp_path):
    """An input that ends within a line, even behind its last brace, has an exit code of its own; whole lines count."""
    for raw in (b'{"type": "RECORD", "stre', text_of([record(2, "b")])[:-1]):
        assert load(SCHEMA, record(1, "a"), state({"at": 1}), raw=raw) == HALF_LINE
        assert notes(tmp_path) == {("1",): "a"}
    assert read_state(tmp_path) == {"at": 1}


@pytest.mark.parametrize(
    "broken",
    [
        b"{}\n",
        b"null\n",
        b"half a line, then another\n",
        b'{"type": "RECORD", "stream": "other", "record": {"Num": 1}}\n',
        b'{"type": "RECORD", "stream": "visit", "record": {"Note": "a"}}\n',
        b'{"type": "ACTIVATE_VERSION", "stream": "visit"}\n',
        b'{"type": "BATCH", "stream": "visit"}\n',
    ],
)
def test_what_is_not_singer_is_refused(load, tmp_path, broken):
    """A line that is no message, a row before its SCHEMA or without its key, an unknown kind: refused, rows kept."""
    assert load(SCHEMA, record(1, "a"), raw=broken + text_of([state({"at": 1})])) == BROKEN_LINE
    assert notes(tmp_path) == {("1",): "a"}
    assert read_state(tmp_path) is None


def test_numbers_keep_their_digits(load, tmp_path):
    """What the tap wrote is compared, not what a float makes of it."""
    digits = "9007199254740993.00000000000000000001"
    raw = b'{"type": "RECORD", "stream": "visit", "record": {"Num": 1, "Note": %s}}\n' % digits.encode()
    assert load(SCHEMA, raw=raw) == 0
    assert str(notes(tmp_path)["1",]) == digits


def test_killed_it_has_every_row_that_its_state_claims(tmp_path):
    """A SIGKILL after any number of states: the rows before the last of them are there, and the next run goes on."""
    for count in (1, 7, 40):
        folder = tmp_path / str(count)
        folder.mkdir()
        with subprocess.Popen([*ORACLE, folder], stdin=subprocess.PIPE) as target:
            target.stdin.write(text_of([SCHEMA]))
            for number in islice(range(10_000), 10_000):
                target.stdin.write(text_of([record(number, "x"), state({"rows": number + 1})]))
                target.stdin.flush()
                if number >= count and read_state(folder):
                    break
            target.kill()
        claimed = read_state(folder)["rows"]
        assert claimed <= len(notes(folder))
        assert resume(folder, record(10_001, "y"))[("10001",)] == "y"


def resume(folder, *messages):
    """Give more to a store; its rows, all of which can be read."""
    subprocess.run([*ORACLE, folder], input=text_of([SCHEMA, *messages]), check=True)
    return notes(folder)


def test_a_line_that_a_kill_of_the_target_cut_is_dropped(load, tmp_path):
    """Half a line at the end of the store was not whole on the disk, and no state counts on it."""
    load(SCHEMA, record(1, "a"))
    with Path(tmp_path / "lines.jsonl").open("ab") as log:
        log.write(b'{"type": "REC')
    assert notes(tmp_path) == {("1",): "a"}
    assert resume(tmp_path, record(2, "b")) == {("1",): "a", ("2",): "b"}
