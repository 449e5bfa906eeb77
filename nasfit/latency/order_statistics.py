"""Quantiles, and an interval of a quantile that assumes nothing about the distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """Linear between neighbours (Hyndman and Fan 1996, type 7). share: 0 to 1."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    return quantile(values, 0.25), quantile(values, 0.5), quantile(values, 0.75)


def quantile_interval(values: Sequence[float], share: float, confidence: float = 0.95) -> tuple[float, float]:
    """Interval that holds this quantile with at least this confidence, from order statistics.

    The l-th and u-th smallest of n values hold it between them with probability P(l <= Binomial(n, share) < u) (David
    and Nagaraja 2003, section 7.1). The pair grows from the quantile's own place to the likelier side. Too few values
    for the confidence give their whole range; 11 are enough for a quartile at 95 %.
    """
    ordered = sorted(values)
    count = len(ordered)
    chance = [math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(count + 1)]
    low = high = min(max(round(share * count), 1), count)
    held = 0.0
    while held < confidence and (low > 1 or high < count):
        if high == count or (low > 1 and chance[low - 1] >= chance[high]):
            low -= 1
            held += chance[low]
        else:
            held += chance[high]
            high += 1
    return ordered[low - 1], ordered[high - 1]
