"""A study: one search's directory, opened."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from nasfit.errors import StudyError, UsageError
from nasfit.study import database, stores
from nasfit.study.carried import CarriedFiles
from nasfit.study.documents import Documents
from nasfit.study.driver_lock import LOCK, DriverLock
from nasfit.study.failures import DAMAGED, told
from nasfit.study.files import write_whole
from nasfit.study.jobs import JobQueue
from nasfit.study.lookups import LookupLog
from nasfit.study.members import Members
from nasfit.study.settings import changed, plain
from nasfit.study.tables import DOCUMENTS, MEASUREMENTS, SECONDS, SETTINGS, TRIALS, row_of, upsert
from nasfit.study.trial import Proposal, Trial, TrialState
from nasfit.study.trial_log import TrialLog

Clock = Callable[[], str]

_FINISHED = frozenset(TrialState) - {TrialState.RUNNING}


def utc_now() -> str:
    """The time, UTC, ISO 8601 to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Study:
    """Settings, trials, lookups, measurements, documents, files and seconds of one search; see the package's text.

    Get one from `create`, `open` or `open_or_create`, and close it, best with `with`. For one thread. Every method
    raises StudyError when the disk is full, gone or cannot be written, or the study is closed or opened for reading;
    nothing recorded before is lost then, and the call that failed has changed nothing.
    """

    def __init__(
        self, path: Path, engine: Engine, lock: DriverLock | None, clock: Clock, *, helps: bool = False
    ) -> None:
        self.path = path
        self._engine, self._lock, self._clock, self._helps = engine, lock, clock, helps
        self._closed = False
        self._loaded: TrialLog | None = None
        self._loaded_version: object = None
        # Latency documents by measurement key, in the shape a cache wants; kept for ever.
        self.measurements = Documents(MEASUREMENTS, self._reading, self._writing)
        # Latencies looked up before training, in the order of looking; kept for ever.
        self.lookups = LookupLog(self._reading, self._writing)
        # Work that helpers may do too, and who takes part.
        self.jobs = JobQueue(self._reading, self._sharing)
        self.members = Members(self._reading, self._sharing)
        needed = not stores.in_directory(path)
        self.carried = CarriedFiles(path, self._reading, self._sharing, needed=needed)
        self._settings = Documents(SETTINGS, self._reading, self._writing)
        self._documents = Documents(DOCUMENTS, self._reading, self._writing)

    @classmethod
    def create(
        cls, path: Path | str, settings: Mapping[str, Any], *, store: str | None = None, clock: Clock = utc_now
    ) -> Self:
        """Begin a study in a new or empty directory. settings: JSON values. store: see `open_or_create`.

        Raises StudyError if there is one already or other files are there, UsageError if JSON cannot hold a setting.
        """
        path, settings = Path(path), plain(settings)
        if stores.holds_study(path):
            raise StudyError(f"{str(path)!r} holds a study already; continue it, or name another directory")
        with ExitStack() as undo:
            with told(path):
                lock = _locked_directory(path, undo)
                stores.create(path, store, settings, clock())
            return cls._opened(path, lock, undo, clock)

    @classmethod
    def open(cls, path: Path | str, *, read_only: bool = False, clock: Clock = utc_now) -> Self:
        """Open a study, to drive it or, with `read_only`, to look at it while another process may drive it.

        Raises StudyError if there is none, its file is damaged or newer than this nasfit, or another process drives it.
        """
        path = Path(path)
        stores.require_study(path)
        if read_only:
            return cls(path, stores.open_to("read", path), None, clock)
        with ExitStack() as undo:
            with told(path):
                lock = DriverLock(path)
            undo.callback(lock.release)
            return cls._opened(path, lock, undo, clock)

    @classmethod
    def help(cls, path: Path | str, *, clock: Clock = utc_now) -> Self:
        """Open a study beside its driver: as for reading, and to do jobs of it. Raises as `open` does."""
        path = Path(path)
        stores.require_study(path)
        return cls(path, stores.open_to("help", path), None, clock, helps=True)

    @classmethod
    def open_or_create(
        cls,
        path: Path | str,
        settings: Mapping[str, Any],
        *,
        may_change: Collection[str] = (),
        store: str | None = None,
        clock: Clock = utc_now,
    ) -> Self:
        """Continue the study if there is one, else begin it.

        may_change: settings that may differ from the stored ones, and are stored anew. store: where the tables of a new
        study are, `postgresql://user@host/database` or an address of another package's kind, perhaps begun by another
        machine; None: in the directory. Raises StudyError listing every other difference, and as `open` and `create`.
        """
        path, settings = Path(path), plain(settings)
        if not (stores.holds_study(path) or stores.known_elsewhere(path, store)):
            try:
                return cls.create(path, settings, store=store, clock=clock)
            except StudyError:
                # Another machine may have been quicker.
                if not stores.known_elsewhere(path, store):
                    raise
        if store is not None:
            stores.require_store(path, store)
        study = cls.open(path, clock=clock)
        try:
            for name, value in changed(path, study.settings, settings, may_change).items():
                study._settings[name] = value
        except BaseException:
            study.close()
            raise
        return study

    @classmethod
    def _opened(cls, path: Path, lock: DriverLock, undo: ExitStack, clock: Clock) -> Self:
        study = cls(path, stores.open_to("drive", path), lock, clock)
        undo.pop_all()
        return study

    def close(self) -> None:
        """Let the next driver in; safe to call twice."""
        self._closed = True
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def settings(self) -> dict[str, Any]:
        """The stored settings."""
        with self._reading() as connection:
            return {row.name: row.value for row in connection.execute(select(SETTINGS))}

    def propose(self, proposals: Sequence[Proposal]) -> list[Trial]:
        """Store new RUNNING trials, all or none, before anything is spent on them; numbers follow in order."""
        log = self._log()
        trials = log.numbered(proposals, self._clock())
        if not trials:
            return []
        self._loaded = None
        with self._writing() as connection:
            connection.execute(insert(TRIALS), [row_of(trial) for trial in trials])
        log.add(trials)
        self._loaded = log
        return trials

    def finish(self, trials: Sequence[Trial]) -> list[Trial]:
        """Store ended trials as one batch, all or none; returns them with the time of finishing.

        Raises UsageError unless each is a RUNNING trial of this study with the state it ended in.
        """
        log = self._log()
        ended = log.dated(trials, self._clock())
        if not ended:
            return []
        rows = [
            {**row_of(trial), "batch": log.next_batch, "place": place, "at": trial.number}
            for place, trial in enumerate(ended)
        ]
        self._loaded = None
        with self._writing() as connection:
            connection.execute(update(TRIALS).where(TRIALS.c.number == bindparam("at")), rows)
        log.settle(ended)
        self._loaded = log
        return ended

    def trials(self, states: Collection[TrialState] | None = None) -> list[Trial]:
        """All trials, or those in `states`, by number."""
        return self._log().trials(states)

    def running(self) -> list[Trial]:
        """Trials proposed and not finished; after a kill, those to take up again."""
        return self.trials([TrialState.RUNNING])

    def batches(self) -> list[list[Trial]]:
        """Finished trials as `finish` got them, call by call: what a strategy was told, in that order."""
        return self._log().batches()

    def find_architecture(self, text: str, states: Collection[TrialState] = _FINISHED) -> Trial | None:
        """The oldest trial of this network in one of `states`, or None."""
        return next((trial for trial in self._log().with_architecture(text) if trial.state in states), None)

    def driven(self) -> bool:
        """Whether a process drives the study at this moment."""
        with self._reading() as connection:
            return stores.driven(self.path, connection)

    def stamp(self) -> object:
        """Equal to an earlier one unless settings, trials, documents or seconds have changed since."""
        with self._reading() as connection:
            return stores.stamp(connection)

    def put_document(self, name: str, value: Any) -> None:
        """Keep a JSON value by name, in place of an older one."""
        self._documents[name] = value

    def document(self, name: str) -> Any:
        """The JSON value of that name, or None."""
        return self._documents.get(name)

    def write_file(self, relative: str, content: bytes) -> Path:
        """Keep a file in the study's directory, whole or not at all, and on the disk when this returns.

        Raises UsageError for a path that leads out of it or starts with `study.`.
        """
        self._check_driver()
        with told(self.path / relative):
            return write_whole(self.path, relative, content)

    def add_seconds(self, kind: str, seconds: float) -> None:
        """Count time spent (s, 0 or more) on a kind of work; the sums go on across restarts."""
        if not 0 <= seconds < math.inf:
            raise UsageError(f"{seconds} s were spent on {kind!r}; it must be finite and 0 or more")
        row = {"kind": kind, "total": seconds}
        with self._writing() as connection:
            upsert(connection, SECONDS, row, lambda new: {"total": SECONDS.c.total + new.total})

    def seconds(self) -> dict[str, float]:
        """Time spent so far, by kind of work, s."""
        with self._reading() as connection:
            return {row.kind: float(row.total) for row in connection.execute(select(SECONDS))}

    def _log(self) -> TrialLog:
        with self._reading() as connection:
            if self._loaded is None or self._lock is None:
                # Changes when another process has written; a driver is alone.
                version = stores.version(connection)
                if self._loaded is None or version != self._loaded_version:
                    self._loaded, self._loaded_version = self._load(connection), version
            return self._loaded

    def _load(self, connection: Connection) -> TrialLog:
        # Collecting garbage among thousands of new trials, of which none is garbage, takes a third of the time.
        collecting = gc.isenabled()
        gc.disable()
        try:
            if self._loaded is None:
                return TrialLog(connection)
            # A trial that has ended stays as it is.
            self._loaded.catch_up(connection)
            return self._loaded
        finally:
            if collecting:
                gc.enable()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self._closed:
            raise StudyError(f"study {str(self.path)!r} is closed; open it again")
        try:
            with told(self.path), self._engine.connect() as connection:
                yield connection
        except (ValueError, TypeError, AttributeError) as error:
            # Values that no study has written.
            raise StudyError(f"study {str(self.path)!r}: {error}: {DAMAGED}") from error

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        self._check_driver()
        with told(self.path), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _sharing(self) -> Iterator[Connection]:
        if self._closed or not self._helps:
            self._check_driver()
        with told(self.path), self._engine.begin() as connection:
            yield connection

    def _check_driver(self) -> None:
        if self._closed or self._lock is None:
            how = "closed" if self._closed else "open for reading only"
            raise StudyError(f"study {str(self.path)!r} is {how}; open it without read_only to write")


def _locked_directory(path: Path, undo: ExitStack) -> DriverLock:
    path.mkdir(parents=True, exist_ok=True)
    names = sorted(entry.name for entry in path.iterdir())
    foreign = [name for name in names if name != LOCK and not name.startswith(database.UNFINISHED)]
    if foreign and not set(stores.FILES) & set(foreign):
        raise StudyError(
            f"{str(path)!r} holds no study but other files ({', '.join(foreign[:3])}); "
            f"name a new or empty directory with --study"
        )
    lock = DriverLock(path)
    undo.callback(lock.release)
    if stores.holds_study(path):
        raise StudyError(f"{str(path)!r} holds a study already; continue it, or name another directory")
    return lock
