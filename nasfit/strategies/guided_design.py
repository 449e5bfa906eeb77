"""The first proposals: points spread evenly over all options, near the latencies that matter once these are known.

N = points known, M = candidates, D = decisions.
"""

from __future__ import annotations

import numpy as np

from nasfit.strategies.breeding import bred
from nasfit.strategies.guided_models import Conditioned

# Random points that a design is picked from, for each point of it.
CHOICE = 30
# Populations bred towards latencies that are wanted, and what is kept of each.
POPULATIONS, KEPT = 8, 40
# A design stays this share within its bounds, as far as a model can say; what breaks one is far from what is wanted.
MARGIN, PENALTY = 0.05, 10.0


def anywhere(number: int, option_counts: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Points (M, D), uniform over the space."""
    return generator.integers(option_counts, size=(number, len(option_counts)))


def balanced(candidates_MD: np.ndarray, before_ND: np.ndarray, number: int) -> np.ndarray:
    """The candidates (number, D) that use every option about equally often, those before counted; the best first."""
    most = int(candidates_MD.max()) + 1
    counts_DK = np.stack([np.bincount(column[column < most], minlength=most) for column in before_ND.T])
    places, open_M = np.arange(candidates_MD.shape[1]), np.ones(len(candidates_MD), dtype=bool)
    taken: list[int] = []
    for _ in range(min(number, len(candidates_MD))):
        rarity_M = (1 / (1 + counts_DK[places, candidates_MD])).sum(axis=1)
        taken.append(int(np.argmax(np.where(open_M, rarity_M, -1.0))))
        open_M[taken[-1]] = False
        counts_DK[places, candidates_MD[taken[-1]]] += 1
    return candidates_MD[taken]


def near(
    latency: Conditioned | None,
    wanted_ms: np.ndarray,
    excess: Conditioned | None,
    start_PD: np.ndarray,
    option_counts: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Points (M, D), repeats among them, that models put near wanted latencies and within bounds.

    A population for each of `POPULATIONS` latencies, ms; without a model of latency or of the excess, without regard
    to it.
    """
    latency_of = latency and latency.surfaces(POPULATIONS, 0, generator)
    excess_of = excess and excess.surfaces(POPULATIONS, 0, generator)

    def score(points_SMD: np.ndarray) -> np.ndarray:
        score_SM = np.zeros(points_SMD.shape[:2])
        if latency_of:
            latency_SM = np.maximum(latency_of(points_SMD), 0.1 * wanted_ms.min())
            score_SM = score_SM - np.abs(np.log(latency_SM / wanted_ms[:, None]))
        if excess_of:
            score_SM = score_SM - PENALTY * np.maximum(excess_of(points_SMD) + MARGIN, 0.0)
        return score_SM

    return bred(score, start_PD, POPULATIONS, option_counts, generator, kept=KEPT)
