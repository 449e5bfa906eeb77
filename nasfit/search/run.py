"""One search from settings to result: open, prepare, calibrate, run trials, finish. The only joint of the house."""

from __future__ import annotations

import platform
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import fields
from pathlib import Path

import numpy
import onnx
import torch

import nasfit
from nasfit.devices import Device, open_devices
from nasfit.errors import StudyBusy, StudyError
from nasfit.search.calibrating import calibrate
from nasfit.search.choosing import with_evaluator
from nasfit.search.data import prepared
from nasfit.search.delivery import compared, keep_part_times
from nasfit.search.documents import FINALS, LATENCIES, PARTS
from nasfit.search.entrants import entrants
from nasfit.search.estimating import predictor_for
from nasfit.search.events import Event, Finished, Noted, Planned, Prepared
from nasfit.search.far_training import FarTrainings
from nasfit.search.finale import promoted, trained_fully
from nasfit.search.goal import goal_of, judged
from nasfit.search.helping import helped
from nasfit.search.loop import run_trials
from nasfit.search.measuring import Instrument, likenesses
from nasfit.search.plan import PROMOTION_SHARE, SEARCH_SHARE, Plan
from nasfit.search.proxy import keep_pairs, proxies_trained
from nasfit.search.proxy_start import with_proxy
from nasfit.search.random_share import random_share
from nasfit.search.result import Result, best_within
from nasfit.search.settings import MAY_CHANGE, Settings
from nasfit.search.setup import Setup
from nasfit.search.shared_pool import SharedPool
from nasfit.search.spending import timed
from nasfit.search.warm_start import DOCUMENT as WARM_START
from nasfit.search.warm_start import keep_earlier, require_study, warm_start_text
from nasfit.space import SearchSpace, named_space
from nasfit.strategies import make_strategy
from nasfit.study import Study, TrialState, holds_study
from nasfit.study.optuna_import import IMPORTED
from nasfit.tasks import find
from nasfit.training import calibration_pictures
from nasfit.workers import Pool, RayPool, available_cores

# Documents of the finale, which end when trials are added after it.
FINALE = ("promotions", "entrants", "proxies", FINALS, "final_images", "proxy", LATENCIES, PARTS, "result")


def run_search(
    settings: Settings,
    path: Path,
    space: SearchSpace | None = None,
    *,
    store: str | None = None,
    ray: str | None = None,
) -> Generator[Event, None, None]:
    """Runs or continues the study at `path`, yielding what happens; helps it while another process drives it.

    space: one of your own, in place of the one that `settings.space` names; give the same to continue. store: of a new
    study for many machines, `postgresql://user@host/database`; None keeps it in the directory. ray: of a
    cluster that does the trainings, `auto` or `host:port`. Raises NasfitError for what the user can mend. Whatever
    interrupts it, the same call goes on.
    """
    space = space or named_space(settings.space)
    # Made for nothing but its errors, such as an extra that is not installed.
    make_strategy(settings.strategy, space.option_counts, seed=settings.seed, goal=goal_of(settings))
    with ExitStack() as stack:
        cluster = None if ray is None else stack.enter_context(closing(RayPool(ray)))
        # Whatever is wrong with it now is the user's to mend; later on a device that goes away is waited for.
        devices = open_devices(settings.device, engine=settings.engine)
        study = None
        while study is None:
            study = yield from _opened_or_helped(settings, path, store)
        yield from _driven(settings, stack.enter_context(study), space, devices, cluster)


