"""Threads that load streams side by side, each with a session of its own, and the room that waiting batches take."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from target_opendental_replica.batches import Batch
from target_opendental_replica.errors import ReplicaError, StoreError, TapSettingsError, UnreachableError
from target_opendental_replica.loading import Loading

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from target_opendental_replica.loading import Progress, Step
    from target_opendental_replica.positions import Position
    from target_opendental_replica.settings import Settings
    from target_opendental_replica.warehouse import Warehouse

T = TypeVar("T")

ENDS_ALL = (StoreError, UnreachableError, TapSettingsError)
"""Errors after which no other stream can be loaded either."""

# How many bytes may wait: files lie on the disk, rows of RECORD messages in memory.
_MOST_WAITING = {"disk": 512 * 1_048_576, "memory": 48 * 1_048_576}


class Room:
    """How many bytes of batches may wait; who brings more waits until there is room again."""

    def __init__(self) -> None:
        self._waiting = dict.fromkeys(_MOST_WAITING, 0)
        self._changed = threading.Condition()

    def take(self, batch: Batch) -> None:
        """Wait until there is room for a batch; one alone always has it."""
        kind = _kind(batch)
        with self._changed:
            while self._waiting[kind] and self._waiting[kind] + batch.size > _MOST_WAITING[kind]:
                self._changed.wait(1)
            self._waiting[kind] += batch.size

    def free(self, batch: Batch) -> None:
        """Give the room of a batch back."""
        with self._changed:
            self._waiting[_kind(batch)] -= batch.size
            self._changed.notify_all()


class Worker(threading.Thread):
    """Does what is put into its queue, in order; it is a daemon, since a statement may take hours."""

    def __init__(self, number: int, loading: Loading) -> None:
        super().__init__(name=f"loader-{number}", daemon=True)
        self._loading = loading
        self._tasks: queue.Queue[tuple[Callable[[Loading], None], Future[None]]] = queue.Queue()

    @property
    def waiting(self) -> int:
        """How many tasks are queued or at hand."""
        return self._tasks.unfinished_tasks

    def put(self, task: Callable[[Loading], None]) -> Future[None]:
        """Queue a task; the future ends with it, or has its error."""
        done: Future[None] = Future()
        self._tasks.put((task, done))
        return done

    def run(self) -> None:
        """Work until the process ends."""
        while True:
            task, done = self._tasks.get()
            try:
                task(self._loading)
            except BaseException as error:  # noqa: BLE001 - the main thread tells it
                done.set_exception(error)
            else:
                done.set_result(None)
            self._tasks.task_done()


class Crew:
    """The workers of a run. A stream stays with the worker that had the least to do when it first came."""

    def __init__(self, warehouse: Warehouse, settings: Settings, logger: logging.Logger) -> None:
        self._room = Room()
        self._places: dict[str, Worker] = {}
        self._defect: BaseException | None = None
        loadings = [Loading(warehouse, settings, logger) for _ in range(settings.workers)]
        self._workers = [Worker(number, loading) for number, loading in enumerate(loadings, 1)]
        for worker in self._workers:
            worker.start()

    def put(self, stream: Progress, step: Step) -> Future[None]:
        """Queue a step of a stream; waits while too many bytes do. Raises what `check` raises."""
        self.check()
        if isinstance(step, Batch):
            self._room.take(step)
        done = self._place(stream.name).put(lambda loading: loading.do(stream, step))
        done.add_done_callback(self._note)
        if isinstance(step, Batch):
            done.add_done_callback(lambda _done: self._room.free(step))
        return done

    def check(self) -> None:
        """Raise a defect, or an error after which no stream can be loaded."""
        if self._defect is not None:
            raise self._defect

    def read_positions(self) -> Mapping[tuple[str, str], Position]:
        """Return what the destination holds of every stream, by stream and lineage."""
        return self._ask(lambda loading: loading.read_positions())

    def find_gone(self) -> Mapping[str, str]:
        """Return the streams whose table was made here and is gone, with the table's name."""
        return self._ask(lambda loading: loading.find_gone())

    def save_position(self, stream: str, position: Position) -> None:
        """Save the position of a stream that sent nothing in this run."""
        self._ask(lambda loading: loading.save_position(stream, position))

    def close(self) -> None:
        """Close the sessions once all tasks are done."""
        for done in [worker.put(lambda loading: loading.close()) for worker in self._workers]:
            done.result()

    def _ask(self, question: Callable[[Loading], T]) -> T:
        answers: list[T] = []
        self._workers[0].put(lambda loading: answers.append(question(loading))).result()
        return answers[0]

    def _place(self, stream: str) -> Worker:
        if stream not in self._places:
            self._places[stream] = min(self._workers, key=lambda worker: worker.waiting)
        return self._places[stream]

    def _note(self, done: Future[None]) -> None:
        error = done.exception()
        if isinstance(error, ENDS_ALL) or (error is not None and not isinstance(error, ReplicaError)):
            self._defect = self._defect or error


def _kind(batch: Batch) -> str:
    return "memory" if isinstance(batch.content, bytes) else "disk"
