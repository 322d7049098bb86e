"""One run at a time for each stream and `lock_name`: MySQL's own locks, taken with SELECT alone."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_opendental.connector import create_source_engine, plain_errors
from tap_opendental.errors import LockedError, LockLostError, OpenDentalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

    from tap_opendental.connector import SourceAddress

# https://dev.mysql.com/doc/refman/8.4/en/locking-functions.html: 64 characters. MariaDB takes 192 bytes. Counted in
# bytes here, 64 of them are within both.
_MAX_NAME = 64
_HASH_DIGITS = 16
_SLICE_SECONDS = 1
_CHECK_SECONDS = 5.0

logger = logging.getLogger("tap-opendental")


class StreamLocks:
    """The locks of one run, on a connection of their own that is opened for the first of them.

    A lock belongs to its connection: the server frees it when the process dies, however that happens. Only when the
    whole machine vanishes does it take until the server notices (TCP keepalive, two hours by default).

    The connection holds one lock at a time, as streams are read one after the other: before 5.7.5, MySQL gives a
    connection no more than one, and frees the first in silence when a second is taken.

    Parameters:
        address: the source; its read_timeout is raised where it would end a wait for a lock.
        lock_name: what the run shares a table's turn with: runs with the same name never read one stream together.
        wait_seconds: how long a stream waits for its lock; 0 does not wait.
        stop_if_asked: called before each lock and every second of a wait; what it raises comes out.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        address: SourceAddress,
        lock_name: str,
        wait_seconds: int,
        stop_if_asked: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = replace(address, read_timeout=max(address.read_timeout, 20 * _SLICE_SECONDS))
        self._lock_name = lock_name
        self._wait_seconds = wait_seconds
        self._stop_if_asked = stop_if_asked
        self._clock = clock
        self._connection: Connection | None = None

    @cached_property
    def _engine(self) -> Engine:
        return create_source_engine(self._address)

    @contextmanager
    def hold(self, stream: str) -> Iterator[HeldLock]:
        """Hold the stream's lock while the block runs, and free it at its end, whatever ends it.

        Raises LockedError after `wait_seconds`, UnreachableError when no server answers. An error of the block comes
        out as it is: that a lock cannot be freed is logged only, since closing its connection frees it all the same.
        """
        self._stop_if_asked()
        name = name_lock(self._lock_name, stream)
        if not (self._take(name, 0) or self._wait_for(stream, name)):
            raise LockedError(
                f"stream {stream} is locked by another run: lock {name!r} was not free within {self._wait_seconds} s "
                f"({self._say_holder(name)}); let that run end, raise lock_wait_seconds, or give each destination a "
                "lock_name of its own"
            )
        try:
            yield HeldLock(stream, name, lambda: self._is_ours(name), self._clock)
        finally:
            self._free(stream, name)

    def close(self) -> None:
        """Close the connection, if one was opened; the server frees what it held."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _wait_for(self, stream: str, name: str) -> bool:
        """Wait in slices, so that a signal is noticed between two of them; False when the time is over."""
        deadline = self._clock() + self._wait_seconds
        logger.info(
            "Stream %s: waiting up to %d s for lock %r, %s", stream, self._wait_seconds, name, self._say_holder(name)
        )
        while (left := deadline - self._clock()) > 0:
            self._stop_if_asked()
            if self._take(name, min(_SLICE_SECONDS, math.ceil(left))):
                return True
        return False

    def _take(self, name: str, seconds: int) -> bool:
        """Take the lock if it gets free within the seconds; once more if the connection that was there had died."""
        reused = self._connection is not None
        try:
            return self._get_lock(name, seconds)
        except OpenDentalError:
            if not reused:
                raise
            return self._get_lock(name, seconds)

    def _get_lock(self, name: str, seconds: int) -> bool:
        return bool(self._ask("SELECT GET_LOCK(%s, %s)", name, seconds) == 1)

    def _is_ours(self, name: str) -> bool:
        return bool(self._ask("SELECT IS_USED_LOCK(%s) = CONNECTION_ID()", name) == 1)

    def _say_holder(self, name: str) -> str:
        """Name the holder by its connection only: who that is, the server tells those who may know."""
        holder = self._ask("SELECT IS_USED_LOCK(%s)", name)
        return "free by now" if holder is None else f"held by connection {holder} of the server"

    def _free(self, stream: str, name: str) -> None:
        if self._connection is None:  # it broke and was closed: the server has freed the lock, or will
            return
        try:
            freed = self._ask("SELECT RELEASE_LOCK(%s)", name) == 1
        except OpenDentalError:
            freed = False
        if not freed:
            logger.warning("Stream %s: lock %r was lost before it was freed", stream, name)

    def _ask(self, statement: str, *parameters: str | int) -> Any:  # noqa: ANN401 - one value, as the driver gives it
        """Return one value; a connection that fails is closed, and the next question opens another."""
        try:
            with plain_errors(self._address):
                if self._connection is None:
                    self._connection = self._engine.connect()
                return self._connection.exec_driver_sql(statement, parameters).scalar_one()
        except OpenDentalError:
            self.close()
            raise


class HeldLock:
    """A lock in our hands; whoever reads under it asks now and then whether it still is."""

    def __init__(self, stream: str, name: str, is_ours: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._stream = stream
        self._name = name
        self._is_ours = is_ours
        self._clock = clock
        self._checked = clock()

    def require(self, *, at_once: bool = False) -> None:
        """Raise LockLostError when the lock is no longer ours; asks every 5 seconds at most, or `at_once`."""
        now = self._clock()
        if not at_once and now - self._checked < _CHECK_SECONDS:
            return
        try:
            held, reason = self._is_ours(), "the server gave it to another connection, or to none"
        except OpenDentalError as error:
            held, reason = False, str(error)
        if not held:
            raise LockLostError(
                f"stream {self._stream} stopped, since its lock {self._name!r} was lost ({reason}): another run may "
                "have begun; run again, and the stream goes on from its last state"
            )
        self._checked = now


def name_lock(lock_name: str, stream: str) -> str:
    """Name a stream's lock: the same on every machine, and within the 64 characters that MySQL allows.

    Servers compare these names without regard to case, so case is dropped: runs that spell a name differently still
    meet. The name can be read; where it is too long, or its parts could be told apart in more than one way, a digest
    stands for what was cut. It holds no database but the one in `lock_name`.
    """
    readable = f"tap-opendental/{lock_name}/{stream}".casefold()
    if len(readable.encode()) <= _MAX_NAME and readable.count("/") == 2:  # noqa: PLR2004 - the two written above
        return readable
    exact = hashlib.sha256(f"{lock_name}\0{stream}".casefold().encode()).hexdigest()[:_HASH_DIGITS]
    kept = readable.encode()[: _MAX_NAME - _HASH_DIGITS - 1].decode(errors="ignore")
    return f"{kept}/{exact}"
