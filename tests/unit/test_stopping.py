"""A signal ends a run after whole lines and within a grace period; how many come, and when, makes no difference."""

import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tap_opendental import stopping
from tap_opendental.stopping import StopRequest, sleep_alert


@pytest.fixture
def alarm():
    """Seconds until the process would be ended: a function; nothing of it is left after the test."""
    handler, mask = signal.getsignal(signal.SIGALRM), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield lambda: signal.getitimer(signal.ITIMER_REAL)[0]
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_later_signals_are_not_left_to_the_system(alarm):
    """While Python ends it gives its own handlers back: a signal would then kill, and the code would be another."""
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
    StopRequest().note(signal.SIGTERM)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGTERM, signal.SIGINT}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_first_signal_decides(alarm, number, code):
    """Whoever asks for the end again, or otherwise, neither changes the exit code nor moves the end."""
    request = StopRequest()
    assert (request.signal_name, request.exit_code, alarm()) == (None, 0, 0)
    request.note(number)
    assert (request.signal_name, request.exit_code) == (number.name, code)
    assert stopping.GRACE_SECONDS - 5 < alarm() <= stopping.GRACE_SECONDS
    signal.setitimer(signal.ITIMER_REAL, 10)
    for other in (signal.SIGTERM, signal.SIGINT) * 3:
        request.note(other)
    assert (request.signal_name, request.exit_code) == (number.name, code)
    assert 5 < alarm() <= 10


def test_a_sleep_looks_for_a_signal_every_second(monkeypatch):
    """Half a minute is slept a second at a time, and what `stop_if_asked` raises ends it."""
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    sleep_alert(2.5, lambda: None)
    assert slept == [1, 1, 0.5]
    sleep_alert(0, lambda: None)
    assert len(slept) == 3

    def stop():
        if len(slept) == 5:
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        sleep_alert(30, stop)
    assert slept[3:] == [1, 1]


# Writes pages of five lines, a megabyte each, until a signal asks for the end: no pipe holds one of them, so a process
# that ends while its reader waits ends within a line.
WRITER = """
import signal, sys
from tap_opendental import records, stopping
from tap_opendental.extraction.lines import Column
from tap_opendental.readings import Reading

way, stopping.GRACE_SECONDS = sys.argv[1], float(sys.argv[2])
request = stopping.StopRequest()
given_back = []

def take(number, frame):
    if way == "raises":
        raise SystemExit(128 + number)
    if way == "gives back":
        given_back.append(number)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    else:
        request.note(number)

for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, take)
if way != "has no buffer":
    records.buffer_stdout()
if way == "holds back":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
while not (request.exit_code or given_back):
    records.write_records("t", [Column("a", "a", Reading({}))], None, ['"' + "x" * 1_000_000 + '"'] * 5)
sys.exit(request.exit_code)
"""


@pytest.fixture
def writing():
    """Start a writer that takes signals in a way; it is returned when its pipe is full, and is gone after the test."""
    started = []

    def start(way, grace=100, unbuffered="1", stderr=subprocess.PIPE):
        command, environment = [sys.executable, "-c", WRITER, way, str(grace)], {"PYTHONUNBUFFERED": unbuffered}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, bufsize=0, env=os.environ | environment
        )
        started.append(process)
        while waiting_in(process.stdout) < 60_000:  # a pipe holds 65,536 bytes
            assert process.poll() is None
            time.sleep(0.001)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()


def waiting_in(pipe):
    """How many bytes a pipe holds."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


def storm(process, count=20):
    """Signals that do not wait for one another's effect: Ctrl-C, Meltano's SIGTERM, and again."""
    for number in (signal.SIGTERM, signal.SIGINT) * (count // 2):
        process.send_signal(number)
        time.sleep(0.001)


def catches(process, number):
    """True while a program of its own answers to the signal there."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> number - 1 & 1)


def rest_of(process):
    """What arrives when the reader reads on, and how the process ended."""
    arrived, log = process.communicate(timeout=60)
    return arrived, process.returncode, log.decode()


# Of two signals that arrive together, Python hears the one of the smaller number first.
STOPPED = {128 + signal.SIGTERM, 128 + signal.SIGINT}


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_storm_of_signals_cuts_no_line(writing, unbuffered):
    """Twenty signals while a line waits for its reader: the page goes out to its last newline, and the code tells."""
    process = writing("ours", unbuffered=unbuffered)
    storm(process)
    arrived, code, log = rest_of(process)
    assert (code in STOPPED, log) == (True, "")
    assert arrived.endswith(b"\n")
    assert [json.loads(line)["type"] for line in arrived.splitlines()] == ["RECORD"] * 5


def test_signals_into_a_slow_pipe_cut_no_line(writing):
    """Two signals after each 50 KB that a slow reader takes, so that writes are broken off in many places."""
    process = writing("ours")
    arrived = b""
    for _ in range(60):
        arrived += process.stdout.read(50_000)
        storm(process, count=2)
    rest, code, log = rest_of(process)
    assert (code in STOPPED, log) == (True, "")
    assert [json.loads(line)["type"] for line in (arrived + rest).splitlines()] == ["RECORD"] * 5


@pytest.mark.parametrize("way", ["raises", "has no buffer"])
def test_other_ways_cut_a_line(writing, way):
    """The control: raising out of the handler leaves half a line, and tells nobody.

    So does writing without a buffer, as PYTHONUNBUFFERED asks for: Python forgets the rest of an interrupted write.
    """
    process = writing(way)
    process.send_signal(signal.SIGTERM)
    arrived, code, _ = rest_of(process)
    assert code == 143
    assert not arrived.endswith(b"\n")


def test_a_second_signal_that_ends_at_once_cuts_a_line(writing):
    """The control: Ctrl-C reaches the tap, and Meltano, which sends SIGTERM: left to the system, that one kills."""
    process = writing("gives back")
    process.send_signal(signal.SIGINT)
    while catches(process, signal.SIGTERM):
        time.sleep(0.001)
    process.send_signal(signal.SIGTERM)
    arrived, code, _ = rest_of(process)
    assert code == -signal.SIGTERM
    assert not arrived.endswith(b"\n")


def test_a_target_that_never_reads_does_not_keep_the_tap(writing):
    """The grace period over, the process ends although its line does not go out; the code is right, and it says why."""
    process = writing("ours", grace=0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    _, _, log = rest_of(process)
    assert log.startswith("tap-opendental: error: SIGTERM, and 0.5 s later the run had not ended: the target does not")
    assert log.count("\n") == 1


def test_signals_that_are_held_back_end_nothing(writing):
    """The control: with signals masked during a write, a target that never reads keeps the process for ever."""
    process = writing("holds back", grace=0.1)
    storm(process)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)


@pytest.fixture(params=["full", "closed"])
def deaf(request):
    """A pipe for a log that nobody reads: there is no room in it, or no reader."""
    reading, writing = os.pipe2(os.O_NONBLOCK)
    if request.param == "closed":
        os.close(reading)
    else:
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 4096)
        os.set_blocking(writing, True)
    yield writing
    os.close(writing)
    if request.param == "full":
        os.close(reading)


def test_a_log_that_nobody_reads_does_not_keep_the_tap(writing, deaf):
    """The process ends without its last line."""
    process = writing("ours", grace=0.2, stderr=deaf)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
