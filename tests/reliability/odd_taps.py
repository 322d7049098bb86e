"""The tap with times of its own, for tests of what it does with signals: `hasty-tap` and `tired-tap`."""

from __future__ import annotations

import os
import signal
import sys
import time

from tap_opendental import stopping, tap
from tap_opendental.extraction import reading

LONG_PAUSE = 3600  # seconds
_sleep = time.sleep


def main() -> None:
    """Run the tap, changed as the program's name says."""
    {"hasty-tap": shorten_grace, "tired-tap": pause_for_long}[sys.argv[0]]()
    tap.main()


def shorten_grace() -> None:
    """A run that was asked to end has a second for it."""
    stopping.GRACE_SECONDS = 1.0


def pause_for_long() -> None:
    """A pause between two tries is an hour long, and a SIGTERM comes when it has just begun."""
    stopping.GRACE_SECONDS = 100.0
    reading.PAUSE = lambda _: LONG_PAUSE
    time.sleep = sleep_after_signal


def sleep_after_signal(seconds: float) -> None:
    """Sleep, as whoever got SIGTERM in the middle of it."""
    os.kill(os.getpid(), signal.SIGTERM)
    _sleep(seconds)
