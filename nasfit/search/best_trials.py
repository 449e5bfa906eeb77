"""The best of a study's trials: under its limit, and on its front."""

from __future__ import annotations

from collections.abc import Sequence

from nasfit.objective import pareto_front
from nasfit.study import Trial, TrialState


def best_under(trials: Sequence[Trial], target_ms: float) -> Trial | None:
    """The most accurate finished trial that meets the target; of equals the faster."""
    meeting = [t for t in trials if t.state is TrialState.COMPLETE and (t.latency_ms or 0.0) <= target_ms]
    return max(meeting, key=lambda t: (t.accuracy or 0.0, -(t.latency_ms or 0.0)), default=None)


def front_of(trials: Sequence[Trial]) -> list[Trial]:
    """Complete trials that no other dominates in accuracy and latency, each network once, fastest first."""
    complete = [t for t in trials if t.state is TrialState.COMPLETE and t.duplicate_of is None]
    return [complete[place] for place in pareto_front([(t.accuracy or 0.0, t.latency_ms or 0.0) for t in complete])]
