"""The watermark: the moment before which every row is surely visible, asked of the server before the rows are read.

A row carries the time at which its statement began and appears when its transaction commits. A bookmark that is simply
the largest time seen passes over rows that are still on their way. So a bookmark is never later than

    W = the earliest of (now, begin of the oldest running statement, begin of the oldest open transaction) - 1 s

The second covers what the server's clocks leave out: a running statement's age and a transaction's begin are whole
seconds, and the statement that opens a transaction begins a little before it. W is only true of rows that are read
after it, so it is taken before the first page, and before the snapshot where there is one. An older W is true as well.

What W does not see, and what only reading again from before the bookmark (overlap_seconds) protects:

- A statement that first waited for a table's metadata and now stands in an open transaction: its rows are as old as
  the statement, its transaction is younger by the wait.
- Sessions that set their own `timestamp`. The appliers of a replica are such sessions: its rows carry the primary's
  time and appear late by the replica's lag, which no clock of the replica shows. They are left out of the list of
  statements, since their age there is that of the last event, of an idle primary for one. So read from the primary,
  or set overlap_seconds above the largest lag.
- Where the list of transactions is asked for by others more than ten times a second, it does not move: InnoDB keeps
  its answer until nobody asked for 0.1 s.
- The repeated hour at the end of daylight saving time, in DATETIME cursors, which hold the server's wall clock: their
  rows are dated an hour back. The default overlap is that hour.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymysql.constants import ER
from sqlalchemy.exc import DBAPIError

from tap_opendental.errors import ConfigError
from tap_opendental.quoting import quote, quote_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

_NOW = "SELECT UTC_TIMESTAMP() AS moment"
# Whose statement it is decides, not its COMMAND: an event's statement runs as `Connect`. A server whose clock was set
# back may show an age of 2^32 - 1.
_STATEMENTS = (
    "SELECT MIN(UTC_TIMESTAMP() - INTERVAL `TIME` SECOND) FROM information_schema.PROCESSLIST "
    "WHERE ID <> CONNECTION_ID() AND `TIME` < 2147483647 "
    "AND `USER` NOT IN ('system user', 'event_scheduler', 'unauthenticated user') "
    "AND COMMAND NOT IN ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID')"
)
# trx_started is in the operating system's zone, whatever time_zone says. In the repeated hour CONVERT_TZ takes the
# later of the two moments that it may mean; by way of an hour before it is the earlier one. A transaction that wrote
# nothing and does nothing holds nobody back: a window left open over the weekend has no rows on their way.
_TRANSACTIONS = (
    "SELECT MIN(LEAST(CONVERT_TZ(trx_started, 'SYSTEM', '+00:00'), "
    "CONVERT_TZ(trx_started - INTERVAL 1 HOUR, 'SYSTEM', '+00:00') + INTERVAL 1 HOUR)) "
    "FROM information_schema.INNODB_TRX "
    "WHERE trx_mysql_thread_id <> CONNECTION_ID() AND (trx_rows_modified > 0 OR trx_query IS NOT NULL)"
)
# In this order, which the server keeps: a statement that ends between the two looks leaves a transaction for the
# second, while one that begins there is younger than now.
_OLDEST = "SELECT MIN(moment) FROM ({}) AS moments"
_ALL = _OLDEST.format(f"{_NOW} UNION ALL {_STATEMENTS} UNION ALL {_TRANSACTIONS}")
_WITHOUT_TRANSACTIONS = _OLDEST.format(f"{_NOW} UNION ALL {_STATEMENTS}")
_CLOCK = "SELECT UTC_TIMESTAMP()"
_OF_FUNCTION = "SELECT LEAST({}(), UTC_TIMESTAMP())"

# DATETIME columns hold the clinic's wall clock: the server's own zone, not the session's.
_MOMENT = (
    "SELECT CAST(utc AS CHAR), CAST(CONVERT_TZ(utc, '+00:00', @@global.time_zone) AS CHAR) "
    "FROM (SELECT CAST(({}) - INTERVAL 1 SECOND AS DATETIME) AS utc) AS watermark"
)

_FUNCTION = (
    "CREATE DEFINER=CURRENT_USER FUNCTION {name}() RETURNS DATETIME\n"
    "    NOT DETERMINISTIC READS SQL DATA SQL SECURITY DEFINER\n"
    "    COMMENT 'Begin, in UTC, of the oldest work that is not visible yet'\n"
    "    RETURN ({oldest})"
)

# Streams that follow one another in less than this share one W: a run over 424 small tables asks a few times only, and
# InnoDB's list, which does not move while it is asked for all the time, does.
_FRESH_SECONDS = 1.0

# Where to go on when the server does not show what a question is about: no right to see it, no InnoDB.
_NEXT = {
    (_ALL, ER.SPECIFIC_ACCESS_DENIED_ERROR): _CLOCK,
    (_ALL, ER.UNKNOWN_TABLE): _WITHOUT_TRANSACTIONS,
    (_WITHOUT_TRANSACTIONS, ER.SPECIFIC_ACCESS_DENIED_ERROR): _CLOCK,
    (_WITHOUT_TRANSACTIONS, ER.UNKNOWN_TABLE): _CLOCK,
}

# To a user without the right, the server says the same of a function that is there and of one that is not.
_MISSING = (
    "is not there for this user: create it as the documentation says, GRANT EXECUTE ON FUNCTION on it, "
    "or unset the setting"
)
_POWERLESS = "cannot do its work: its definer must exist, with the rights PROCESS and EXECUTE"
_FUNCTION_ERRORS = {
    ER.SP_DOES_NOT_EXIST: _MISSING,
    ER.PROCACCESS_DENIED_ERROR: _MISSING,
    ER.DBACCESS_DENIED_ERROR: _MISSING,
    ER.BAD_DB_ERROR: _MISSING,
    ER.SP_WRONG_NO_OF_ARGS: _MISSING,
    ER.SPECIFIC_ACCESS_DENIED_ERROR: _POWERLESS,
    ER.NO_SUCH_USER: _POWERLESS,
}


@dataclass(frozen=True)
class Moment:
    """One moment in the two forms of a bookmark, ISO 8601 to the second, which compare as text with cursors.

    `utc` ends in `+00:00`, as TIMESTAMP columns are read; `local` is the server's wall clock and names no zone, as
    DATETIME columns are.
    """

    utc: str
    local: str


class Watermark:
    """W, asked of the server at most once a second, with one statement.

    `function` names a stored function, `name` or `database.name`, that looks where the user may not: `render_function`
    has its text. Without it and without the right PROCESS, W is the server's clock less a second.
    """

    def __init__(self, function: str | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._function = function
        self._question = _OF_FUNCTION.format(_quote_function(function, quote)) if function else _ALL
        self._clock = clock
        self._taken: tuple[float, Moment] | None = None

    @property
    def sees_open_work(self) -> bool:
        """False once the server refused to show statements and transactions: then the overlap alone protects."""
        return self._question != _CLOCK

    def read(self, connection: Connection) -> Moment:
        """Return W, at most a second old; ConfigError when the function cannot be called."""
        now = self._clock()
        if self._taken is None or now - self._taken[0] >= _FRESH_SECONDS:
            self._taken = now, self._ask(connection)
        return self._taken[1]

    def _ask(self, connection: Connection) -> Moment:
        """Ask what the user may see, which the first time may take as many as three attempts."""
        try:
            return _read_moment(connection, self._question)
        except DBAPIError as error:
            code = error.orig.args[0] if error.orig and error.orig.args else 0
            if self._function and code in _FUNCTION_ERRORS:
                raise self._complain(_FUNCTION_ERRORS[code], code) from None
            if (self._question, code) not in _NEXT:
                raise
            self._question = _NEXT[self._question, code]
            return self._ask(connection)

    def _complain(self, what: str, code: int) -> ConfigError:
        return ConfigError(f"watermark_function: {self._function} {what} (MySQL error {code})")


def render_function(function: str) -> str:
    """The text that creates the function of setting watermark_function, for an administrator to run once.

    It runs with its creator's right PROCESS, or with that of the account that stands in the place of CURRENT_USER,
    and tells its callers one moment. Creator and callers need EXECUTE on it.
    """
    return _FUNCTION.format(name=_quote_function(function, quote_plain), oldest=_ALL)


def _quote_function(function: str, quoting: Callable[[str], str]) -> str:
    parts = function.split(".")
    if not all(parts) or len(parts) > 2:  # noqa: PLR2004 - a database and a name
        raise ConfigError(f"watermark_function: {function!r} is no name of a function: write name or database.name")
    return ".".join(map(quoting, parts))


def _read_moment(connection: Connection, question: str) -> Moment:
    """Ask for a moment, and return the second before it; ConfigError when the server has none to give."""
    utc, local = connection.exec_driver_sql(_MOMENT.format(question)).one()
    if utc is None:
        raise ConfigError("watermark_function: the function returned NULL; create it as the documentation says")
    if local is None:
        raise ConfigError("the server does not know its own time zone (global time_zone): load its time zone tables")
    return Moment(utc.replace(" ", "T") + "+00:00", local.replace(" ", "T"))
