"""A second process for a study that another one drives: it does trainings, and drives when the driver is gone."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from nasfit.errors import StudyBusy, StudyError
from nasfit.search.best_trials import best_under
from nasfit.search.data import fetched
from nasfit.search.events import Noted, TrialFinished
from nasfit.search.plan import search_left_s
from nasfit.search.settings import Settings
from nasfit.search.shared_pool import LOOK_S, JobWorkers, member
from nasfit.study import Member, Study, Trial, TrialState, holds_study
from nasfit.study.driver_lock import locked
from nasfit.study.members import BEAT_S
from nasfit.study.settings import changed
from nasfit.workers import Pool, available_cores

# So often a helper tells what the study has come to.
NEWS_S = 5.0


def helped(
    settings: Settings, path: Path, may_change: Collection[str], busy: StudyBusy
) -> Iterator[Noted | TrialFinished]:
    """Helps until nobody drives the study any more; tells what the driver stores meanwhile.

    busy: why this process does not drive. Raises it where no core is left and none was asked for, StudyError where the
    settings are not the study's.
    """
    while not holds_study(path):
        # Its driver is about to make the tables, or was killed before.
        if not locked(path):
            return
        time.sleep(LOOK_S)
    with Study.help(path) as study:
        changed(path, study.settings, settings.as_json(), may_change)
        driver = _driver(study)
        if driver is None:
            return
        workers = settings.workers or _cores_left(study)
        if workers < 1:
            raise StudyBusy(f"{busy}; or help it with cores that it leaves idle: --workers N") from busy
        fetched(settings, study)
        with Pool(workers) as pool:
            helper = _Helper(study, settings, pool)
            yield Noted(f"process {driver.pid} on {driver.host} drives this study; {workers} workers here help it")
            try:
                yield from helper.work()
            finally:
                helper.leave()
    yield Noted(f"the study's driver has ended; {helper.done} trainings were done here")


class _Helper:
    """This process as a member. done: trainings so far."""

    def __init__(self, study: Study, settings: Settings, pool: Pool) -> None:
        self._study, self._settings, self._pool = study, settings, pool
        self._me = member(pool.workers)
        self._beaten = self._told = time.monotonic()
        self._ended = _ended(study.trials())
        self.done = 0
        study.members.join(self._me)

    def work(self) -> Iterator[TrialFinished]:
        """Does jobs until nobody drives."""
        own = JobWorkers(self._pool, self._study, self._me.name)
        while self._study.driven():
            if self._paused():
                time.sleep(LOOK_S / 4)
                continue
            own.start()
            self.done += own.finish(LOOK_S)
            yield from self._news()

    def leave(self) -> None:
        """What it had claimed is free again."""
        with suppress(StudyError):
            self._study.members.leave([self._me.name])

    def _paused(self) -> bool:
        """Whether the driver measures on this machine; the workers stand still then."""
        quiet = any(one.drives and one.quiet and one.host == self._me.host for one in self._study.members.all())
        if quiet != self._me.quiet:
            (self._pool.pause if quiet else self._pool.resume)()
        if quiet != self._me.quiet or time.monotonic() - self._beaten >= BEAT_S:
            self._me, self._beaten = replace(self._me, quiet=quiet), time.monotonic()
            self._study.members.beat(self._me)
        return quiet

    def _news(self) -> Iterator[TrialFinished]:
        """The trials that the driver has ended since the last look."""
        if time.monotonic() - self._told < NEWS_S:
            return
        self._told = time.monotonic()
        before, trials = self._ended, self._study.trials()
        self._ended = _ended(trials)
        left_s = search_left_s(self._study.seconds(), self._settings.budget_s)
        best = best_under(trials, self._settings.target_ms)
        for number in sorted(self._ended - before):
            yield TrialFinished(trials[number], best, len(self._ended), left_s)


def _ended(trials: Sequence[Trial]) -> set[int]:
    return {trial.number for trial in trials if trial.state is not TrialState.RUNNING}


def _driver(study: Study) -> Member | None:
    """Whoever drives, waited for while it starts; None once nobody does."""
    while study.driven():
        for one in study.members.all():
            if one.drives:
                return one
        time.sleep(LOOK_S)
    return None


def _cores_left(study: Study) -> int:
    """Cores of this machine that no member of the study works on."""
    here = member(0).host
    return available_cores() - sum(one.workers for one in study.members.all() if one.host == here)