def _driven(
    settings: Settings, study: Study, space: SearchSpace, devices: Sequence[Device], cluster: RayPool | None
) -> Iterator[Event]:
    _check_space(space, study)
    if settings.warm_start is not None:
        keep_earlier(study, settings.warm_start, space)
    data, directory = prepared(settings, study)
    yield Prepared(data.notes, resumed=len(study.trials()))
    predictor = None
    with ExitStack() as stack:
        pool = stack.enter_context(Pool(settings.workers or available_cores()))
        if cluster is not None:
            cluster.packs(FarTrainings(study.path, cluster.put))
        shared = stack.enter_context(closing(SharedPool(pool, study, cluster)))
        quiet = shared.quiet if any(device.on_this_machine for device in devices) else nullcontext
        device, *others = devices
        instrument = Instrument(
            device, settings.precision, calibration_pictures(data), quiet=quiet, others=tuple(others)
        )
        if settings.predictor:
            predictor = predictor_for(instrument, Path(settings.predictor))
        if _plan(study) is None:
            yield Noted(
                f"{len(data.train):,} pictures to train on, {len(data.classes)} classes; trying how fast device and "
                "workers are"
            )
        with timed(study, "calibration"):
            plan = _plan(study) or with_evaluator(
                calibrate(settings, space, data, directory, instrument, pool), settings
            )
            study.put_document("plan", plan.as_json())
        setup = Setup(settings, plan, space, data, directory, instrument, shared, study, predictor)
        yield Planned(plan, settings)
        middle = setup.architecture(tuple(options // 2 for options in space.option_counts))
        for name, ratio in likenesses(instrument, middle).items():
            yield Noted(f"{name} measures too: {ratio:.3f} times as long as {device.name} for a middling network")
        if settings.warm_start is not None:
            yield Noted(warm_start_text(study.document(WARM_START)))
        setup = yield from with_proxy(setup)
        yield from run_trials(setup)
        yield from _finished(setup)


def _opened_or_helped(settings: Settings, path: Path, store: str | None) -> Generator[Event, None, Study | None]:
    """The study to drive; None after another process drove it and this one helped."""
    try:
        return _opened(settings, path, store)
    except StudyBusy as busy:
        yield from helped(settings, path, MAY_CHANGE, busy)
    return None


def _opened(settings: Settings, path: Path, store: str | None) -> Study:
    may_change: tuple[str, ...] = MAY_CHANGE
    if holds_study(path):
        with Study.open(path, read_only=True) as study:
            if study.document(IMPORTED):
                raise StudyError(
                    f"study {str(path)!r} was imported, and how its networks were trained is not known; start a new "
                    f"--study with --warm-start {path}"
                )
            if study.document("plan") is None:
                # Nothing depends on the settings yet; whoever mends a wrong one may use the same directory.
                may_change = tuple(field.name for field in fields(Settings))
            else:
                # A study of an earlier version lacks settings that came later; it was begun with their defaults.
                later = [field for field in fields(Settings) if field.name not in study.settings]
                may_change += tuple(field.name for field in later if getattr(settings, field.name) == field.default)
    else:
        # Before anything is created.
        find(settings.data)
        if settings.warm_start is not None:
            require_study(settings.warm_start)
    return Study.open_or_create(path, settings.as_json(), may_change=may_change, store=store)


def _check_space(space: SearchSpace, study: Study) -> None:
    known, given = study.document("space"), space.facts
    differs = known and any(known.get(what) != given[what] for what in ("name", "definition"))
    if differs and study.document("plan"):
        raise StudyError(
            f"study {str(study.path)!r} searches another space ({known['name']!r}) than the one given "
            f"({space.name!r}); give the same space to continue it, or another directory"
        )
    study.put_document("space", given)


def _finished(setup: Setup) -> Iterator[Event]:
    study = setup.study
    trained = sum(trial.state is TrialState.COMPLETE for trial in study.trials())
    stored = study.document("result")
    if stored and study.document("finale_after") == trained:
        yield Finished(Result.from_json(stored))
        return
    if study.document("finale_after") != trained:
        # Trials were added since the last finale: its choice of networks no longer holds.
        for name in FINALE:
            study.put_document(name, None)
        study.put_document("finale_after", trained)
    with timed(study, "promotion"):
        yield from promoted(setup)
    with timed(study, "final measuring"):
        chosen = entrants(setup)
    with timed(study, "promotion"):
        yield from proxies_trained(setup, chosen)
    with timed(study, "final training"):
        yield from trained_fully(setup, chosen, _left_s(setup))
    with timed(study, "final measuring"):
        comparison = compared(setup, chosen)
        best = best_within(comparison.contenders, setup.settings.target_ms)
        if best is not None:
            keep_part_times(setup, comparison.contenders[best])
    keep_pairs(setup, comparison.contenders)
    result = Result(
        contenders=comparison.contenders,
        best=best,
        final_images=int(study.document("final_images")),
        random=random_share(judged(study.trials(), setup.goal)),
        cost_s=study.seconds(),
        versions=versions(),
        conditions=comparison.conditions,
        failures=comparison.failures,
    )
    study.put_document("result", result.as_json())
    study.jobs.clear()
    yield Finished(result)


def versions() -> dict[str, str]:
    """Versions of nasfit, Python and the libraries that results depend on."""
    return {
        "nasfit": nasfit.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "onnx": onnx.__version__,
    }


def _left_s(setup: Setup) -> float:
    """Seconds of the budget left for final training; at least its own share, so that a result always comes."""
    least = (1 - SEARCH_SHARE - PROMOTION_SHARE) * setup.settings.budget_s
    return max(least * 0.8, setup.settings.budget_s - sum(setup.study.seconds().values()))


def _plan(study: Study) -> Plan | None:
    stored = study.document("plan")
    try:
        return Plan(**stored) if stored else None
    except TypeError as error:
        raise StudyError(f"the study's plan does not read ({error}); it may be of another version of nasfit") from None
