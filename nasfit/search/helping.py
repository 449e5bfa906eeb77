"""A second process for a study that another one drives: it does trainings, and drives when the driver is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from nasfit.errors import StudyBusy, StudyError
from nasfit.search.data import fetched
from nasfit.search.events import Noted
from nasfit.search.settings import Settings
from nasfit.search.shared_pool import LOOK_S, JobWorkers, member
from nasfit.study import Member, Study
from nasfit.study.members import BEAT_S
from nasfit.study.settings import changed
from nasfit.workers import Pool, available_cores


def helped(settings: Settings, path: Path, may_change: Collection[str], busy: StudyBusy) -> Iterator[Noted]:
    """Helps until nobody drives the study any more.

    busy: why this process does not drive. Raises it where no core is left and none was asked for, StudyError where the
    settings are not the study's.
    """
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
            me = member(workers)
            study.members.join(me)
            yield Noted(f"process {driver.pid} on {driver.host} drives this study; {workers} workers here help it")
            try:
                done = _trainings_done(study, pool, me)
            finally:
                with suppress(StudyError):
                    study.members.leave([me.name])
    yield Noted(f"the study's driver has ended; {done} trainings were done here")


def _trainings_done(study: Study, pool: Pool, me: Member) -> int:
    """Does jobs until nobody drives. How many."""
    own, done = JobWorkers(pool, study, me.name), 0
    beaten = time.monotonic()
    while study.driven():
        quiet = _quiet_wanted(study, me)
        if quiet != me.quiet:
            (pool.pause if quiet else pool.resume)()
        if quiet != me.quiet or time.monotonic() - beaten >= BEAT_S:
            me, beaten = replace(me, quiet=quiet), time.monotonic()
            study.members.beat(me)
        if quiet:
            time.sleep(LOOK_S / 4)
            continue
        own.start()
        done += own.finish(LOOK_S)
    return done


def _quiet_wanted(study: Study, me: Member) -> bool:
    return any(one.drives and one.quiet and one.host == me.host for one in study.members.all())


def _driver(study: Study, sleep: Callable[[float], None] = time.sleep) -> Member | None:
    """Whoever drives, waited for while it starts; None once nobody does."""
    while study.driven():
        for one in study.members.all():
            if one.drives:
                return one
        sleep(LOOK_S)
    return None


def _cores_left(study: Study) -> int:
    """Cores of this machine that no member of the study works on."""
    here = member(0).host
    return available_cores() - sum(one.workers for one in study.members.all() if one.host == here)
