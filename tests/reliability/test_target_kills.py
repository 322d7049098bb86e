"""Kills of our target, and of the tap before it, at random places: one clean run later the destination is exact."""

import json
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from tests.reliability.conftest import ROUNDS
from tests.reliability.harness import Event, send

# The tap sends some 900 lines in a first load and takes half a second for it; the target is at it for about as long.
# Files are faster, and so are later runs: a signal that came too late brings the next one nearer.
FARTHEST, LONGEST, NEARER = 300, 0.9, 0.8
FILES = {"encoding": {"format": "jsonl", "compression": "gzip"}}


@pytest.fixture
def make_target_pipe(destination, make_pipe, forks, tmp_path):
    """The tap before our target; `files` sends BATCH files of CSV."""

    def make(program="target-opendental-replica", *, files=False, **settings):
        batches = (
            {"batch_config": {**FILES, "storage": {"root": str(tmp_path)}}, "batch_format": "csv"} if files else {}
        )
        pipe = make_pipe(**destination.tap_settings, **batches)
        command = (program, "--config", destination.write_config(pipe.folder, lock_wait_seconds=20, **settings))
        (pipe.folder / ".meltano").mkdir()
        environment = {**pipe.target_environment, "MELTANO_PROJECT_ROOT": str(pipe.folder)}
        return replace(pipe, target=command, start_target=forks.start, target_environment=environment)

    return make


def hit(pipe, random, number, reach):
    """One run in which the tap or the target gets a signal, after a random line or time, within that share of both."""
    choice, line, seconds = random.random(), random.randrange(1, max(2, round(FARTHEST * reach))), LONGEST * reach
    if choice < 0.3:
        return pipe.run({line: send(number)})
    if choice < 0.4:
        return pipe.run({line: send(number)}, to_target=Event(send(number), seconds / 2))
    return pipe.run(to_target=Event(send(number), random.uniform(0, seconds)))


def tell(outcome):
    return outcome.log[-2000:] + outcome.target_log[-2000:]


def chain(practice, pipe, random, number, kills):
    """Hit tap and target until so many runs were cut, with changes before each; the outcomes of those."""
    cut, reach = 0, 1.0
    for _ in range(kills * 4):
        outcome = hit(pipe, random, number, reach)
        is_cut = outcome.code or outcome.target_code
        reach = min(1.0, reach / NEARER) if is_cut else reach * NEARER
        if is_cut:
            cut += 1
            yield outcome
        if cut == kills:
            return
        practice.writer.work(random.randrange(2, 20))
    raise AssertionError(f"only {cut} of {kills} kills hit")


@pytest.fixture(params=["lines", "files"])
def pipe(request, make_target_pipe):
    """The tap before our target, rows as RECORD messages or in files."""
    return make_target_pipe(files=request.param == "files")


@pytest.mark.parametrize("link", range(2))
def test_sigkills_cost_nothing(practice, destination, pipe, seeded, link):
    """Ten SIGKILLs of target or tap, as RECORD and as BATCH: one clean run later every row of every table is exact."""
    for outcome in chain(practice, pipe, seeded, signal.SIGKILL, kills=10 * ROUNDS):
        assert {outcome.code, outcome.target_code} <= {0, -signal.SIGKILL, 14, 17}, tell(outcome)
    pipe.settle()
    assert destination.differing(practice) == {}


def test_sigterms_cost_nothing(practice, destination, pipe, seeded):
    """Ten SIGTERMs of target or tap: 143, never a success that is none, and one clean run later all is exact."""
    for outcome in chain(practice, pipe, seeded, signal.SIGTERM, kills=10 * ROUNDS):
        assert outcome.target_code in (0, 143), outcome.log[-2000:] + outcome.target_log[-3000:]
        assert outcome.code in (0, 143, 14), outcome.log[-3000:]
        assert "Traceback" not in outcome.log + outcome.target_log
    pipe.settle()
    assert destination.differing(practice) == {}


def cut_a_hasty_run(make_target_pipe):
    """The state that a target leaves which sends it before it commits, and is killed in between."""
    hasty = make_target_pipe("hasty-target")
    outcome = hasty.run()
    assert (outcome.code, outcome.target_code) == (0, -signal.SIGKILL), tell(outcome)
    return hasty.state


def test_a_hasty_state_loses_rows(practice, destination, make_target_pipe):
    """The control: a target that sends STATE before it commits loses rows for good, and the comparison sees it."""
    state = cut_a_hasty_run(make_target_pipe)
    honest = make_target_pipe(on_missing_rows="adopt")
    honest.write_state(state)
    honest.settle()
    assert destination.differing(practice) != {}


def test_a_hasty_state_is_refused(practice, destination, make_target_pipe):
    """The state that is ahead of the rows is refused, with the way back, and taken back nothing is lost."""
    honest = make_target_pipe()
    honest.write_state(cut_a_hasty_run(make_target_pipe))
    outcome = honest.run()
    assert (outcome.target_code, "meltano state merge" in outcome.target_log) == (16, True), outcome.target_log
    [path] = re.findall(r"--input-file (\S+)", outcome.target_log)
    rewound = json.loads(Path(path).read_text())["singer_state"]["bookmarks"]
    honest.write_state({"bookmarks": {**honest.state["bookmarks"], **rewound}})
    honest.settle()
    assert destination.differing(practice) == {}
