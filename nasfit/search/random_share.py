"""What random search would have reached at the same cost, judged by the random first batch."""

from __future__ import annotations

import math
import statistics

import numpy as np

from nasfit.search.result import RandomShare
from nasfit.study import Trial, TrialState

# Fewer random points say nothing about the best of many.
FEWEST = 5
DRAWS = 4000
INTERVAL = (0.05, 0.95)


def random_share(trials: list[Trial]) -> RandomShare:
    """What the random first batch reached, and what that lets one expect of random search at the same cost."""
    complete = [t for t in trials if t.state is TrialState.COMPLETE and t.duplicate_of is None and t.reward is not None]
    rewards = [t.reward for t in complete if t.origin == "random" and t.reward is not None]
    # Stopped trainings count as trained: rather too much is asked of the search than too little.
    number = len(complete) + sum(t.state is TrialState.STOPPED and t.duplicate_of is None for t in trials)
    expected = low = high = None
    if len(rewards) >= FEWEST:
        expected = _expected_best(rewards, number)
        if max(rewards) > statistics.median(rewards):
            # Of networks that have not begun to learn none is better than the middle, and there is no spread to fit.
            low, high = _interval_of_best(rewards, number)
    return RandomShare(
        trials=sum(t.origin == "random" for t in trials),
        trained=len(rewards),
        best=max(rewards, default=None),
        expected=expected,
        found=max((t.reward for t in complete if t.reward is not None), default=None),
        low=low,
        high=high,
        number=number,
    )


def _upper_half(values: list[float]) -> tuple[float, float, int]:
    """Median, spread above it, and how many values that rests on.

    Networks that did not learn at all make a long lower tail that says nothing about the best.
    """
    middle = statistics.median(values)
    upper = [value - middle for value in values if value >= middle]
    return middle, math.sqrt(sum(step * step for step in upper) / len(upper)), len(upper)


def _expected_best(values: list[float], number: int) -> float:
    """The largest of `number` draws to expect: a normal fitted to the upper half of `values`, Blom's approximation."""
    middle, spread, _ = _upper_half(values)
    return middle + spread * statistics.NormalDist().inv_cdf((number - 0.375) / (number + 0.25))


def _interval_of_best(values: list[float], number: int) -> tuple[float, float]:
    """90 % interval of the largest of `number` draws, with what a few values leave open about mean and spread.

    Draws of the posterior predictive under the flat prior on mean and log spread: the spread's square is k s^2 over a
    chi-square of k degrees, the mean lies about the median by its error, sqrt(pi/2) spread / sqrt(n); the largest of N
    standard normals is the quantile of U^(1/N).
    """
    middle, spread, rests_on = _upper_half(values)
    generator = np.random.default_rng(0)
    spread_D = spread * np.sqrt(rests_on / generator.chisquare(rests_on, DRAWS))
    middle_D = middle + math.sqrt(math.pi / 2 / len(values)) * spread_D * generator.standard_normal(DRAWS)
    normal = statistics.NormalDist()
    shares = np.clip(generator.random(DRAWS) ** (1 / number), 1e-12, 1 - 1e-12)
    best_D = middle_D + spread_D * np.array([normal.inv_cdf(share) for share in shares])
    low, high = np.quantile(best_D, INTERVAL)
    return float(low), float(high)
