"""Designed samples: balance, spread, seeds."""

from __future__ import annotations

import numpy as np
import pytest

from nasfit.architecture import count
from nasfit.errors import UsageError
from nasfit.latency.sampling import Tokens, designed_sample
from nasfit.space import named_space

COUNTS = (4, 2, 3, 3, 4, 2)


def cost(tokens: Tokens) -> float:
    return 1.0 + sum((place + 1) * token for place, token in enumerate(tokens))


@pytest.mark.parametrize("number", [1, 7, 60])
def test_every_option_about_equally_often(number: int) -> None:
    points = designed_sample(COUNTS, number, cost=cost, seed=3)
    assert len(set(points)) == number
    for place, options in enumerate(COUNTS):
        seen = np.bincount([point[place] for point in points], minlength=options)
        assert len(seen) == options
        assert seen.max() - seen.min() <= 2


def test_costs_are_spread_over_their_range() -> None:
    space = named_space("mnasnet")

    def madds(tokens: Tokens) -> float:
        return float(count(space.decode(tokens)).madds)

    def slow_and_fast(points: list[Tokens]) -> float:
        low, high = np.quantile([madds(point) for point in points], (0.1, 0.9))
        return float(high / low)

    plain, spread = (designed_sample(space.option_counts, 60, cost=c, seed=1) for c in (None, madds))
    assert slow_and_fast(spread) > 1.15 * slow_and_fast(plain)
    for place, options in enumerate(space.option_counts):
        seen = np.bincount([point[place] for point in spread], minlength=options)
        assert seen.max() - seen.min() <= 1, place


def test_seed_and_points_to_avoid() -> None:
    first = designed_sample(COUNTS, 50, cost=cost, seed=1)
    assert first == designed_sample(COUNTS, 50, cost=cost, seed=1)
    assert first != designed_sample(COUNTS, 50, cost=cost, seed=2)
    assert not set(first) & set(designed_sample(COUNTS, 50, cost=cost, seed=1, avoid=first))


def test_bad_samples_are_refused() -> None:
    with pytest.raises(UsageError, match="room for 1 to 3"):
        designed_sample((2, 3), 5)
    with pytest.raises(UsageError, match="option counts"):
        designed_sample((2, 0), 1)
    with pytest.raises(UsageError, match="above 0"):
        designed_sample(COUNTS, 10, cost=lambda tokens: 0.0)
