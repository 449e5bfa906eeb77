"""The front against brute force, the hypervolume by hand and against a grid."""

from __future__ import annotations

import random

import pytest

from nasfit.objective import hypervolume, pareto_front

Point = tuple[float, float]


def dominates(one: Point, other: Point) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other


def brute_force(points: list[Point]) -> list[int]:
    kept = [
        index
        for index, point in enumerate(points)
        if not any(dominates(other, point) for other in points) and point not in points[:index]
    ]
    return sorted(kept, key=lambda index: points[index][1])


@pytest.mark.parametrize("steps", [3, 6, 1000])
def test_the_front_agrees_with_brute_force(steps):
    # Few steps make ties in one value, and equal points, common.
    draw = random.Random(steps)
    for _ in range(200):
        points = [(draw.randrange(steps) / steps, draw.randrange(steps) + 1.0) for _ in range(draw.randrange(25))]
        assert pareto_front(points) == brute_force(points)


def test_the_front_by_hand():
    points = [(0.7, 10.0), (0.8, 12.0), (0.7, 10.0), (0.6, 11.0), (0.5, 5.0), (0.8, 13.0), (0.5, 6.0)]
    assert pareto_front(points) == [4, 0, 1]
    assert pareto_front([]) == []
    assert pareto_front([(0.1, 1.0)]) == [0]


def test_hypervolume_by_hand():
    reference = {"accuracy": 0.5, "latency_ms": 20.0}
    assert hypervolume([], **reference) == 0
    assert hypervolume([(0.7, 10.0)], **reference) == pytest.approx(0.2 * 10)
    assert hypervolume([(0.7, 10.0), (0.9, 15.0)], **reference) == pytest.approx(0.2 * 10 + 0.2 * 5)
    # Dominated, equal, and no better than the reference in one value: nothing added.
    more = [(0.7, 10.0), (0.9, 15.0), (0.6, 11.0), (0.7, 10.0), (0.5, 1.0), (0.99, 20.0), (0.3, 2.0), (0.95, 30.0)]
    assert hypervolume(more, **reference) == pytest.approx(3.0)


def test_hypervolume_agrees_with_counting_cells():
    draw = random.Random(2)
    for _ in range(50):
        points = [(draw.randint(-2, 12) / 10, float(draw.randint(-2, 12))) for _ in range(draw.randrange(12))]
        cells = sum(
            any(accuracy * 10 >= right - 1e-9 and latency_ms <= left for accuracy, latency_ms in points)
            for right in range(1, 21)
            for left in range(-10, 10)
        )
        assert hypervolume(points, accuracy=0.0, latency_ms=10.0) == pytest.approx(cells * 0.1)


def test_hypervolume_never_shrinks_with_more_points():
    draw = random.Random(3)
    points: list[Point] = []
    before = 0.0
    for _ in range(100):
        points.append((draw.random(), draw.uniform(1, 50)))
        area = hypervolume(points, accuracy=0.1, latency_ms=40.0)
        assert area >= before - 1e-12
        before = area
    assert before > 0
