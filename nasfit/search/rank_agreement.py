"""How alike two orders of the same networks are, and how far so few networks leave that open.

N = networks, R = resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b, -1 to 1, and its interval, over so many networks."""

    tau: float
    low: float
    high: float
    networks: int

    def __str__(self) -> str:
        return f"{self.tau:.2f} (90 %: {self.low:.2f} to {self.high:.2f}, {self.networks} networks)"


def agreement(a: Sequence[float], b: Sequence[float], *, outside: float = 0.1) -> Agreement | None:
    """Kendall's tau-b of two orders with a bootstrap interval; None where one of the two does not vary.

    a, b: (N,) finite values of the same networks. outside: probability left outside the interval, half on each side;
    networks are drawn again with replacement, by a fixed seed.
    """
    return mean_agreement([a], b, outside=outside)


def mean_agreement(each_SN: Sequence[Sequence[float]], b: Sequence[float], *, outside: float = 0.1) -> Agreement | None:
    """The mean over S orders of their tau with one other order, networks drawn alike for all; see `agreement`."""
    number = len(b)
    draws = np.random.default_rng(0).integers(0, number, (RESAMPLES, number)) if number else np.empty((0, 0), int)
    # Row 0: the networks themselves.
    times_RN = np.stack([np.bincount(row, minlength=number) for row in (np.arange(number), *draws)]).astype(float)
    taus_R = np.mean([_taus(np.asarray(a, float), np.asarray(b, float), times_RN) for a in each_SN], axis=0)
    known_R = taus_R[1:][np.isfinite(taus_R[1:])]
    if not np.isfinite(taus_R[0]) or not len(known_R):
        return None
    low, high = np.quantile(known_R, (outside / 2, 1 - outside / 2))
    return Agreement(float(taus_R[0]), float(low), float(high), number)


def _taus(a_N: np.ndarray, b_N: np.ndarray, times_RN: np.ndarray) -> np.ndarray:
    """Tau-b (R,) where network n comes times_RN times; nan where an order does not vary."""
    a_NN, b_NN = (np.sign(values_N[:, None] - values_N) for values_N in (a_N, b_N))

    def total(pairs_NN: np.ndarray) -> np.ndarray:
        return np.asarray(((times_RN @ pairs_NN) * times_RN).sum(axis=1))

    with np.errstate(invalid="ignore"):
        return np.asarray(total(a_NN * b_NN) / np.sqrt(total(np.abs(a_NN)) * total(np.abs(b_NN))))
