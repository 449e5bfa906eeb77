"""Looking at one study again and again, for many who ask, and reading it only where it has changed."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeVar

from nasfit.dashboard.moment import Keeper, Moment
from nasfit.errors import StudyError
from nasfit.search.standing import RUNNING, standing
from nasfit.study import Member, Pulse, Study
from nasfit.study.failures import told
from nasfit.study.stores import FILES, require_study

Found = TypeVar("Found")


@dataclass(frozen=True)
class Look:
    """number: one more a change. trouble: why the study cannot be read now."""

    number: int
    moment: Moment
    trouble: str | None = None


class Watch:
    """One study, opened for reading. Raises StudyError where there is none, or what is there is no search.

    clock: seconds, from any start, that never go back.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._lock = path, Lock()
        self._pulse, self._keeper = Pulse(clock), Keeper()
        self._study: Study | None = None
        self._file: object = None
        self._seen: object = None
        moment = self._read()
        assert moment is not None, "nothing was seen before"
        self._last = Look(0, moment)

    def look(self) -> Look:
        """The study now; of one that cannot be read, what was last read of it, and why."""
        with self._lock:
            try:
                moment = self._read()
            except StudyError as error:
                self._close()
                if self._last.trouble != str(error):
                    self._last = Look(self._last.number + 1, self._last.moment, str(error))
                return self._last
            if moment is not None:
                self._last = Look(self._last.number + 1, moment)
            return self._last

    def close(self) -> None:
        """Lets the study go."""
        with self._lock:
            self._close()

    def use(self, read: Callable[[Study], Found]) -> Found:
        """What `read` finds in the study, with nobody else reading. Raises StudyError."""
        with self._lock:
            return read(self._opened())

    def _close(self) -> None:
        if self._study is not None:
            self._study.close()
        self._study = self._seen = None

    def _opened(self) -> Study:
        require_study(self._path)
        file = _file(self._path)
        if self._study is None or file != self._file:
            # Also where another study has taken the place of the one that was there.
            self._close()
            self._study, self._file = Study.open(self._path, read_only=True), file
        return self._study

    def _read(self) -> Moment | None:
        """None where nothing has changed, or where reading could disturb a measurement."""
        study = self._opened()
        now = standing(study)
        everybody = study.members.all() if now == RUNNING else []
        lapsed = self._pulse.lapsed(everybody)
        members = [one for one in everybody if one not in lapsed]
        seen = study.stamp(), now, [(one.name, one.workers) for one in members]
        if seen == self._seen or (self._seen is not None and _measuring_here(members)):
            return None
        moment = self._keeper.moment(study, now, members)
        self._seen = seen
        return moment


def _measuring_here(members: list[Member]) -> bool:
    """Whether the driver asks for quiet on this machine."""
    return any(one.drives and one.quiet and one.host == platform.node() for one in members)


def _file(path: Path) -> object:
    """Another value where another file has taken the place of the study's own."""
    with told(path):
        return [(path / name).stat().st_ino for name in FILES if (path / name).is_file()]
