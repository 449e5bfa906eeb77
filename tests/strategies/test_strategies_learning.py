from __future__ import annotations

import random

import pytest

from nasfit.strategies import Outcome, make_strategy

# The decisions of the published space: five searched blocks of op, kernel, SE ratio, skip, filters, layers.
COUNTS = (4, 2, 2, 3, 3, 3) * 5
SAMPLES = 500


def planted(seed):
    """Worths of every option, 0 at worst: a reward additive over decisions, 1 at the best of 7e12 points."""
    generator = random.Random(seed)
    worths = [[generator.random() for _ in range(options)] for options in COUNTS]
    worths = [[worth - min(row) for worth in row] for row in worths]
    most = sum(max(row) for row in worths)
    return [[worth / most for worth in row] for row in worths]


def best_found(name, seed):
    worths, strategy, best = planted(seed), make_strategy(name, COUNTS, seed=seed), 0.0
    for _ in range(SAMPLES // 10):
        points = strategy.ask(10)
        rewards = [sum(row[token] for row, token in zip(worths, point, strict=True)) for point in points]
        best = max(best, *rewards)
        strategy.tell([Outcome(p, r, None, None, "complete") for p, r in zip(points, rewards, strict=True)])
    return best


@pytest.mark.parametrize("name", ["ppo", "evolution"])
def test_learners_come_within_1_percent_of_the_optimum_in_500_samples(name):
    assert best_found(name, seed=0) > 0.99


def test_random_search_does_not():
    assert best_found("random", seed=0) < 0.85
