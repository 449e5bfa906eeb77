"""A long search begins with a proxy check of its own, and takes its trials' length from that."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nasfit.architecture import Architecture
from nasfit.latency import Measurement
from nasfit.search.bounds import excess
from nasfit.search.evaluate import completed, failed, proxy_job, screened
from nasfit.search.events import Noted, ProxyStep
from nasfit.search.measuring import measured
from nasfit.search.plan import MOST_EPOCHS, SEARCH_SHARE, WANTED_TRIALS, Plan
from nasfit.search.proxy_choice import ProxyChoice, proxy_choice
from nasfit.search.proxy_design import Design, Training, affordable_full, budgets_of, farthest
from nasfit.search.proxy_study import speeds_of
from nasfit.search.proxy_trainings import known, trained
from nasfit.search.setup import Setup
from nasfit.space import Tokens
from nasfit.study import Proposal, Trial, TrialState
from nasfit.training import TrainingJob, recipe_for

# Design and points, None inside where there was no room for a check; and of the trials that come of it.
DOCUMENT, ORIGIN = "proxy design", "proxy check"
# Of the search's share of the budget; of that, for measuring candidates.
SHARE, LOOKING = 0.1, 0.2
NETWORKS = 6
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
# A check is worth it where it tries so many lengths, and its full training is so many times a trial as planned.
LEAST_LENGTHS, LONGER = 3, 2.0
# So many trials a longer training must leave room for.
LEAST_TRIALS = WANTED_TRIALS // 2
GROUP = 12


@dataclass(frozen=True)
class _Check:
    """A design, and the points of its networks."""

    design: Design
    points: tuple[Tokens, ...]

    def as_json(self) -> dict[str, Any]:
        design = self.design
        return {"points": self.points, "networks": design.networks, "budgets": design.budgets, "full": design.full}

    @classmethod
    def from_json(cls, stored: dict[str, Any], seed: int) -> _Check:
        design = Design(tuple(stored["networks"]), tuple(stored["budgets"]), stored["full"], seed=seed)
        return cls(design, tuple(tuple(point) for point in stored["points"]))


def with_proxy(setup: Setup) -> Generator[ProxyStep | Noted, None, Setup]:
    """The setup whose trials are as long as a check says, or as it is where none is wanted or there is no room for one.

    The check costs about a tenth of the search's share at most, each training is kept as it is done, and the choice is
    the study's from then on.
    """
    if not _wanted(setup):
        return setup
    clock = _Clock(setup)
    stored = setup.study.document(DOCUMENT)
    check = _designed(setup, clock) if stored is None else _kept(setup)
    if stored is None:
        setup.study.put_document(DOCUMENT, {"none": True} if check is None else check.as_json())
    if check is None:
        return setup
    for done, everything in trained(check.design, setup.study, setup.pool, lambda one: _job(setup, one)):
        clock.tick()
        yield ProxyStep(done, everything)
    choice = proxy_choice(check.design, known(setup.study), setup.settings.proxy_wish)
    plan = _chosen(setup, choice)
    setup.study.put_document("plan", plan.as_json())
    yield Noted(f"a trial trains on {plan.proxy_images:,} pictures: {plan.proxy_reason}")
    return replace(setup, plan=plan)


def trials_of_check(setup: Setup) -> Iterator[Trial]:
    """The check's networks as finished trials, where trials are as long as one of its trainings was; once."""
    check = _kept(setup)
    images = setup.plan.proxy_images
    if check is None or images not in check.design.budgets or not setup.plan.proxy_reason:
        return
    if any(trial.origin == ORIGIN for trial in setup.study.trials()):
        return
    trainings = dict(zip(check.points, check.design.short(images)[0], strict=True))
    kept = known(setup.study)
    proposals = [
        Proposal(point, training.network, seed=training.seed, origin=ORIGIN) for point, training in trainings.items()
    ]
    for trial in screened(setup, setup.study.propose(proposals)):
        if trial.state is TrialState.RUNNING:
            trial = _finished(setup, trial, kept[trainings[trial.tokens].key])
        yield trial


def searched(setup: Setup) -> bool:
    """Whether the study has any trials but those of its check."""
    return any(trial.origin != ORIGIN for trial in setup.study.trials())


class _Clock:
    """Time of the check counts as calibration, recorded as it passes."""

    def __init__(self, setup: Setup) -> None:
        self._study, self._since = setup.study, time.monotonic()
        self.passed_s = 0.0

    def tick(self) -> float:
        """Seconds of this check so far, in this run."""
        now = time.monotonic()
        self._study.add_seconds("calibration", now - self._since)
        self.passed_s += now - self._since
        self._since = now
        return self.passed_s


