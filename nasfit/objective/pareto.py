"""The accuracy-latency front and the area it dominates."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the (accuracy, latency) points that no other dominates, fastest first.

    A point dominates another if it is at least as accurate and at least as fast, and better in one of the two; of
    equal points the first is kept.
    """
    order = sorted(range(len(points)), key=lambda index: (points[index][1], -points[index][0], index))
    front: list[int] = []
    best = float("-inf")
    for index in order:
        if points[index][0] > best:
            front.append(index)
            best = points[index][0]
    return front


def hypervolume(points: Sequence[tuple[float, float]], *, accuracy: float, latency_ms: float) -> float:
    """Area (accuracy x ms) dominated by the points, against the reference point (`accuracy`, `latency_ms`).

    Points no better than the reference in either value add nothing. Print the reference beside every such figure.
    """
    inside = [point for point in points if point[0] > accuracy and point[1] < latency_ms]
    area, floor = 0.0, accuracy
    for index in pareto_front(inside):
        reached, latency = inside[index]
        area += (reached - floor) * (latency_ms - latency)
        floor = reached
    return area
