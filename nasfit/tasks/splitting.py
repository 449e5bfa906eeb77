"""Stratified carving: a share of every class, never less than one picture of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nasfit.tasks.dataset import Labels

Rows = NDArray[np.int64]

SHARE = 0.15
CAP = 10_000


def carve(labels_N: Labels, classes: int, share: float, cap: int = CAP) -> tuple[Rows, Rows]:
    """Divide rows into (kept, carved), both ascending; carved is `share` of them (0..1) and at most `cap`.

    Each class gives in proportion to its size (largest remainders), but at least one row and never its last, so the
    cap is exceeded only if there are more classes than `cap`. The first rows of a class are taken: shuffle before.
    A class with fewer than two rows gives none.
    """
    sizes = np.bincount(labels_N, minlength=classes)
    counts = np.minimum(np.maximum(_quotas(sizes, min(cap, round(share * len(labels_N)))), 1), sizes - 1)
    is_carved = np.zeros(len(labels_N), dtype=bool)
    for label in np.flatnonzero(counts > 0):
        is_carved[np.flatnonzero(labels_N == label)[: counts[label]]] = True
    return np.flatnonzero(~is_carved), np.flatnonzero(is_carved)


def _quotas(sizes: Rows, total: int) -> Rows:
    exact = sizes * (total / max(int(sizes.sum()), 1))
    floors: Rows = np.floor(exact).astype(np.int64)
    # Stable sort: of equal remainders the first class is served first, so the result depends on the sizes alone.
    served = np.argsort(-(exact - floors), kind="stable")[: max(total - int(floors.sum()), 0)]
    floors[served] += 1
    return floors
