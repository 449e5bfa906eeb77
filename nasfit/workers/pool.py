"""A pool of worker processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from typing import Any, Self, TypeVar

from nasfit.errors import NasfitError, TrialFailure, UsageError
from nasfit.workers.cores import usable_cores
from nasfit.workers.process import WorkerProcess
from nasfit.workers.serving import Setup

Payload = TypeVar("Payload")
Result = TypeVar("Result")

START_TIMEOUT_S = 180.0
# A replacement that cannot start is tried again so often; memory may be short for a moment.
MOST_BAD_STARTS = 3
# A dead worker is noticed by its closed pipe; where a child of it keeps that open, by looking this often.
LOOK_S = 1.0


class Pool:
    """Persistent worker processes.

    workers: how many. initializer, initargs: an importable function that each worker calls first. threads: of numeric
    libraries in a worker; it runs on as many cores of its own, while there are enough. memory_bytes: most that a worker
    may allocate (Linux). Use it with `with`, from one thread. Raises NasfitError if a worker cannot start.
    """

    def __init__(
        self,
        workers: int,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        threads: int = 1,
        memory_bytes: int | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        for what, number in (("workers", workers), ("threads", threads)):
            if number < 1:
                raise UsageError(f"{what} is {number}; it must be 1 or more")
        if initializer is not None:
            _check_importable(initializer)
        self._threads, self._start_timeout_s = threads, start_timeout_s
        self._setups = [
            Setup(cores, memory_bytes, initializer, initargs) for cores in _shares(usable_cores(), workers, threads)
        ]
        self._crew: list[WorkerProcess] = []
        self._closed = self._at_work = False
        self._bad_starts = 0
        try:
            for setup in self._setups:
                self._crew.append(self._started(setup))
            while not all(worker.ready for worker in self._crew):
                self._events(most_bad_starts=1)
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> int:
        """How many processes work at once."""
        return len(self._setups)

    @property
    def pids(self) -> list[int]:
        """Process ids of the present workers."""
        return [worker.pid for worker in self._crew]

    def run(
        self, function: Callable[[Payload], Result], payloads: Iterable[Payload], *, timeout_s: float | None = None
    ) -> Iterator[tuple[int, Result | TrialFailure]]:
        """Calls the function with each payload and yields (index of the payload, result) as each is done.

        function: importable from a module. timeout_s: for each call. A call that raises, dies or takes too long gives a
        TrialFailure, with the trace as its note; the worker is replaced where it died. Payloads are drawn as workers
        become free. Leaving the iterator early ends the calls at work. Raises UsageError for what cannot be sent, or
        while another run of this pool is unfinished, NasfitError if a replacement cannot start.
        """
        _check_importable(function)
        if self._closed or self._at_work:
            raise UsageError(
                f"this pool is {'closed' if self._closed else 'at work'}; make another, or finish that run"
            )
        return self._results(function, enumerate(payloads), timeout_s)

    @property
    def free(self) -> int:
        """How many calls could start now."""
        return sum(not worker.busy for worker in self._crew)

    def start(
        self, item: int, function: Callable[[Payload], object], payload: Payload, *, timeout_s: float | None = None
    ) -> bool:
        """Gives a free worker one call, whose end `finished` tells under this number; False where none is free.

        For those who cannot say beforehand what there will be to call; as `run` otherwise, which must not be at work.
        """
        _check_importable(function)
        self._check_open()
        return self._give(item, _message(function, item, payload), timeout_s)

    def finished(self, wait_s: float = LOOK_S) -> list[tuple[int, Any]]:
        """Waits for one of the calls started to end, at most so long, and gives all that have, as `run` does."""
        self._check_open()
        return self._events(MOST_BAD_STARTS, wait_s)

    def abandon(self) -> None:
        """Ends the calls at work, of which nothing will be told."""
        # The next call replaces their workers.
        for worker in self._crew:
            if worker.item is not None:
                worker.kill()
                worker.item = None

    def pause(self) -> None:
        """Stops all workers where they are, until `resume`; what they were given still has to be done in time."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Inverse of `pause`; safe to call twice."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End all workers at once; safe to call twice."""
        self._closed = True
        for worker in self._crew:
            worker.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _results(
        self, function: Callable[[Any], Any], items: Iterator[tuple[int, Any]], timeout_s: float | None
    ) -> Iterator[tuple[int, Any]]:
        self._at_work = True
        calls = _Calls(function, items)
        try:
            while True:
                self._check_open()
                self._hand_out(calls, timeout_s)
                if not any(worker.item is not None for worker in self._crew) and calls.first() is None:
                    return
                for result in self._events(MOST_BAD_STARTS):
                    yield result
                    self._check_open()
        finally:
            self._at_work = False
            self.abandon()

    def _hand_out(self, calls: _Calls, timeout_s: float | None) -> None:
        """Give each free worker a call; one that finds no worker alive stays the first."""
        while self.free and (call := calls.first()) is not None and self._give(*call, timeout_s):
            calls.drop_first()

    def _give(self, item: int, message: memoryview, timeout_s: float | None) -> bool:
        """Whether a free worker took the call; those that are dead are replaced."""
        for place, worker in enumerate(self._crew):
            if worker.busy:
                continue
            if worker.give(item, message, timeout_s):
                return True
            self._replace(place)
        return False

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._crew:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, number)

    def _events(self, most_bad_starts: int, wait_s: float = LOOK_S) -> list[tuple[int, Any]]:
        """Wait until something happens, replace the dead, and give what has been finished."""
        finished: list[tuple[int, Any]] = []
        busy = [worker for worker in self._crew if worker.busy]
        wait([worker.calls for worker in busy], timeout=min([wait_s, *(worker.left_s() for worker in busy)]))
        for place, worker in enumerate(self._crew):
            answer = worker.answer() if worker.busy else None
            if answer is None:
                continue
            item, worker.item = worker.item, None
            if item is None:
                self._note_start(worker, answer, most_bad_starts)
            if not worker.ready or not worker.alive:
                self._replace(place)
            if item is not None:
                finished.append((item, answer if isinstance(answer, TrialFailure) else answer[0]))
        return finished

    def _note_start(self, worker: WorkerProcess, answer: tuple[Any] | TrialFailure, most_bad_starts: int) -> None:
        if not isinstance(answer, TrialFailure):
            worker.ready, self._bad_starts = True, 0
            return
        self._bad_starts += 1
        if self._bad_starts >= most_bad_starts:
            error = NasfitError(f"a worker process cannot start: {answer}; use fewer workers or free memory")
            for note in getattr(answer, "__notes__", ()):
                error.add_note(note)
            raise error

    def _replace(self, place: int) -> None:
        self._crew[place].kill()
        self._crew[place] = self._started(self._setups[place])

    def _started(self, setup: Setup) -> WorkerProcess:
        try:
            return WorkerProcess(setup, self._threads, self._start_timeout_s)
        except OSError as error:
            raise NasfitError(
                f"a worker process cannot start: {error}; end other programs or use fewer workers"
            ) from error

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("this pool is closed; make another")


class _Calls:
    """The calls of a run that no worker has yet, drawn one by one and only when looked at."""

    def __init__(self, function: Callable[[Any], Any], items: Iterator[tuple[int, Any]]) -> None:
        self._function, self._items = function, items
        self._first: tuple[int, memoryview] | None = None

    def first(self) -> tuple[int, memoryview] | None:
        """Index and message of the next call, or None after the last."""
        if self._first is None and (item := next(self._items, None)) is not None:
            self._first = item[0], _message(self._function, *item)
        return self._first

    def drop_first(self) -> None:
        """It has been handed over."""
        self._first = None


def _shares(cores: list[int], workers: int, threads: int) -> list[tuple[int, ...]]:
    """The cores of each worker; dealt round again when there are too few."""
    return [
        tuple(sorted({cores[(worker * threads + thread) % len(cores)] for thread in range(threads)}))
        for worker in range(workers)
    ]


def _check_importable(function: Callable[..., Any]) -> None:
    name = getattr(function, "__qualname__", "")
    if function.__module__ == "__main__" or "<" in name:
        raise UsageError(f"workers cannot import {name or function!r}; define it at the top level of a module")


def _message(function: Callable[[Any], Any], item: int, payload: Any) -> memoryview:
    try:
        return ForkingPickler.dumps((function, payload))
    except Exception as error:
        raise UsageError(f"item {item} cannot be sent to a worker: {error}") from error
