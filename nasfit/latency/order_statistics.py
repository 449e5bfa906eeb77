"""Median, quartiles and an interval of the median that assumes nothing about the distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile, linear between neighbours (Hyndman and Fan 1996, type 7)."""
    ordered = sorted(values)

    def quantile(share: float) -> float:
        place = share * (len(ordered) - 1)
        below = math.floor(place)
        above = min(below + 1, len(ordered) - 1)
        return ordered[below] + (place - below) * (ordered[above] - ordered[below])

    return quantile(0.25), quantile(0.5), quantile(0.75)


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Interval that holds the median with at least this confidence, from order statistics.

    The k-th smallest and k-th largest value miss it with probability 2 * P(Binomial(n, 1/2) < k) (David and Nagaraja
    2003, section 7.1); k is the largest that keeps to the confidence. Below 6 values at 95 % no k does: all of them.
    """
    ordered = sorted(values)
    count = len(ordered)
    missed, k = 0.0, 0
    for below in range(count // 2):
        missed += math.comb(count, below) / 2**count
        if 2 * missed > 1 - confidence:
            break
        k = below + 1
    k = max(k, 1)
    return ordered[k - 1], ordered[count - k]
