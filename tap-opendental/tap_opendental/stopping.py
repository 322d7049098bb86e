"""How a signal ends a run: after whole lines, and soon, whatever the tap waits for."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

# What a run has, from the first signal on, to write its line, ask for no further page and say its state: seconds, as
# many as Kubernetes leaves between SIGTERM and SIGKILL. A page takes less than one.
GRACE_SECONDS = 30.0
# A signal is noticed that late at most in a wait that is our own.
_LONGEST_SLEEP = 1.0
_STDERR = 2


class StopRequest:
    """The first SIGTERM or SIGINT, which asks the run to end; those after it change nothing.

    A signal only leaves a mark here, and the run ends where it looks for one, between two pages. Nothing is raised out
    of a signal's handler and no signal is given back to the system, so Python goes on with a write that a signal
    interrupted (PEP 475) and no line is cut, however many signals come. When the run has not ended GRACE_SECONDS later,
    since its target does not read or its server does not answer, the process ends where it is, with the same code.
    """

    def __init__(self) -> None:
        self._number: int | None = None

    def note(self, number: int) -> None:
        """Remember the signal, and begin the grace period; safe in a signal's handler, on the main thread."""
        if self._number is None:
            self._number = number
            # Python gives its handlers back before it has ended: a later signal would then kill, with another code.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
            signal.signal(signal.SIGALRM, self._end_at_once)
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)

    @property
    def signal_name(self) -> str | None:
        """The signal that asked, or None."""
        return None if self._number is None else signal.Signals(self._number).name

    @property
    def exit_code(self) -> int:
        """What shells and Meltano know a process by that a signal ended; 0 while none asked."""
        return 0 if self._number is None else 128 + self._number

    def _end_at_once(self, number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG002 - signal's signature
        line = (
            f"tap-opendental: error: {self.signal_name}, and {GRACE_SECONDS:g} s later the run had not ended: the "
            "target does not read, or the server does not answer; ended here, where the last line may be cut\n"
        )
        with suppress(OSError):  # nobody may be there to read that line either, which must not keep us
            if select.select([], [_STDERR], [], 0)[1]:
                os.write(_STDERR, line.encode())
        os._exit(self.exit_code)


def sleep_alert(seconds: float, stop_if_asked: Callable[[], None]) -> None:
    """Sleep, and call `stop_if_asked` each second and at the end: what it raises ends the sleep."""
    while seconds > 0:
        nap = min(seconds, _LONGEST_SLEEP)
        time.sleep(nap)
        stop_if_asked()
        seconds -= nap
