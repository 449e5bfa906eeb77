"""Finished trials as the strategy is told them."""

from __future__ import annotations

from dataclasses import dataclass

from nasfit.architecture import Architecture
from nasfit.search.bounds import excess
from nasfit.search.goal import Value, value_of
from nasfit.search.setup import Setup
from nasfit.strategies import Outcome
from nasfit.study import Trial, TrialState


@dataclass(frozen=True)
class Outcomes:
    """Call it with a trial; a calibrated exponent must be known before it is made.

    What a trial is worth follows from its accuracy and latency alone, so trials of before the calibration are judged
    as those after it. chance: accuracy of guessing, at which a trial counts that was measured and not trained.
    """

    setup: Setup
    value: Value
    chance: float

    @classmethod
    def of(cls, setup: Setup) -> Outcomes:
        """For the study's goal as it is now."""
        return cls(setup, value_of(setup.goal), 1 / len(setup.data.classes))

    def __call__(self, trial: Trial) -> Outcome:
        """What the strategy learns of a finished trial."""
        reward = None
        if trial.state is not TrialState.FAILED and trial.latency_ms is not None:
            reward = self.value(self.chance if trial.accuracy is None else trial.accuracy, trial.latency_ms)
        return Outcome(trial.tokens, reward, trial.accuracy, trial.latency_ms, trial.state.value, self._excess(trial))

    def _excess(self, trial: Trial) -> float | None:
        settings, kept = self.setup.settings, None
        if trial.latency_ms is None:
            return None
        if settings.max_size is not None or settings.max_mb is not None:
            network = Architecture.parse(trial.architecture)
            kept = self.setup.instrument.kept([network], self.setup.study.measurements).get(trial.architecture)
        return excess(trial.latency_ms, kept, settings)
