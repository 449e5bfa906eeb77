"""Work of a study that any process may do: posted by its driver, claimed, done and told once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from nasfit.errors import UsageError
from nasfit.study.tables import JOBS, Opened


@dataclass(frozen=True)
class Job:
    """Something to do.

    key: unique. payload: what, a JSON value. timeout_s: most it may take. attempts: how often it was claimed.
    """

    key: str
    payload: Any
    timeout_s: float | None = None
    attempts: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a job ended: with a JSON value, or with the reason of a failure and a note on it."""

    value: Any = None
    failure: str | None = None
    note: str = ""


class JobQueue:
    """The jobs of a study. What a method has changed is on the disk when it returns; see `Study` for errors."""

    def __init__(self, reading: Opened, writing: Opened) -> None:
        self._reading, self._writing = reading, writing

    def post(
        self, jobs: Sequence[Job], *, owner: str | None = None, instead_of: Collection[str] = ()
    ) -> dict[str, Outcome | None]:
        """Offer jobs; one whose key is known already, perhaps done, is left as it is.

        owner: the member that has them from the start. instead_of: keys of jobs to remove first. What is known of those
        that were there before: how they ended, or None. Raises UsageError for a job that comes twice.
        """
        if len({job.key for job in jobs}) != len(jobs):
            raise UsageError("a job comes twice; post each once")
        wanted = select(JOBS.c.key, JOBS.c.outcome).where(JOBS.c.key.in_([job.key for job in jobs]))
        with self._reading() as connection:
            there = {row.key: row.outcome for row in connection.execute(wanted)}
        found = {key: outcome for key, outcome in there.items() if key not in instead_of}
        begun = {"owner": owner, "attempts": 0 if owner is None else 1}
        rows = [_row(job) | begun for job in jobs if job.key not in found]
        with self._writing() as connection:
            if instead_of:
                connection.execute(delete(JOBS).where(JOBS.c.key.in_(instead_of)))
            if rows:
                connection.execute(insert(JOBS), rows)
        return {key: None if outcome is None else Outcome(**outcome) for key, outcome in found.items()}

    def claim(self, member: str, number: int = 1) -> list[Job]:
        """The oldest jobs that nobody has, at most so many; they are this member's from now on."""
        waiting = select(JOBS.c.place).where(JOBS.c.owner.is_(None), JOBS.c.outcome.is_(None)).order_by(JOBS.c.place)
        mine = (
            update(JOBS)
            .where(JOBS.c.place.in_(waiting.limit(number).with_for_update(skip_locked=True)))
            .values(owner=member, attempts=JOBS.c.attempts + 1)
            .returning(JOBS.c.place, JOBS.c.key, JOBS.c.payload, JOBS.c.timeout_s, JOBS.c.attempts)
        )
        with self._writing() as connection:
            rows = sorted(connection.execute(mine), key=lambda row: row.place)
        return [Job(row.key, row.payload, row.timeout_s, row.attempts) for row in rows]

    def end(self, key: str, outcome: Outcome) -> bool:
        """Tell how a job ended, whoever has it by now. False where it has ended before or is gone: the first counts."""
        first = update(JOBS).where(JOBS.c.key == key, JOBS.c.outcome.is_(None)).values(outcome=asdict(outcome))
        with self._writing() as connection:
            return bool(connection.execute(first).rowcount)

    def outcomes(self, keys: Collection[str]) -> dict[str, Outcome]:
        """Of these jobs, those that have ended."""
        wanted = select(JOBS.c.key, JOBS.c.outcome).where(JOBS.c.key.in_(keys), JOBS.c.outcome.is_not(None))
        with self._reading() as connection:
            return {row.key: Outcome(**row.outcome) for row in connection.execute(wanted)}

    def forget(self, keys: Collection[str]) -> None:
        """Remove jobs, whether they have ended or not."""
        if keys:
            with self._writing() as connection:
                connection.execute(delete(JOBS).where(JOBS.c.key.in_(keys)))

    def clear(self) -> None:
        """Remove all: the search has ended, and nobody will ask for what is left of drivers that were killed."""
        with self._writing() as connection:
            connection.execute(delete(JOBS))

    def release(self, member: str) -> None:
        """Give back what a member has claimed and not ended."""
        mine = update(JOBS).where(JOBS.c.owner == member, JOBS.c.outcome.is_(None))
        with self._writing() as connection:
            connection.execute(mine.values(owner=None))

    def owned(self, member: str) -> set[str]:
        """Keys of the jobs that are a member's and have not ended."""
        wanted = select(JOBS.c.key).where(JOBS.c.owner == member, JOBS.c.outcome.is_(None))
        with self._reading() as connection:
            return set(connection.execute(wanted).scalars())


def _row(job: Job) -> dict[str, Any]:
    return {"key": job.key, "payload": job.payload, "timeout_s": job.timeout_s}
