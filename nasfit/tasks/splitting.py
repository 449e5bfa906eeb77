"""Which pictures are for training, for the reward and for the test: stratified, by seed, and the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nasfit.errors import UsageError
from nasfit.tasks.pixels import Labels, Rows

SHARE = 0.15
CAP = 10_000
# From so many training pictures on a set is treated as ImageNet is; of those the paper holds out 50,000.
LARGE, LARGE_CAP = 1_000_000, 50_000


def divided(
    orders: Mapping[str, Rows], labels: Mapping[str, Labels], classes: int, share: float, pictures: int | None
) -> dict[str, Rows]:
    """The rows of the three splits, each drawn from the shuffled rows `orders` of a given part.

    `orders` has "train", and "validation" and "test" where they are given; `labels` those of all rows of a part. The
    first `pictures` of train are kept, of each class as many as of any other while there are enough (None: all). Then
    what is not given is carved from train: the test set 15 %, validation `share` (0..1); each at most 10,000 pictures,
    of 1,000,000 or more at most 50,000. Raises UsageError where `pictures` are too few for the classes.
    """
    rows = dict(orders)
    if pictures is not None:
        parts = 3 - len({"validation", "test"} & set(orders))
        if pictures < parts * classes:
            raise UsageError(
                f"{pictures} training pictures are too few for {classes} classes; ask for {parts * classes} or more"
            )
        rows["train"] = rows["train"][balanced(labels["train"][rows["train"]], classes, pictures)]
    for part, wanted in (("test", SHARE), ("validation", share)):
        if part not in rows:
            cap = LARGE_CAP if len(rows["train"]) >= LARGE else CAP
            kept, carved = carve(labels["train"][rows["train"]], classes, wanted, cap)
            rows["train"], rows[part] = rows["train"][kept], rows["train"][carved]
    return {part: rows[part] for part in ("train", "validation", "test")}


def carve(labels_N: Labels, classes: int, share: float, cap: int = CAP) -> tuple[Rows, Rows]:
    """Divide rows into (kept, carved), both ascending; carved is `share` of them (0..1) and at most `cap`.

    Each class gives in proportion to its size (largest remainders), but at least one row and never its last, so the
    cap is exceeded only if there are more classes than `cap`. The first rows of a class are taken: shuffle before.
    A class with fewer than two rows gives none.
    """
    sizes = np.bincount(labels_N, minlength=classes)
    counts = np.minimum(np.maximum(_quotas(sizes, min(cap, round(share * len(labels_N)))), 1), sizes - 1)
    is_carved = _firsts(labels_N, counts)
    return np.flatnonzero(~is_carved), np.flatnonzero(is_carved)


def balanced(labels_N: Labels, classes: int, wanted: int) -> Rows:
    """Ascending rows, at most `wanted`, that have as many of each class as of any other while there are enough."""
    sizes = np.bincount(labels_N, minlength=classes)
    level = 0
    # The level that all classes are filled up to; what is left over goes to the first that have more.
    while level < sizes.max() and np.minimum(sizes, level + 1).sum() <= wanted:
        level += 1
    counts = np.minimum(sizes, level)
    counts[np.flatnonzero(sizes > level)[: wanted - int(counts.sum())]] += 1
    return np.flatnonzero(_firsts(labels_N, counts))


def _firsts(labels_N: Labels, counts: Rows) -> NDArray[np.bool_]:
    """Whether a row is among the first `counts` of its class."""
    order = np.argsort(labels_N, kind="stable")
    starts = np.cumsum(np.bincount(labels_N, minlength=len(counts))) - np.bincount(labels_N, minlength=len(counts))
    ranks = np.empty(len(labels_N), np.int64)
    ranks[order] = np.arange(len(labels_N)) - starts[labels_N[order]]
    return np.asarray(ranks < counts[labels_N])


def _quotas(sizes: Rows, total: int) -> Rows:
    exact = sizes * (total / max(int(sizes.sum()), 1))
    floors: Rows = np.floor(exact).astype(np.int64)
    # Stable sort: of equal remainders the first class is served first, so the result depends on the sizes alone.
    served = np.argsort(-(exact - floors), kind="stable")[: max(total - int(floors.sum()), 0)]
    floors[served] += 1
    return floors
