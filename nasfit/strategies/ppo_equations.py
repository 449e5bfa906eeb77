"""The equations of PPO, one function each; B = architectures in an update, T = decisions.

Notation: r = ratio of new to old probability, A = advantage, R = reward, b = baseline, eps = clip range.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def clipped_surrogate(ratio: torch.Tensor, advantage: torch.Tensor, clip: float) -> torch.Tensor:
    """min(r A, clip(r, 1 - eps, 1 + eps) A), to be maximised (Schulman et al. 2017, equation 7), elementwise."""
    return (ratio * advantage).minimum(ratio.clamp(1 - clip, 1 + clip) * advantage)


def clip_fraction(ratio: torch.Tensor, clip: float) -> float:
    """Share of ratios outside 1 - eps to 1 + eps, 0..1."""
    return float(((ratio - 1).abs() > clip).float().mean())


def approximate_kl(log_ratio: torch.Tensor) -> float:
    """Estimate of KL(old || new), nats, from log r at points of the old policy: mean of r - 1 - log r, never below 0.

    Unbiased and of low variance (Schulman 2020, "Approximating KL Divergence", estimator k3).
    """
    return float((log_ratio.expm1() - log_ratio).mean())


def moving_average(baseline: float, rewards: Sequence[float], decay: float) -> float:
    """b <- decay b + (1 - decay) R over the rewards in order: the baseline of Zoph et al. 2018 (NASNet, A.1: 0.95)."""
    for reward in rewards:
        baseline = decay * baseline + (1 - decay) * reward
    return baseline


def advantages(rewards: Sequence[float], baseline: float) -> list[float]:
    """A = R - b, the whole architecture's reward for each of its decisions (Zoph & Le 2017, section 3.2)."""
    return [reward - baseline for reward in rewards]


def standardised(values: Sequence[float]) -> list[float]:
    """Values less their mean, over their standard deviation: free of the reward's scale; zeros where all are equal."""
    mean = sum(values) / len(values)
    deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
    # Rewards equal but for rounding carry no preference; scaled up, they would.
    if deviation <= 1e-9 * max(1.0, abs(mean)):
        return [0.0] * len(values)
    return [(value - mean) / deviation for value in values]


def normal_scores(values: Sequence[float]) -> list[float]:
    """The standard normal quantile at each value's rank, higher for higher values; equal ones share their mean rank.

    What ranks first counts as much whether it is better by a little or by far, so a reward that falls off a cliff, as
    past a hard limit, does not drown the small differences above it (rank-based fitness shaping, Wierstra et al. 2014,
    "Natural Evolution Strategies", section 3.1).
    """
    ordered, quantile = sorted(values), NormalDist().inv_cdf
    below = {value: bisect_left(ordered, value) for value in values}
    up_to = {value: bisect_right(ordered, value) for value in values}
    return [quantile((below[value] + up_to[value]) / (2 * len(values))) for value in values]
