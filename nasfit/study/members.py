"""The processes that work on a study: its driver, and helpers.

Each raises its beat now and then; whose beat stands still is taken for dead by those who watch, and what it had claimed
is free again. Beats are counted and not dated, so that no clock has to be right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select, update

from nasfit.errors import UsageError
from nasfit.study.tables import JOBS, MEMBERS, Opened

# A member whose beat stands still for so long is dead; one that lives beats many times as often.
LAPSE_S, BEAT_S = 30.0, 3.0


@dataclass(frozen=True)
class Member:
    """A process at work on the study. name: unique. host: its machine. workers: trainings it does at once.

    beat: raised while it lives. drives: whether it is the driver; of a driver `quiet` asks those on its host to pause,
    of a helper it says that it has. Raises UsageError.
    """

    name: str
    host: str
    pid: int
    workers: int
    drives: bool = False
    beat: int = 0
    quiet: bool = False

    def __post_init__(self) -> None:
        if not all(isinstance(number, int) for number in (self.pid, self.workers, self.beat)):
            raise UsageError(f"{self}: pid, workers and beat are whole numbers")


class Members:
    """Who takes part. What a method has changed is on the disk when it returns; see `Study` for errors."""

    def __init__(self, reading: Opened, writing: Opened) -> None:
        self._reading, self._writing = reading, writing

    def all(self) -> list[Member]:
        """Everybody, the dead that nobody has noticed included."""
        with self._reading() as connection:
            return [Member(**row._mapping) for row in connection.execute(select(MEMBERS).order_by(MEMBERS.c.name))]

    def join(self, member: Member) -> None:
        """Take part. A driver takes the place of any earlier one, whose claims are free again."""
        with self._writing() as connection:
            if member.drives:
                earlier = delete(MEMBERS).where(MEMBERS.c.drives).returning(MEMBERS.c.name)
                _free(connection, list(connection.execute(earlier).scalars()))
            connection.execute(insert(MEMBERS), [asdict(member)])

    def beat(self, member: Member) -> None:
        """Show that the member lives, and whether it is or wants it quiet. One that was taken for dead joins again."""
        shown = update(MEMBERS).where(MEMBERS.c.name == member.name)
        with self._writing() as connection:
            if not connection.execute(shown.values(beat=MEMBERS.c.beat + 1, quiet=member.quiet)).rowcount:
                connection.execute(insert(MEMBERS), [asdict(member)])

    def leave(self, names: Collection[str]) -> None:
        """End the membership of some; what they had claimed is free again."""
        with self._writing() as connection:
            connection.execute(delete(MEMBERS).where(MEMBERS.c.name.in_(names)))
            _free(connection, names)


def _free(connection: Connection, names: Collection[str]) -> None:
    connection.execute(update(JOBS).where(JOBS.c.owner.in_(names), JOBS.c.outcome.is_(None)).values(owner=None))


class Pulse:
    """Watches the beats of members, from one process, by its own clock.

    clock: seconds, from any start, that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}
        self._looked = clock()

    def lapsed(self, members: Sequence[Member]) -> list[Member]:
        """Those whose beat has stood still for `LAPSE_S` under this watch."""
        now = self._clock()
        if now - self._looked > LAPSE_S / 2:
            # This process itself was away, paused perhaps, and cannot say who beat meanwhile.
            self._seen.clear()
        self._looked = now
        seen = {member.name: self._seen.get(member.name, (member.beat, now)) for member in members}
        self._seen = {
            member.name: seen[member.name] if seen[member.name][0] == member.beat else (member.beat, now)
            for member in members
        }
        return [member for member in members if now - self._seen[member.name][1] >= LAPSE_S]
