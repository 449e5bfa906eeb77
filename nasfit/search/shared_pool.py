"""Trainings done by the driver's own workers and by whoever helps the study; and by a helper, its side of it."""

from __future__ import annotations

import os
import platform
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nasfit.errors import StudyError, TrialFailure
from nasfit.search.job_text import job_of, job_text, key_of, outcome_of, result_of
from nasfit.study import Job, Member, Outcome, Pulse, Study
from nasfit.study.members import BEAT_S
from nasfit.training import TrainingJob, run_training
from nasfit.workers import Pool

Payload = TypeVar("Payload")
Result = TypeVar("Result")

# So soon one side sees what the other has written.
LOOK_S = 0.2
# A job whose worker's machine vanished so often is not given to another.
MOST_ATTEMPTS = 3


class Workers(Protocol):
    """What a search has its trainings done by."""

    @property
    def workers(self) -> int:
        """How many at once."""

    def run(
        self, function: Callable[[Payload], Result], payloads: Iterable[Payload], *, timeout_s: float | None = None
    ) -> Iterator[tuple[int, Result | TrialFailure]]:
        """As `Pool.run`."""


class Trainers(Protocol):
    """Who does trainings that are started one by one: `Pool`, or `RayPool`."""

    @property
    def workers(self) -> int:
        """How many at once."""

    @property
    def free(self) -> int:
        """How many could start now."""

    def start(self, item: int, function: Callable[[Any], Any], payload: Any, *, timeout_s: float | None = None) -> bool:
        """As `Pool.start`."""

    def finished(self, wait_s: float) -> list[tuple[int, Any]]:
        """As `Pool.finished`."""

    def abandon(self) -> None:
        """As `Pool.abandon`."""

    def pause(self) -> None:
        """Nothing is at work when this returns, until `resume`."""

    def resume(self) -> None:
        """Inverse of `pause`."""


class JobWorkers:
    """Jobs of a study, done by a pool of this process as it has room for them."""

    def __init__(self, pool: Trainers, study: Study, member: str) -> None:
        self._pool, self._study, self._member = pool, study, member
        self._at_work: dict[int, Job] = {}
        self._held: list[Job] = []
        self._numbers = count()

    @property
    def room(self) -> int:
        """How many more jobs it could do at once."""
        return self._pool.free - len(self._held)

    def take(self, job: Job) -> None:
        """A job that is this member's already."""
        self._held.append(job)

    def start(self) -> None:
        """Starts jobs, those it has and others that it claims, while workers are free."""
        while self._pool.free and (self._held or self._claimed()):
            job = self._held[0]
            number = next(self._numbers)
            if job.attempts > MOST_ATTEMPTS:
                self._study.jobs.end(job.key, Outcome(failure=f"its worker's machine was lost {MOST_ATTEMPTS} times"))
            elif self._pool.start(number, run_training, self._read(job), timeout_s=job.timeout_s):
                self._at_work[number] = job
            else:
                return
            self._held.pop(0)

    def finish(self, wait_s: float) -> int:
        """Waits for a training to end, at most so long; tells the study of all that have. How many."""
        ended = self._pool.finished(wait_s)
        for number, result in ended:
            job = self._at_work.pop(number)
            if job.payload["weights"] and not isinstance(result, TrialFailure):
                self._study.carried.send(job.payload["weights"])
            self._study.jobs.end(job.key, outcome_of(result))
        return len(ended)

    def stop(self) -> None:
        """Ends what is at work, for others to take."""
        self._pool.abandon()
        self._at_work.clear()
        self._held.clear()
        # Of a study that is closed by now they are free when the next driver comes.
        with suppress(StudyError):
            self._study.jobs.release(self._member)

    def _claimed(self) -> bool:
        self._held += self._study.jobs.claim(self._member)
        return bool(self._held)

    def _read(self, job: Job) -> TrainingJob:
        training = job_of(job.payload, self._study.path)
        if training.start:
            self._study.carried.fetch(job.payload["start"])
        if training.weights:
            Path(training.weights).parent.mkdir(parents=True, exist_ok=True)
        return training


