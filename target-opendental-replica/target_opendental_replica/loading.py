"""One session that does the steps of streams, one stream after the other; what a lost session had is loaded again.

Before another stream is taken up, the one at hand is merged and committed: a session never has rows of two streams in
one transaction, and what must be done again after a failure is known.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import Retrying, retry_if_exception_type, wait_random_exponential

from target_opendental_replica.batches import Batch, remove_own
from target_opendental_replica.errors import MissingRowsError, ReplicaError, RetriableError, counted, printable
from target_opendental_replica.positions import is_ahead
from target_opendental_replica.warehouse import Counts

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from tenacity import RetryCallState

    from target_opendental_replica.positions import Position
    from target_opendental_replica.settings import Settings
    from target_opendental_replica.stream_facts import StreamFacts
    from target_opendental_replica.warehouse import Session, StreamLoader, Warehouse

T = TypeVar("T")

# Seconds: the first pause is below one, the longest below half a minute.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30
_PROGRESS_SECONDS = 60


@dataclass(frozen=True)
class Activation:
    """Make a version the table."""

    version: int


@dataclass(frozen=True)
class Settlement:
    """Commit all that came before, with this position if there is one."""

    position: Position | None = None


Step = Batch | Activation | Settlement


@dataclass(eq=False)
class Progress:
    """A stream of this run: what became of its rows, or why it failed.

    `saved` is the bookmark that is true here. `origin` is the stream's name in the state, where a map has renamed it.
    """

    facts: StreamFacts
    counts: Counts = field(default_factory=Counts)
    failure: ReplicaError | None = None
    saved: Mapping[str, Any] | None = None
    was_opened: bool = False
    told_at: float = field(default_factory=time.monotonic)
    origin: str = ""

    def __post_init__(self) -> None:
        """Begin with the bookmark that the tap starts from."""
        self.origin = (self.facts.start and self.facts.start.stream) or self.name
        if self.facts.start is not None:
            self.saved = self.facts.start.bookmark

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.facts.stream


class Loading:
    """Does steps. A stream that failed takes no more of them; the others go on, on a new session."""

    def __init__(self, warehouse: Warehouse, settings: Settings, logger: logging.Logger) -> None:
        self._warehouse = warehouse
        self._settings = settings
        self._logger = logger
        self._session: Session | None = None
        self._loaders: dict[Progress, StreamLoader] = {}
        self._stream: Progress | None = None
        self._unsettled: list[Step] = []
        self._settles = False

    def do(self, stream: Progress, step: Step) -> None:
        """Do a step, with as many tries as the settings allow.

        Raises what the stream failed with, now or before. Nothing of it is left then but what was settled.
        """
        try:
            self._take_up(stream)
            if stream.failure is None:
                self._do(step)
        except ReplicaError as error:
            self._give_up(stream, error)
        if stream.failure is not None:
            _remove_file(step)
            raise stream.failure

    def read_positions(self) -> Mapping[tuple[str, str], Position]:
        """Return what the destination holds of every stream, by stream and lineage."""
        return self._tried(lambda: self._connected().read_positions())

    def find_gone(self) -> Mapping[str, str]:
        """Return the streams whose table was made here and is gone, with the table's name."""
        return self._tried(lambda: self._connected().find_gone())

    def save_position(self, stream: str, position: Position) -> None:
        """Save the position of a stream that sent nothing in this run."""
        self._leave()
        self._tried(lambda: self._connected().save_position(stream, position))

    def close(self) -> None:
        """Close the session; what was not settled is rolled back."""
        session, self._session = self._session, None
        self._loaders = {}
        if session is not None:
            with suppress(ReplicaError):
                session.close()

    def _do(self, step: Step) -> None:
        if isinstance(step, Settlement) and self._at_hand.was_opened and not self._unsettled:
            self._save(step.position)
            return
        self._unsettled.append(step)
        if isinstance(step, Settlement):
            self._settle(step.position)
            return
        self._tried(lambda: self._apply(step))
        if sum(each.size for each in self._unsettled if isinstance(each, Batch)) >= self._settings.settle_bytes:
            self._settle(None)

    def _save(self, position: Position | None) -> None:
        """Save the position of a stream of which all is settled: it needs no lock, each state has a row of its own."""
        if position is not None:
            stream = self._at_hand
            self._tried(lambda: self._connected().save_position(stream.name, position))
            stream.saved = position.bookmark

    def _take_up(self, stream: Progress) -> None:
        if self._stream is not stream:
            self._leave()
            self._stream = stream

    def _leave(self) -> None:
        """Commit what the stream at hand has, and let others write it; its next step or the end tells a failure."""
        if self._stream is None:
            return
        try:
            if self._unsettled:
                self._settle(None)
        except ReplicaError as error:
            self._give_up(self._stream, error)
        if loader := self._loaders.pop(self._stream, None):
            self._release(loader)

    def _release(self, loader: StreamLoader) -> None:
        """Free a stream of which all is settled; where that fails, the lock ends with the session."""
        try:
            loader.release()
        except ReplicaError:
            self.close()

    def _settle(self, position: Position | None) -> None:
        stream = self._at_hand
        stream.counts += self._tried(lambda: self._commit(position))
        self._settles = False
        if position is not None:
            stream.saved = position.bookmark
        for step in self._unsettled:
            _remove_file(step)
        self._unsettled = []
        self._tell(stream)

    def _commit(self, position: Position | None) -> Counts:
        loader = self._loader()
        self._settles = True
        return loader.settle(position)

    def _apply(self, step: Step) -> None:
        is_open = self._at_hand in self._loaders
        loader = self._loader()
        if is_open:  # one that was opened just now has taken the step with all others
            _apply(loader, step)

    def _loader(self) -> StreamLoader:
        """Return the stream's loader; one on a new session takes all that is not settled first."""
        stream = self._at_hand
        if stream not in self._loaders:
            loader = self._connected().open_stream(
                stream.facts, lambda notice: self._logger.warning("%s", printable(f"{stream.name}: {notice}"))
            )
            self._require_rows(stream, loader.held)
            for step in self._unsettled:
                _apply(loader, step)
            self._loaders[stream] = loader
            stream.was_opened = True
        return self._loaders[stream]

    def _connected(self) -> Session:
        if self._session is None:
            self._session = self._warehouse.connect()
        return self._session

    @property
    def _at_hand(self) -> Progress:
        if self._stream is None:
            raise ReplicaError("a step came without its stream")
        return self._stream

    def _require_rows(self, stream: Progress, held: Position | None) -> None:
        start = stream.facts.start
        if start is not None and not self._settings.adopts_missing_rows and is_ahead(start, held):
            raise MissingRowsError(f"stream {stream.name}: {AHEAD}")

    def _tried(self, action: Callable[[], T]) -> T:
        """Do it, and again on another session after each failure that this may cure."""
        retrying = Retrying(
            retry=retry_if_exception_type(RetriableError),
            stop=lambda state: state.attempt_number >= self._tries,
            wait=wait_random_exponential(_FIRST_PAUSE, max=_LONGEST_PAUSE),
            after=self._forget_session,
            reraise=True,
        )
        return retrying(action)

    def _forget_session(self, state: RetryCallState) -> None:
        """Say what failed, and close the session: what it had is rolled back, and loaded again."""
        error = state.outcome.exception() if state.outcome else None
        if state.attempt_number < self._tries:
            self._logger.warning("Try %d of %d failed: %s", state.attempt_number, self._tries, error)
        self.close()

    @property
    def _tries(self) -> int:
        """Once only for rows without a key that may be committed: a commit that was cut may have been done."""
        adds_up = self._stream is not None and not self._stream.facts.key
        return 1 if adds_up and self._may_be_committed else self._settings.retries + 1

    @property
    def _may_be_committed(self) -> bool:
        """True from `settle` on, and where a loader turned from one kind of rows to another.

        MySQL commits what it has with each table that it makes, and MyISAM holds what was merged.
        """
        steps = (step for step in self._unsettled if not isinstance(step, Settlement))
        kinds = {(step.version, step.columns) if isinstance(step, Batch) else step for step in steps}
        return self._settles or len(kinds) > 1

    def _give_up(self, stream: Progress, error: ReplicaError) -> None:
        self.close()
        if stream.failure is None:
            stream.failure = error
        if stream is self._stream:
            self._settles = False
            for step in self._unsettled:
                _remove_file(step)
            self._unsettled = []

    def _tell(self, stream: Progress) -> None:
        """Say how far a long load is, once a minute."""
        now = time.monotonic()
        if now - stream.told_at >= _PROGRESS_SECONDS:
            stream.told_at = now
            counts = stream.counts
            rows = counts.inserted + counts.updated + counts.unchanged
            self._logger.info("%s: %s so far", printable(stream.name), counted(rows, "row"))


AHEAD = "the state is ahead of the rows here: the destination was restored, or is another one than the state's"


def _apply(loader: StreamLoader, step: Step) -> None:
    if isinstance(step, Batch):
        loader.load(step)
    elif isinstance(step, Activation):
        loader.activate(step.version)


def _remove_file(step: Step) -> None:
    """Remove a file that was loaded, or that nobody will load: its rows are sent again."""
    if isinstance(step, Batch) and isinstance(step.content, Path):
        remove_own(step.content)