def _wanted(setup: Setup) -> bool:
    settings = setup.settings
    few = settings.max_trials is not None and settings.max_trials < LEAST_TRIALS
    asked = settings.proxy_wish > 0 and settings.proxy_images is None and not few
    return asked and setup.plan.evaluator == "standalone" and not setup.plan.proxy_reason and not searched(setup)


def _kept(setup: Setup) -> _Check | None:
    stored = setup.study.document(DOCUMENT)
    return None if not stored or "none" in stored else _Check.from_json(stored, setup.settings.seed)


def _designed(setup: Setup, clock: _Clock) -> _Check | None:
    """Networks that trials may be, far apart, and lengths that the time allows; None where it allows too little."""
    share_s = SHARE * SEARCH_SHARE * setup.settings.budget_s
    # By the calibration's estimate first, so that a short search does not even measure for it.
    if not _lengths(setup, share_s, [setup.plan.speed] * NETWORKS)[1]:
        return None
    points = _candidates(setup, clock, LOOKING * share_s)
    if len(points) < NETWORKS:
        return None
    log_ms = np.log(list(points.values()))
    size_M = (log_ms - log_ms.min()) / max(float(np.ptp(log_ms)), 1e-12)
    tokens = list(points)
    chosen = [tokens[place] for place in farthest(np.array(tokens), size_M, NETWORKS)]
    networks = [str(setup.architecture(point)) for point in chosen]
    speeds = speeds_of(networks, setup.data_directory, setup.pool)
    full, budgets = _lengths(setup, share_s - clock.tick(), speeds)
    return _Check(Design(tuple(networks), budgets, full, seed=setup.settings.seed), tuple(chosen)) if budgets else None


def _candidates(setup: Setup, clock: _Clock, seconds: float) -> dict[Tokens, float]:
    """Random points within limit and bounds, with their latencies, each network once."""
    generator = np.random.default_rng((setup.settings.seed, NETWORKS))
    counts = setup.space.option_counts
    found: dict[Tokens, float] = {}
    seen: set[str] = set()
    while len(found) < 4 * NETWORKS and clock.tick() < seconds:
        rows = generator.integers(counts, size=(GROUP, len(counts))).tolist()
        networks = {tuple(row): setup.architecture(row) for row in rows}
        fresh = {point: network for point, network in networks.items() if str(network) not in seen}
        for point, network, latency in _measured(setup, fresh):
            broken = excess(latency.latency_ms, latency, setup.settings)
            if network not in seen and (broken is None or broken <= 0):
                found[point] = latency.latency_ms
            seen.add(network)
    return found


def _measured(setup: Setup, networks: dict[Tokens, Architecture]) -> Iterator[tuple[Tokens, str, Measurement]]:
    results = measured(
        list(networks.values()),
        setup.instrument,
        cache=setup.study.measurements,
        resources=setup.settings.max_mb is not None,
    )
    for point, network in networks.items():
        if isinstance(result := results[str(network)], Measurement):
            yield point, str(network), result


def _lengths(setup: Setup, seconds: float, speeds: list[float]) -> tuple[int, tuple[int, ...]]:
    """The full training and the shorter ones that so many seconds of all workers allow; no shorter ones: too few."""
    pictures = len(setup.data.train.labels_N)
    affordable = affordable_full(max(0.0, seconds) * setup.pool.workers, speeds, 1, SHARES)
    full = min(affordable, round(MOST_EPOCHS * pictures))
    budgets = budgets_of(full, SHARES)
    worth_it = len(budgets) >= LEAST_LENGTHS and full >= LONGER * setup.plan.proxy_images
    return full, budgets if worth_it else ()


def _job(setup: Setup, training: Training) -> TrainingJob:
    recipe = recipe_for(training.images, len(setup.data.train.labels_N))
    return replace(proxy_job(setup, training.network, training.seed), recipe=recipe)


def _chosen(setup: Setup, choice: ProxyChoice) -> Plan:
    """The plan with the check's length, within what leaves room for enough trials."""
    plan = setup.plan
    left_s = setup.settings.budget_s * SEARCH_SHARE - setup.study.seconds().get("calibration", 0.0)
    most = int(left_s * setup.pool.workers * plan.speed / LEAST_TRIALS)
    wanted = choice.images or choice.lengths[-1].images
    reason = choice.verdict
    if wanted > most:
        wanted = max(most, 1)
        reason = f"as many as leave time for {LEAST_TRIALS} trials, though {reason}"
    return replace(plan, proxy_images=wanted, trial_s=wanted / plan.speed, proxy_reason=reason)


def _finished(setup: Setup, trial: Trial, training: dict[str, Any]) -> Trial:
    if "failed" in training:
        return failed(trial, training["failed"])
    return completed(setup, trial, training["accuracy"], training["seconds"])
