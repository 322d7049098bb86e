"""The front desk in one process: updates one row every 10 ms, whatever else goes on, until SIGTERM.

    python application.py < JOB

JOB is one line of JSON: `url`, `table`, its `key` with the values 1 to `rows`, and the `counter` to update. Prints
`ready` after its first update, and at the end one JSON object: `statement`, the seconds that each UPDATE took, and
`delay`, the seconds from the moment at which it was due to its end. A person who waits behind another's wait is in the
second figure only.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pymysql
import sqlalchemy as sa

if TYPE_CHECKING:
    from types import FrameType

    from pymysql.cursors import Cursor

PERIOD = 0.01
STRIDE = 1_299_709  # a prime: one update after another meets rows far apart


@dataclass
class Desk:
    """Everything that was waited for, and whether the day is over."""

    statement: list[float] = field(default_factory=list)
    delay: list[float] = field(default_factory=list)
    closing: bool = False

    def close(self, _signal: int, _frame: FrameType | None) -> None:
        """Stop after the update that is under way."""
        self.closing = True

    def update(self, cursor: Cursor, text: str, row: int, due: float) -> None:
        """Send one update and note what it took."""
        started = time.perf_counter()
        cursor.execute(text, (row,))
        ended = time.perf_counter()
        self.statement.append(ended - started)
        self.delay.append(ended - due)


def main(url: str, table: str, key: str, counter: str, rows: int) -> None:
    """Update until told to stop, then print every wait."""
    desk = Desk()
    signal.signal(signal.SIGTERM, desk.close)
    text = f"UPDATE `{table}` SET `{counter}` = (`{counter}` + 1) & 1023 WHERE `{key}` = %s"
    with connect(sa.make_url(url)) as connection, connection.cursor() as cursor:
        cursor.execute(text, (1,))
        print("ready", flush=True)  # noqa: T201 - its starter waits for it
        due = time.perf_counter()
        # Who was due before the end is served and counted.
        while not desk.closing or due + PERIOD < time.perf_counter():
            due += PERIOD
            time.sleep(max(0.0, due - time.perf_counter()))
            desk.update(cursor, text, 1 + len(desk.delay) * STRIDE % rows, due)
    print(json.dumps({"statement": desk.statement, "delay": desk.delay}))  # noqa: T201 - its answer


def connect(url: sa.URL) -> pymysql.Connection[Cursor]:
    """A connection that commits by itself, as Open Dental's do."""
    return pymysql.connect(
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=str(url.password),
        database=url.database,
        autocommit=True,
    )


if __name__ == "__main__":
    main(**json.loads(sys.stdin.readline()))
