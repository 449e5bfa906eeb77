"""Whether counting replaces measuring: how well multiply-adds and parameters rank networks by latency.

Over a whole space nearly everything that grows ranks well. A search compares networks of about one budget, so what
counts is the order within windows of equal multiply-adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nasfit.errors import UsageError
from nasfit.latency.ranking_correlations import kendall, spearman

LEAST_NETWORKS = 10
# Budgets looked at: windows around these quantiles of the multiply-adds.
_BUDGETS = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Agreement:
    """Rank correlations with latency, -1 to 1; nan where all values are equal."""

    spearman: float
    kendall: float

    @classmethod
    def of(cls, proxy: np.ndarray, latency_ms: np.ndarray) -> Agreement:
        """Of one array with the other."""
        return cls(spearman(proxy, latency_ms), kendall(proxy, latency_ms))


@dataclass(frozen=True)
class Budget:
    """Networks of about equal multiply-adds: from low_madds to high_madds, `networks` of them."""

    low_madds: float
    high_madds: float
    networks: int
    madds: Agreement
    parameters: Agreement


@dataclass(frozen=True)
class Ranking:
    """Multiply-adds and parameters as stand-ins for latency.

    madds, parameters: over all networks. budgets: within windows of multiply-adds, smallest first; those with too few
    networks are left out. largest_ratio: of two latencies whose networks' multiply-adds differ by no more than
    `near`; extremes: the places of the faster and the slower of these two. *_N: the data, in the order given.
    """

    madds: Agreement
    parameters: Agreement
    budgets: tuple[Budget, ...]
    window: float
    near: float
    largest_ratio: float
    extremes: tuple[int, int]
    madds_N: tuple[float, ...]
    parameters_N: tuple[float, ...]
    latency_ms_N: tuple[float, ...]

    @property
    def at_equal_budget(self) -> Agreement:
        """Median over the budgets of how multiply-adds rank; nan where there is no budget."""
        if not self.budgets:
            return Agreement(float("nan"), float("nan"))
        of_madds = [budget.madds for budget in self.budgets]
        return Agreement(
            float(np.median([a.spearman for a in of_madds])), float(np.median([a.kendall for a in of_madds]))
        )

    def __str__(self) -> str:
        equal = self.at_equal_budget
        return (
            f"MAdds rank latency with Spearman {self.madds.spearman:.3f} over all {len(self.madds_N)} networks, "
            f"{equal.spearman:.2f} at equal budget (+-{self.window:.0%}); parameters {self.parameters.spearman:.2f}; "
            f"networks within {self.near:.0%} of MAdds differ up to {self.largest_ratio:.2f} times in latency"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without the data."""
        values = asdict(self)
        for what in ("madds_N", "parameters_N", "latency_ms_N"):
            del values[what]
        return {**values, "at_equal_budget": asdict(self.at_equal_budget), "networks": len(self.madds_N)}


def rank_by_counts(
    madds: Sequence[float] | np.ndarray,
    parameters: Sequence[float] | np.ndarray,
    latency_ms: Sequence[float] | np.ndarray,
    *,
    window: float = 0.12,
    near: float = 0.05,
    least: int = LEAST_NETWORKS,
) -> Ranking:
    """How well the counts rank measured latencies; all three (N,), above 0, N at least `least`.

    window: a budget reaches from (1 - window) to (1 + window) times its middle. near: for the largest ratio. least:
    networks that a budget must have. Raises UsageError naming what is not usable.
    """
    arrays = {"madds": madds, "parameters": parameters, "latency_ms": latency_ms}
    data = {what: np.asarray(values, dtype=float) for what, values in arrays.items()}
    number = len(data["latency_ms"])
    if number < max(least, 3):
        raise UsageError(f"got {number} networks; a ranking needs {max(least, 3)}")
    for what, values in data.items():
        if values.shape != (number,) or not np.all(np.isfinite(values)) or np.any(values <= 0):
            raise UsageError(f"{what} must be {number} numbers above 0; got shape {values.shape}, NaN or smaller ones")
    for what, share in (("window", window), ("near", near)):
        if not 0 < share < 1:
            raise UsageError(f"{what} is {share!r}; it must lie between 0 and 1")
    madds_N, parameters_N, latency_N = data.values()
    ratio, extremes = _largest_ratio(madds_N, latency_N, near)
    middles = np.quantile(madds_N, _BUDGETS)
    budgets = [_budget(middle, window, madds_N, parameters_N, latency_N) for middle in middles]
    return Ranking(
        madds=Agreement.of(madds_N, latency_N),
        parameters=Agreement.of(parameters_N, latency_N),
        budgets=tuple(budget for budget in budgets if budget.networks >= least),
        window=window,
        near=near,
        largest_ratio=ratio,
        extremes=extremes,
        madds_N=tuple(madds_N.tolist()),
        parameters_N=tuple(parameters_N.tolist()),
        latency_ms_N=tuple(latency_N.tolist()),
    )


def _budget(
    middle: float, window: float, madds_N: np.ndarray, parameters_N: np.ndarray, latency_N: np.ndarray
) -> Budget:
    low, high = (1 - window) * middle, (1 + window) * middle
    inside = (low <= madds_N) & (madds_N <= high)
    return Budget(
        low_madds=float(low),
        high_madds=float(high),
        networks=int(inside.sum()),
        madds=Agreement.of(madds_N[inside], latency_N[inside]),
        parameters=Agreement.of(parameters_N[inside], latency_N[inside]),
    )


def _largest_ratio(madds_N: np.ndarray, latency_N: np.ndarray, near: float) -> tuple[float, tuple[int, int]]:
    """Over all pairs whose larger count is at most (1 + near) times the smaller one."""
    best, pair = 1.0, (0, 0)
    for place in range(len(madds_N)):
        close = np.flatnonzero((madds_N[place] <= madds_N) & (madds_N <= (1 + near) * madds_N[place]))
        for other in (close[np.argmin(latency_N[close])], close[np.argmax(latency_N[close])]):
            faster, slower = sorted((place, int(other)), key=lambda at: latency_N[at])
            if (ratio := float(latency_N[slower] / latency_N[faster])) > best:
                best, pair = ratio, (faster, slower)
    return best, pair
