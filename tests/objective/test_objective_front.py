"""The front as a goal, against a sum over a fine grid of limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nasfit.errors import UsageError
from nasfit.objective import Front, hypervolume

LOW_MS, HIGH_MS, FLOOR = 2.0, 10.0, 0.3
FRONT = Front(LOW_MS, HIGH_MS)


def area_by_grid(accuracy_N: np.ndarray, latency_N: np.ndarray, steps: int = 4000) -> float:
    """The mean over limits of the best accuracy that meets each, above the floor, times the range."""
    limits = LOW_MS + (np.arange(steps) + 0.5) / steps * (HIGH_MS - LOW_MS)
    meets = latency_N[None] <= limits[:, None]
    best = np.where(meets, accuracy_N[None], FLOOR).max(axis=1, initial=FLOOR)
    return float((best - FLOOR).mean() * (HIGH_MS - LOW_MS))


def points(generator: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Points within the range and on every side of it; few steps make ties common."""
    return generator.integers(0, 11, number) / 10, generator.integers(1, 14, number).astype(float)


@pytest.mark.parametrize("number", [0, 1, 2, 5, 20])
def test_the_area_is_that_under_the_best_accuracy(number: int) -> None:
    for seed in range(20):
        accuracy_N, latency_N = points(np.random.default_rng(seed), number)
        area = FRONT.area(accuracy_N, latency_N, FLOOR)
        assert area == pytest.approx(area_by_grid(accuracy_N, latency_N), abs=1e-9)


def test_the_area_is_the_hypervolume_of_points_inside() -> None:
    generator = np.random.default_rng(0)
    accuracy_N, latency_N = generator.random(30), generator.uniform(LOW_MS, 12, 30)
    pairs = list(zip(accuracy_N.tolist(), latency_N.tolist(), strict=True))
    expected = hypervolume(pairs, accuracy=FLOOR, latency_ms=HIGH_MS)
    assert FRONT.area(accuracy_N, latency_N, FLOOR) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("number", [0, 1, 4, 15])
def test_a_gain_is_how_much_the_area_grows(number: int) -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        seen_N, seen_ms_N = points(generator, number)
        accuracy, latency = points(generator, 12)
        gains = FRONT.gains(accuracy, latency, seen_N, seen_ms_N, FLOOR)
        before = FRONT.area(seen_N, seen_ms_N, FLOOR)
        for gain, a, ms in zip(gains, accuracy, latency, strict=True):
            after = FRONT.area(np.append(seen_N, a), np.append(seen_ms_N, ms), FLOOR)
            assert gain == pytest.approx(after - before, abs=1e-12)


def test_gains_broadcast() -> None:
    accuracy_N, latency_N = np.array([0.5, 0.7]), np.array([3.0, 6.0])
    accuracy, latency = np.linspace(0, 1, 5)[:, None], np.linspace(1, 11, 7)
    gains = FRONT.gains(accuracy, latency, accuracy_N, latency_N, FLOOR)
    assert gains.shape == (5, 7)
    alone = FRONT.gains(accuracy[4, 0], latency[2], accuracy_N, latency_N, FLOOR)
    assert alone.shape == () and gains[4, 2] == alone > 0


def test_values_by_hand() -> None:
    # 0.5 from 4 ms on, 0.8 from 8 ms on, above a floor of 0.3: 6 x 0.2 and 2 x 0.3 more.
    seen = np.array([0.5, 0.8]), np.array([4.0, 8.0])
    assert FRONT.area(*seen, FLOOR) == pytest.approx(1.8)
    # 0.6 from 6 ms on: 2 x 0.1, and no more at 8 ms; anything at 10 ms: nothing.
    assert FRONT.gains(np.array([0.6, 1.0]), np.array([6.0, 10.0]), *seen, FLOOR) == pytest.approx([0.2, 0.0])


@pytest.mark.parametrize(("low_ms", "high_ms"), [(0, 5), (-1, 5), (5, 5), (6, 5), (1, math.inf), (math.nan, 5)])
def test_limits_in_the_wrong_order_are_refused(low_ms: float, high_ms: float) -> None:
    with pytest.raises(UsageError, match="lower one first"):
        Front(low_ms, high_ms)