class SharedPool:
    """The driver's pool, and the helpers of its study: any of them may do a training; everything else is done here.

    trainers: does the driver's share of the trainings, in place of its pool.
    """

    def __init__(self, pool: Pool, study: Study, trainers: Trainers | None = None) -> None:
        self._pool, self._study, self._trainers = pool, study, trainers or pool
        self._me = member(self._trainers.workers, drives=True)
        self._pulse = Pulse()
        self._beaten = time.monotonic()
        study.members.join(self._me)

    @property
    def workers(self) -> int:
        """How many trainings are done at once, by all."""
        return self._trainers.workers + sum(helper.workers for helper in self._helpers())

    def run(
        self, function: Callable[[Payload], Result], payloads: Iterable[Payload], *, timeout_s: float | None = None
    ) -> Iterator[tuple[int, Result | TrialFailure]]:
        """As `Pool.run`; what was trained before the last driver died is not trained again."""
        if function is not run_training:
            return self._pool.run(function, payloads, timeout_s=timeout_s)
        return self._shared(payloads, timeout_s)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Within it all workers on this machine pause."""
        self._beat(quiet=True)
        self._trainers.pause()
        try:
            while any(self._disturbs(helper) for helper in self._helpers()):
                time.sleep(LOOK_S / 10)
            yield
        finally:
            self._trainers.resume()
            self._beat(quiet=False)

    def close(self) -> None:
        """The driver goes; what it had claimed is free again."""
        self._study.members.leave([self._me.name])

    def _shared(self, payloads: Iterable[Any], timeout_s: float | None) -> Iterator[tuple[int, Any]]:
        jobs, own = self._study.jobs, JobWorkers(self._trainers, self._study, self._me.name)
        waiting: dict[str, _Waiting] = {}
        told: list[str] = []
        source, more = enumerate(payloads), True
        try:
            while True:
                helpers = self._helpers()
                room = self._trainers.workers + sum(helper.workers for helper in helpers)
                while more and len(waiting) < room:
                    # What was told before has been stored by whoever asked: the draw was the next thing they did.
                    more = self._posted(source, timeout_s, waiting, own, told)
                own.start()
                own.finish(LOOK_S if helpers else 5 * LOOK_S)
                for key, outcome in jobs.outcomes(waiting).items():
                    told.append(key)
                    one = waiting.pop(key)
                    if one.weights and outcome.failure is None:
                        self._study.carried.fetch(one.weights)
                        self._study.carried.forget(one.weights)
                    for index in one.indexes:
                        yield index, result_of(outcome)
                if not (more or waiting):
                    jobs.forget(told)
                    return
        finally:
            own.stop()

    def _posted(
        self,
        source: Iterator[tuple[int, Any]],
        timeout_s: float | None,
        waiting: dict[str, _Waiting],
        own: JobWorkers,
        told: list[str],
    ) -> bool:
        """Draws the next training and offers it, or takes it where a worker here is free; False where there is none."""
        for index, training in source:
            text = job_text(training, self._study.path)
            job = Job(key_of(text), text, timeout_s, attempts=1)
            if text["start"]:
                self._study.carried.send(text["start"])
            if job.key in waiting:
                waiting[job.key].indexes.append(index)
                return True
            owner = self._me.name if own.room > 0 else None
            there = self._study.jobs.post([job], owner=owner, instead_of=told)
            told.clear()
            if owner is not None and job.key not in there:
                own.take(job)
            waiting[job.key] = _Waiting([index], text["weights"])
            return True
        return False

    def _helpers(self) -> list[Member]:
        """Those who live; the others' claims are free again. Shows that the driver lives."""
        if time.monotonic() - self._beaten >= BEAT_S:
            self._beat(quiet=self._me.quiet)
        helpers = [one for one in self._study.members.all() if not one.drives]
        if lapsed := self._pulse.lapsed(helpers):
            self._study.members.leave([helper.name for helper in lapsed])
        return [helper for helper in helpers if helper not in lapsed]

    def _disturbs(self, helper: Member) -> bool:
        """Whether it lives on this machine and has not paused yet."""
        if helper.host != self._me.host or helper.quiet:
            return False
        try:
            os.kill(helper.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    def _beat(self, *, quiet: bool) -> None:
        self._me = replace(self._me, quiet=quiet)
        self._beaten = time.monotonic()
        self._study.members.beat(self._me)


@dataclass(frozen=True)
class _Waiting:
    """A job posted. indexes: of the payloads that ask for it. weights: file that it writes, within the study."""

    indexes: list[int]
    weights: str | None


def member(workers: int, *, drives: bool = False) -> Member:
    """This process as a member of a study."""
    host = platform.node()
    return Member(f"{host}:{os.getpid()}:{uuid.uuid4().hex[:8]}", host, os.getpid(), workers, drives)
