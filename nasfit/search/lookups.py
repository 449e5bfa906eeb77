"""Latencies before training, for strategies that ask for whole lists of points; every answer is kept in the study."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from nasfit.latency import Measurement
from nasfit.latency.predictor import Estimate
from nasfit.search.bounds import excess
from nasfit.search.documents import LOOKING, look_seconds
from nasfit.search.estimating import surely_pruned
from nasfit.search.measuring import Measured, measured
from nasfit.search.setup import Setup
from nasfit.space import Tokens
from nasfit.strategies import Look
from nasfit.study import LookedUp, TrialState

# What a search keeps in the study: looks for a proposal.
BUDGET = "looks a proposal"
FEWEST, MOST = 2, 8
# Looking costs at most this share of the time that training the proposal takes.
SHARE = 0.5
# Seconds of a look where none is known: to build, export and measure a small network on an idle core.
USUAL_S = 0.4
# Stored together, so that a kill loses no more than these.
TOGETHER = 16


class StudyLookups:
    """The `Lookups` of a search.

    per_proposal: how many a strategy should look at for a point that it proposes; chosen once, and then the study's.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._known: dict[Tokens, Look | None] = {
            look.tokens: None if look.latency_ms is None else Look(look.latency_ms, look.excess)
            for look in setup.study.lookups.all()
        }
        self.per_proposal = _per_proposal(setup)

    def known(self) -> Mapping[Tokens, Look | None]:
        """All that was looked up in this study, in the order of looking."""
        return self._known

    def __call__(self, points: Sequence[Tokens]) -> list[Look | None]:
        """Looks up each point, in groups: from the study, by estimate where it is surely too slow, else measured."""
        fresh = [point for point in dict.fromkeys(points) if point not in self._known]
        for start in range(0, len(fresh), TOGETHER):
            self._look_up(fresh[start : start + TOGETHER])
        return [self._known[point] for point in points]

    def _look_up(self, points: Sequence[Tokens]) -> None:
        began = time.monotonic()
        setup = self._setup
        networks = {point: setup.architecture(point) for point in points}
        slower = surely_pruned(setup, networks.values())
        latencies = measured(
            [network for network in networks.values() if str(network) not in slower],
            setup.instrument,
            cache=setup.study.measurements,
            resources=setup.settings.max_mb is not None,
        )
        looks = [
            _looked_up(setup, point, slower.get(str(network)) or latencies[str(network)])
            for point, network in networks.items()
        ]
        setup.study.lookups.add(looks)
        for look in looks:
            self._known[look.tokens] = None if look.latency_ms is None else Look(look.latency_ms, look.excess)
        spent = look_seconds(setup.study) + time.monotonic() - began
        setup.study.put_document(LOOKING, {"seconds": spent})


def _looked_up(setup: Setup, point: Tokens, told: Measured | Estimate) -> LookedUp:
    if isinstance(told, Measurement):
        return LookedUp(point, told.latency_ms, excess(told.latency_ms, told, setup.settings))
    if isinstance(told, Estimate):
        return LookedUp(point, told.latency_ms, excess(told.latency_ms, None, setup.settings), reason="estimated")
    return LookedUp(point, None, reason=str(told))


def _per_proposal(setup: Setup) -> int:
    """As many looks as half the proposal's training time holds, workers idle meanwhile; few where training is short."""
    study = setup.study
    stored = study.document(BUDGET)
    if stored is None:
        complete = study.trials([TrialState.COMPLETE])
        train = [trial.seconds["train"] for trial in complete if "train" in trial.seconds]
        look = [trial.seconds["measure"] for trial in complete if "measure" in trial.seconds]
        train_s = sum(train) / len(train) if train else setup.plan.trial_s
        look_s = sum(look) / len(look) if look and sum(look) > 0 else USUAL_S
        stored = min(max(round(SHARE * train_s / (look_s * setup.pool.workers)), FEWEST), MOST)
        study.put_document(BUDGET, stored)
    return int(stored)
