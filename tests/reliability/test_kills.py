"""Kills of the tap at random places, one after the other, a writer between them; then one clean run, and exactness."""

import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.reliability.conftest import CLEAN_RUNS, PAGE_ROWS, ROUNDS
from tests.reliability.harness import by_command, send, storm
from tests.reliability.oracle_target import HALF_LINE, LINES
from tests.reliability.tables import DEFINITIONS

# Lines of a first load are some 900, of a run after changes 150 to 400.
FARTHEST = 300


def kill_at_random(practice, pipe, random, number):
    """One run that gets a signal, or a storm, after a random line, or, a quarter of the SIGKILLs, at a random time."""
    if number == signal.SIGKILL and random.random() < 0.25:
        return pipe.run(after=random.uniform(0.05, 0.6))
    return pipe.run({random.randrange(1, FARTHEST): number if callable(number) else send(number)})


def chain(practice, pipe, random, number, kills):
    """Kill until it hit so many times, with changes before each run; the outcomes of the runs that were hit."""
    hits = []
    for _ in range(kills * 4):
        outcome = kill_at_random(practice, pipe, random, number)
        if outcome.code != 0:
            hits.append(outcome)
            yield outcome
        if len(hits) == kills:
            return
        practice.writer.work(random.randrange(2, 20))
    raise AssertionError(f"only {len(hits)} of {kills} kills hit")


@pytest.mark.parametrize("link", range(4))
def test_sigkills_cost_nothing(practice, make_pipe, seeded, link):
    """Ten SIGKILLs, the first ones in the first load: one clean run later every row of every table is exact."""
    pipe = make_pipe()
    for outcome in chain(practice, pipe, seeded, signal.SIGKILL, kills=10 * ROUNDS):
        assert outcome.code == -signal.SIGKILL, outcome.log[-3000:]
        assert outcome.target_code in (0, HALF_LINE)
    pipe.settle(CLEAN_RUNS)
    assert practice.differing(pipe) == {}


@pytest.mark.parametrize("table", DEFINITIONS)
def test_a_killed_first_load_goes_on_where_it_was(practice, make_pipe, table):
    """Killed in the middle of its first load, a table of any strategy and key is not begun again, and is exact."""
    pipe = make_pipe(tables=[table])
    assert pipe.run({80: send(signal.SIGKILL)}).code == -signal.SIGKILL
    before = sent_rows(pipe)
    pipe.settle()
    began_with = sent_rows(pipe)[len(before) :][:PAGE_ROWS]
    assert len(before) >= 4 * PAGE_ROWS
    assert [row for row in began_with if row in before[: 2 * PAGE_ROWS]] == []
    assert practice.source.differing(pipe, table) == {}


def sent_rows(pipe):
    """Every row that the store was ever sent, in order."""
    messages = map(json.loads, (pipe.folder / LINES).read_bytes().splitlines())
    return [message["record"] for message in messages if message["type"] == "RECORD"]


@pytest.mark.parametrize("link", range(2))
def test_sigterms_break_no_line_and_no_promise(practice, make_pipe, seeded, tmp_path_factory, link):
    """Ten SIGTERMs: exit 143, whole lines only, and after each of them the state claims no row that is not there.

    What the state claims is what no later run sends again: a clean run over a copy of the store makes it exact.
    """
    pipe = make_pipe()
    for outcome in chain(practice, pipe, seeded, signal.SIGTERM, kills=10 * ROUNDS):
        assert (outcome.code, outcome.target_code) == (128 + signal.SIGTERM, 0), outcome.log[-3000:]
        assert "Traceback" not in outcome.log
        copy = pipe.copy(tmp_path_factory.mktemp("copy"))
        copy.settle(CLEAN_RUNS)
        assert practice.differing(copy) == {}
    pipe.settle(CLEAN_RUNS)
    assert practice.differing(pipe) == {}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_command_ends_between_lines(practice, make_pipe, seeded, number, code):
    """The real command: its exit code tells the signal, its last line is whole, and the next run makes it exact."""
    pipe = make_pipe(start=by_command)
    outcome = pipe.run({seeded.randrange(1, FARTHEST): send(number)})
    assert (outcome.code, outcome.target_code) == (code, 0), outcome.log[-3000:]
    pipe.settle()
    assert practice.differing(pipe) == {}


def test_storms_of_signals_break_no_line(practice, make_pipe, seeded):
    """Ten signals within 20 ms, five times at a random line: whole lines, the code of one of them, and exact rows."""
    pipe = make_pipe()
    for outcome in chain(practice, pipe, seeded, storm, kills=5 * ROUNDS):
        assert (outcome.code in {130, 143}, outcome.target_code) == (True, 0), outcome.log[-3000:]
        assert "Traceback" not in outcome.log
    pipe.settle(CLEAN_RUNS)
    assert practice.differing(pipe) == {}


def test_a_target_that_hangs_does_not_keep_the_tap(source, make_pipe):
    """SIGTERM while the target reads no more: the tap ends after its grace period, here a second, with 143 and a line.

    Only then half a line may have gone out, and the next run makes it exact all the same. The page is one write, of ten
    times what the pipe holds: at its first line the tap is in the middle of it.
    """
    rows = "INSERT INTO wide SELECT seq, REPEAT('x', 4000) FROM seq_1_to_20"
    source.sql("CREATE TABLE wide (Num INT PRIMARY KEY, Note TEXT)", rows)
    pipe = replace(make_pipe(max_page_bytes=1_000_000), program="hasty-tap")
    outcome = pipe.run({2: outwait})
    assert outcome.code == 143, outcome.log[-3000:]
    assert outcome.last_line.startswith(
        "tap-opendental: error: SIGTERM, and 1 s later the run had not ended: the target"
    )
    assert outcome.records < 20
    assert outcome.target_code in (0, HALF_LINE)
    pipe.settle()
    assert source.differing(pipe, "wide") == {}


def outwait(tap):
    """Ask the tap to end, and read nothing until it has."""
    send(signal.SIGTERM)(tap)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{tap.pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_stock_tap_calls_a_sigterm_a_success(practice, stock_pipe):
    """The control: a tap as the SDK makes them ends with 0 although most rows did not go out, and nobody notices."""
    outcome = stock_pipe.run({20: send(signal.SIGTERM)})
    assert outcome.code == 0
    assert practice.source.differing(stock_pipe, "visit") != {}


def test_the_comparison_sees_what_a_hasty_state_would_lose(practice, make_pipe):
    """The control: a state that is ahead of the rows, as of a target that drops the batch in flight, is seen as loss.

    One row that the state claims is taken out of the store, its timestamp days old: no later run sends it again.
    """
    pipe = make_pipe()
    pipe.settle()
    practice.source.sql("UPDATE visit SET Stamp = NOW() - INTERVAL 3 DAY WHERE Num = 1")
    pipe.settle()
    path = pipe.folder / LINES
    kept = [line for line in path.read_bytes().splitlines(keepends=True) if not is_visit(line, 1)]
    path.write_bytes(b"".join(kept))
    pipe.settle()
    assert practice.differing(pipe) == {"visit": {("1",): "missing"}}


def is_visit(line, number):
    message = json.loads(line)
    return message["stream"] == "visit" and message["type"] == "RECORD" and message["record"]["Num"] == number
