"""States that should not be believed: cut short or corrupt. Refused, or read for what they say; no silent new start."""

from __future__ import annotations

import copy
import json
import logging
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.reliability.conftest import ROUNDS
from tests.reliability.harness import send
from tests.reliability.oracle_target import STATE

from tap_opendental.tap import main

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED, CONNECTS = 11, 1
STREAMS = ("shelf", "visit", "journal")


@pytest.fixture
def known(practice, make_pipe):
    """A store in mid-life: two tables read once, a first load of a third cut short, and all of them changed."""
    pipe = make_pipe(tables=list(STREAMS))
    pipe.settle(tables=["visit", "journal"])
    assert pipe.run({60: send(signal.SIGKILL)}).code == -signal.SIGKILL
    practice.writer.work(30)
    assert b'"position": {' in (pipe.folder / STATE).read_bytes()
    return pipe


@pytest.fixture
def try_state(known, tmp_path, monkeypatch, capsys):
    """Give the tap a state file; its exit code. CONNECTS when the tap believes the state: it finds no server."""
    path, config = tmp_path / "state.json", tmp_path / "config.json"
    config.write_text(json.dumps(known.config))
    monkeypatch.setattr(logging, "raiseExceptions", False)  # handlers write to a stream that pytest has replaced
    monkeypatch.setattr("tap_opendental.source.create_source_engine", None)
    monkeypatch.setattr(sys, "argv", ["tap-opendental", "--config", str(config), "--state", str(path)])

    def run(content: bytes) -> int:
        path.write_bytes(content)
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        assert said.err.splitlines()[-1].startswith("tap-opendental: error: ")
        return ended.value.code

    return run


def test_a_state_that_was_cut_is_refused_at_each_byte(known, try_state):
    """Whatever a full disk left of a state file: exit 11 and one line, before a connection and before a row."""
    whole = (known.folder / STATE).read_bytes()
    assert {try_state(whole[:size]) for size in range(len(whole))} == {REFUSED}
    assert try_state(whole) == CONNECTS


WRONG = (None, "x", -1, 1.5, True, [], {}, "2030-01-01T00:00:00+00:00")


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a state, of lists the first."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, item in items:
        yield from places(item, (*path, name))


def corrupted(state: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The state with each place replaced by each wrong value in turn, and a name for it."""
    for path in places(state["bookmarks"], ("bookmarks",)):
        for wrong in WRONG:
            other: Any = copy.deepcopy(state)
            place = other
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = wrong
            yield f"{'/'.join(map(str, path))} = {wrong!r}", json.dumps(other).encode()


def test_a_corrupt_state_is_refused_or_harmless(practice, known, try_state, seeded, tmp_path_factory):
    """Each value of a state made wrong: most is refused with 11; what is believed loses no row.

    A sample of what is believed is run: with 0 or a refusal, and exact once a whole state is back or the run was well.
    """
    states = dict(corrupted(known.state))
    codes = {name: try_state(content) for name, content in states.items()}
    assert set(codes.values()) == {REFUSED, CONNECTS}
    believed = sorted(name for name, code in codes.items() if code == CONNECTS and not name.endswith(" = 1.5"))
    assert len(believed) < len(states) / 2
    for name in seeded.sample(believed, min(len(believed), 8 * ROUNDS)):
        pipe = known.copy(tmp_path_factory.mktemp("copy"))
        (pipe.folder / STATE).write_bytes(states[name])
        outcome = pipe.run(page_retries=0)
        assert outcome.code in (0, 10, REFUSED), (name, outcome.last_line)
        assert outcome.target_code == 0, name
        if outcome.code:
            (pipe.folder / STATE).write_bytes((known.folder / STATE).read_bytes())
        pipe.settle()
        pipe.settle()
        assert practice.source.differing(pipe, *STREAMS) == {}, name


def test_a_number_that_no_target_takes_never_gets_into_a_state(known, try_state):
    """A float anywhere in a state is refused, or is not written on: the SDK's targets cannot write the number back."""
    states = {name: content for name, content in corrupted(known.state) if name.endswith(" = 1.5")}
    assert [name for name, content in states.items() if try_state(content) != REFUSED] == []


def test_a_bookmark_without_its_value_is_no_silent_start(practice, known):
    """A bookmark that lost its value is refused, or the table is read whole with a line that says so."""
    state = known.state
    state["bookmarks"]["visit"]["replication_key_value"] = None
    known.write_state(state)
    outcome = known.run()
    assert outcome.code == REFUSED or any("visit" in line and "WARNING" in line for line in outcome.log.splitlines())
