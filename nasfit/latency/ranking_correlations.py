"""How alike two orders are: Kendall's tau-b and Spearman's rho, both with ties."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def kendall(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Tau-b (Kendall 1945), -1 to 1; nan where one of the two does not vary. Takes time with the square of N."""
    a_N, b_N = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    agreeing, a_differs, b_differs = 0.0, 0.0, 0.0
    for place in range(len(a_N) - 1):
        # Signs of the differences to all later values; a row at a time keeps the memory small.
        of_a = np.sign(a_N[place + 1 :] - a_N[place])
        of_b = np.sign(b_N[place + 1 :] - b_N[place])
        agreeing += float(of_a @ of_b)
        a_differs += float(np.count_nonzero(of_a))
        b_differs += float(np.count_nonzero(of_b))
    return agreeing / float(np.sqrt(a_differs * b_differs)) if a_differs and b_differs else float("nan")


def spearman(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Correlation of the ranks, ties sharing their mean rank, -1 to 1; nan where one of the two does not vary."""
    if len(a) < 2:
        return float("nan")
    of_a, of_b = _ranks(np.asarray(a, dtype=float)), _ranks(np.asarray(b, dtype=float))
    of_a, of_b = of_a - of_a.mean(), of_b - of_b.mean()
    size = float(np.sqrt((of_a @ of_a) * (of_b @ of_b)))
    return float(of_a @ of_b) / size if size else float("nan")


def _ranks(values_N: np.ndarray) -> np.ndarray:
    _, group_N, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_ranks: np.ndarray = (last - (counts - 1) / 2)[group_N]
    return mean_ranks
