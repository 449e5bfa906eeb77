"""What random search would have reached at the same cost, judged by the random first batch."""

from __future__ import annotations

import math
import statistics

from nasfit.search.result import RandomShare
from nasfit.study import Trial, TrialState


def random_share(trials: list[Trial]) -> RandomShare:
    """What the random first batch reached, and what that lets one expect of random search at the same cost."""
    complete = [t for t in trials if t.state is TrialState.COMPLETE and t.duplicate_of is None and t.reward is not None]
    rewards = [t.reward for t in complete if t.origin == "random" and t.reward is not None]
    expected = None
    if len(rewards) >= 5:
        expected = _expected_best(rewards, len(complete))
    return RandomShare(
        trials=sum(t.origin == "random" for t in trials),
        trained=len(rewards),
        best=max(rewards, default=None),
        expected=expected,
        found=max((t.reward for t in complete if t.reward is not None), default=None),
    )


def _expected_best(values: list[float], number: int) -> float:
    """The largest of `number` draws to expect, after a few: a normal fitted to the upper half of `values`.

    Networks that did not learn at all make a long lower tail that says nothing about the best. Blom's approximation.
    """
    middle = statistics.median(values)
    upper = [value - middle for value in values if value >= middle]
    spread = math.sqrt(sum(step * step for step in upper) / len(upper))
    return middle + spread * statistics.NormalDist().inv_cdf((number - 0.375) / (number + 0.25))
