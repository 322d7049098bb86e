"""Progress of work that asks something: a line for each kind of step, a bar on a terminal, no commands in names."""

import io

import pytest
from rich.console import Console

from opendental_analyze import progress
from opendental_analyze.progress import PlainSteps, show_steps


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        """Seconds since the test began."""
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """The clock that the progress reads."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def console():
    """A file, which is no terminal."""
    return Console(file=io.StringIO(), width=40)


def lines(console):
    return console.file.getvalue().splitlines()


def test_a_log_has_a_line_for_each_kind_of_step(console, clock):
    """The first of many alike is said, and then one every few seconds, with how far it is."""
    tell = PlainSteps(console, every=5)
    tell("reading the schema")
    for number in range(1, 13):
        clock.now += 1
        tell(f"probing table{number}", number, 1200)
    tell("writing")
    assert lines(console) == [
        "    0 s  reading the schema",
        "    1 s  probing table1 (1/1,200)",
        "    6 s  probing table6 (6/1,200)",
        "   11 s  probing table11 (11/1,200)",
        "   12 s  writing",
    ]


def test_a_log_has_no_bar_and_no_broken_line(console):
    """Elsewhere than on a terminal a long line stays one line, and a name's markup and escapes are shown."""
    with show_steps(console) as tell:
        tell(f"probing {'x' * 64}[red]\x1b[31m\n", 1, 2)
    assert lines(console) == [f"    0 s  probing {'x' * 64}[red]\\x1b[31m\\n (1/2)"]


def test_a_terminal_has_a_live_line():
    """The live line shows the step, and how far it is where that is counted."""
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with show_steps(console) as tell:
        tell("probing [red]one", 7, 9)
    counted = console.file.getvalue()
    assert "probing [red]one" in counted
    assert "7/9" in counted
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with show_steps(console) as tell:
        tell("writing")
    assert "writing" in console.file.getvalue()
    assert "/" not in console.file.getvalue()
