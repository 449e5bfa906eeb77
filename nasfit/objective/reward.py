"""Rewards that weigh accuracy against latency; one equation, one function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasfit.errors import UnknownNameError, UsageError
from nasfit.objective.pareto import pareto_front

if TYPE_CHECKING:
    import numpy as np

REWARDS = ("soft", "hard", "abs")


def soft_reward(accuracy: float, latency_ms: float, target_ms: float, alpha: float, beta: float) -> float:
    """ACC * (LAT / T)^w with w = alpha up to T and beta above it (Tan et al. 2019, equations 2 and 3)."""
    exponent = alpha if latency_ms <= target_ms else beta
    return float(accuracy * (latency_ms / target_ms) ** exponent)


def abs_reward(accuracy: float, latency_ms: float, target_ms: float, beta: float) -> float:
    """ACC + beta * |LAT / T - 1|, beta below 0 (Bender et al. 2020, TuNAS, equation 1); its optimum lies at T."""
    return accuracy + beta * abs(latency_ms / target_ms - 1)


@dataclass(frozen=True)
class Reward:
    """A reward with its settings; call it with accuracy (0..1) and latency (ms).

    kind: `soft` (alpha = beta = -0.07), `hard` (alpha = 0, beta = -1: the limit binds) or `abs` (beta = -0.10).
    target_ms: T, above 0. alpha, beta: 0 or below, replace the published ones; None keeps them. `abs` has no alpha.
    Raises UsageError.
    """

    kind: str
    target_ms: float
    alpha: float | None = None
    beta: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in REWARDS:
            raise UnknownNameError("reward", self.kind, REWARDS)
        if not (math.isfinite(self.target_ms) and self.target_ms > 0):
            raise UsageError(f"target latency is {self.target_ms!r}; it must be a number of ms above 0, such as 5")
        for what, value in (("alpha", self.alpha), ("beta", self.beta)):
            if value is not None and not (math.isfinite(value) and value <= 0):
                raise UsageError(f"{what} is {value!r}; above 0 rewards slow networks; give 0 or less, such as -0.07")
        if self.kind == "abs" and self.alpha is not None:
            raise UsageError(f"alpha is {self.alpha!r}, but the 'abs' reward has no alpha; set beta instead")

    def __call__(self, accuracy: float, latency_ms: float) -> float:
        """Reward of one model; higher is better."""
        alpha, beta = self._exponents
        if self.kind == "abs":
            return abs_reward(accuracy, latency_ms, self.target_ms, beta)
        return soft_reward(accuracy, latency_ms, self.target_ms, alpha, beta)

    def of(self, accuracy: np.ndarray, latency_ms: np.ndarray) -> np.ndarray:
        """Rewards of many models at once; the arrays broadcast."""
        import numpy as np  # here: importing the package stays light

        (alpha, beta), ratio = self._exponents, np.asarray(latency_ms) / self.target_ms
        if self.kind == "abs":
            return np.asarray(accuracy + beta * np.abs(ratio - 1))
        return np.asarray(accuracy * ratio ** np.where(ratio <= 1, alpha, beta))

    @property
    def _exponents(self) -> tuple[float, float]:
        """Alpha and beta, the published ones where none are given."""
        alpha, beta = {"soft": (-0.07, -0.07), "hard": (0.0, -1.0), "abs": (0.0, -0.10)}[self.kind]
        return alpha if self.alpha is None else self.alpha, beta if self.beta is None else self.beta


def calibrated_exponent(pairs: Sequence[tuple[float, float]]) -> float:
    """The exponent w that makes the observed accuracy-latency trade-off even, for `Reward(alpha=w, beta=w)`.

    The least-squares slope of log accuracy over log latency on the Pareto front of `pairs` (accuracy 0..1, ms), with
    its sign turned: along such a front ACC * LAT^w stays constant, so the target and not the exponent decides. The
    published -0.07 comes from the same thought (twice the latency for 5 % relative accuracy); Howard et al. 2019
    (MobileNetV3) needed -0.15 for small models. Points of accuracy 0 have no logarithm and are left out.
    Raises UsageError with fewer than three points on the front.
    """
    front = [pairs[index] for index in pareto_front(pairs) if pairs[index][0] > 0]
    if len(front) < 3:
        raise UsageError(f"calibration needs 3 points on the front, got {len(front)}; run more trials first")
    x = [math.log(latency) for _, latency in front]
    y = [math.log(accuracy) for accuracy, _ in front]
    x_mean, y_mean = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True)) / sum((a - x_mean) ** 2 for a in x)
    return -slope
