"""Evolution inside a model: many functions at once, each with a population of its own, microseconds a point.

S = functions, P = points alive in each population, C = children, D = decisions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ALIVE, CHILDREN, GENERATIONS = 60, 120, 10


def bred(
    score: Callable[[np.ndarray], np.ndarray],
    start_PD: np.ndarray,
    functions: int,
    option_counts: np.ndarray,
    generator: np.random.Generator,
    *,
    kept: int,
) -> np.ndarray:
    """Points (functions * kept, D) of high score, the best of each population first, repeats among them.

    score: points (S, M, D) -> (S, M), higher is better. start_PD: at least one point, which all populations start from.
    """
    points_SPD = np.repeat(start_PD[None], functions, axis=0)
    score_SP = score(points_SPD)
    mark_D = generator.integers(1, 2**62, size=len(option_counts))
    points_SPD, score_SP = _best(points_SPD, score_SP, mark_D)
    for _ in range(GENERATIONS):
        children_SCD = _children(points_SPD, option_counts, generator)
        points_SPD = np.concatenate([points_SPD, children_SCD], axis=1)
        score_SP = np.concatenate([score_SP, score(children_SCD)], axis=1)
        points_SPD, score_SP = _best(points_SPD, score_SP, mark_D)
    return points_SPD[:, :kept].transpose(1, 0, 2).reshape(-1, len(option_counts))


def _children(points_SPD: np.ndarray, option_counts: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Half are crossed from two parents, all are mutated in one decision or some; better parents have more."""
    functions, alive, decisions = points_SPD.shape
    shape = (functions, CHILDREN)
    places = np.arange(functions)[:, None]
    first, second = (points_SPD[places, (generator.random(shape) ** 2 * alive).astype(np.int64)] for _ in range(2))
    of_second = (generator.random((*shape, decisions)) < 0.5) & (generator.random(shape) < 0.5)[..., None]
    children = np.where(of_second, second, first)
    changed = generator.random(children.shape) < 1 / decisions
    changed[places, np.arange(CHILDREN), generator.integers(decisions, size=shape)] = True
    return np.where(changed, generator.integers(option_counts, size=children.shape), children)


def _best(points_SPD: np.ndarray, score_SP: np.ndarray, mark_D: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best of each population, every point once while there are enough."""
    order = np.argsort(-score_SP, axis=1, kind="stable")
    marks = np.take_along_axis(points_SPD @ mark_D, order, axis=1)
    repeated = np.zeros(marks.shape, dtype=bool)
    for row, marked in enumerate(marks):
        _, first = np.unique(marked, return_index=True)
        repeated[row] = True
        repeated[row, first] = False
    order = np.take_along_axis(order, np.argsort(repeated, axis=1, kind="stable"), axis=1)[:, :ALIVE]
    return np.take_along_axis(points_SPD, order[..., None], axis=1), np.take_along_axis(score_SP, order, axis=1)
