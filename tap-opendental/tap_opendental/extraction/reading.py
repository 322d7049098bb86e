"""One page after another from the source: at its pace, checked for warnings, tried again when the server faltered."""

from __future__ import annotations

import time
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from tap_opendental.connector import TIMEOUT_CODES, TRANSIENT_CODES
from tap_opendental.errors import OpenDentalError
from tap_opendental.extraction.pages import Bounds
from tap_opendental.stopping import sleep_alert

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence

    from tenacity import RetryCallState

    from tap_opendental.extraction.pace import Pace
    from tap_opendental.extraction.pages import Answer, Ask, Row
    from tap_opendental.source import Source

T = TypeVar("T")

# Waits of up to 1, 2, 4, 8 ... seconds, each a random share of that, so that runs that lost one server at one moment
# do not come back at one moment: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
PAUSE = wait_random_exponential(multiplier=1, max=30)


class TransientError(OpenDentalError):
    """The server faltered in a way that another try may mend; `cause` is the error to raise once tries are used up."""

    def __init__(self, cause: OpenDentalError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Retries:
    """Asks the source again for what failed in a way that another try may mend, up to `tries` times in all."""

    def __init__(
        self, source: Source, tries: int, *, stop_if_asked: Callable[[], None], logger: logging.Logger
    ) -> None:
        self._source = source
        self._stop_if_asked = stop_if_asked
        self._logger = logger
        self._try = Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(tries),
            wait=PAUSE,
            before_sleep=self._before_next_try,
            sleep=lambda seconds: sleep_alert(seconds, stop_if_asked),
            reraise=True,
        )

    def __call__(self, ask: Callable[[], T]) -> T:
        """Return the answer; the last error when all tries failed, and any other error at once."""
        try:
            answer: T = self._try(_tell_transient, ask)
        except TransientError as error:
            raise error.cause from None
        return answer

    def _before_next_try(self, state: RetryCallState) -> None:
        self._stop_if_asked()
        error = state.outcome.exception() if state.outcome else None
        self._logger.warning("%s; trying again (try %d failed)", error, state.attempt_number)
        self._source.disconnect()  # the next try opens another connection, or fails and is tried again


def _tell_transient(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except OpenDentalError as error:
        if error.mysql_code in TRANSIENT_CODES:
            raise TransientError(error) from None
        raise


class PageReader:
    """Reads the pages of one table; call it as `extraction.pages.Reader` says.

    `texts` is how many columns of a row are text or bytes, `retries` what asks for a page again.
    """

    def __init__(self, source: Source, table: str, pace: Pace, *, texts: int, retries: Retries) -> None:
        self._source = source
        self._table = table
        self._pace = pace
        self._texts = texts
        self._retries = retries

    def __call__(self, ask: Ask) -> Answer:
        """Read a page; the last error when all tries failed."""
        self._pace.wait()
        return self._retries(partial(self._ask, ask))

    def _ask(self, ask: Ask) -> Answer:
        bounds, begin = Bounds(self._pace.rows, self._pace.crowd), time.monotonic()
        try:
            answer = ask(partial(self._source.fetch, table=self._table), bounds)
        except OpenDentalError as error:
            if error.mysql_code in TIMEOUT_CODES:
                self._pace.failed()
            raise
        seconds = time.monotonic() - begin
        self._pace.note(answer.examined, self._count_bytes(answer.rows), seconds, found=len(answer.rows))
        return answer

    def _count_bytes(self, rows: Sequence[Row]) -> int:
        """Characters of the page's text and bytes of its blobs: close enough to bytes to bound memory by."""
        apart = range(1, self._texts)
        others = sum(len(row[place]) for place in apart for row in rows if row[place] is not None)
        return sum(map(len, map(itemgetter(0), rows))) + others
