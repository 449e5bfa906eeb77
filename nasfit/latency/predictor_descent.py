"""A smooth function of a few dozen numbers made small: limited-memory BFGS (Nocedal and Wright 2006, algorithm 7.4)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]

MEMORY = 10
LONGEST_STEP = 2.0  # in any one number: they are logarithms, and e^2 at once is far
SUFFICIENT = 1e-4  # share of the promised decrease that a step must bring (Armijo)
SHRINK = 0.4
LEAST_STEP = 1e-4


def minimised(function: Function, start: np.ndarray, *, steps: int, tolerance: float) -> np.ndarray:
    """The best point after at most `steps` steps, or once a step brings less than `tolerance`.

    function: point -> value and gradient; an infinite value marks a point that may not be entered. Deterministic.
    """
    point = start
    value, gradient = function(point)
    moves: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(steps):
        direction = _direction(gradient, moves)
        step = _step(function, point, value, gradient, direction)
        if step is None:
            break
        moved, new_value, new_gradient = step
        turned = new_gradient - gradient
        if moved @ turned > 1e-10:
            moves = [*moves, (moved, turned)][-MEMORY:]
        gained = value - new_value
        point, value, gradient = point + moved, new_value, new_gradient
        if gained < tolerance:
            break
    return point


def _direction(gradient: np.ndarray, moves: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    direction, weights = gradient.copy(), []
    for moved, turned in reversed(moves):
        weight = (moved @ direction) / (moved @ turned)
        direction -= weight * turned
        weights.append(weight)
    if moves:
        moved, turned = moves[-1]
        direction *= (moved @ turned) / (turned @ turned)
    else:
        direction /= max(1.0, float(np.abs(gradient).max()))
    for (moved, turned), weight in zip(moves, reversed(weights), strict=True):
        direction += moved * (weight - (turned @ direction) / (moved @ turned))
    return -direction * min(1.0, LONGEST_STEP / max(float(np.abs(direction).max()), 1e-12))


def _step(
    function: Function, point: np.ndarray, value: float, gradient: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray] | None:
    length, slope = 1.0, float(gradient @ direction)
    while length >= LEAST_STEP:
        new_value, new_gradient = function(point + length * direction)
        if math.isfinite(new_value) and new_value <= value + SUFFICIENT * length * slope:
            return length * direction, new_value, new_gradient
        length *= SHRINK
    return None
