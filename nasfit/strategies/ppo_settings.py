"""Settings of PPO, its two presets, and what it tells of an update."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from nasfit.errors import UsageError


@dataclass(frozen=True)
class PPOSettings:
    """Settings of the controller and of its updates.

    hidden: LSTM units. spread: initial weights are uniform within +- this. learning_rate: Adam's. entropy: weight of
    the entropy bonus (nats, mean over decisions). baseline_decay: of the moving average of rewards, 0..1. batch_size:
    outcomes an update, 2 or more. epochs: Adam steps an update, each on the whole batch. clip: range of the ratio,
    above 0. standardise: advantages less their mean, over their deviation. retries: tries for a point not seen before;
    try j also draws about j decisions anew, uniformly; 0 proposes whatever the policy says. Raises UsageError for a
    number out of range.
    """

    hidden: int
    spread: float
    learning_rate: float
    entropy: float
    baseline_decay: float
    batch_size: int
    epochs: int
    clip: float
    standardise: bool
    retries: int

    def __post_init__(self) -> None:
        least = {"hidden": 1, "batch_size": 2, "epochs": 1}
        for field in fields(self):
            value, low = getattr(self, field.name), least.get(field.name, 0)
            if not (math.isfinite(value) and value >= low):
                raise UsageError(f"PPO's {field.name} is {value}; give {low} or more")
        for what in ("learning_rate", "clip"):
            if getattr(self, what) == 0:
                raise UsageError(f"PPO's {what} is 0, and it would not learn; give more")
        if self.baseline_decay > 1:
            raise UsageError(f"PPO's baseline_decay is {self.baseline_decay}; give 0 to 1")


PAPER = PPOSettings(
    hidden=100,
    spread=0.1,
    learning_rate=3.5e-4,
    entropy=1e-5,
    baseline_decay=0.95,
    batch_size=20,
    epochs=4,
    clip=0.2,
    standardise=False,
    retries=0,
)
"""As published (Zoph et al. 2018, appendix A.1, to which Tan et al. 2019 refer). Where they are silent, clip is PPO's
own 0.2 and epochs are 4: with one epoch all ratios are 1 and PPO is plain REINFORCE."""

TUNED = PPOSettings(
    hidden=100,
    spread=0.1,
    learning_rate=3e-3,
    entropy=3e-2,
    baseline_decay=0.95,
    batch_size=10,
    epochs=4,
    clip=0.2,
    standardise=True,
    retries=10,
)
"""Learns within hundreds of trials (benchmarks/strategies.py): smaller batches and larger steps; standardised
advantages, so that neither the reward's scale nor a far-off target changes the balance with entropy; no trial spent on
a point already seen."""


@dataclass(frozen=True)
class Diagnostics:
    """What an update did.

    updates: number so far. entropy: of the policy before it, nats, mean over decisions. kl: from the policy before to
    the one after, nats an architecture. clip_fraction: share of ratios out of range after it, 0..1. baseline: of the
    rewards, after it. mean_reward: of the batch.
    """

    updates: int
    entropy: float
    kl: float
    clip_fraction: float
    baseline: float
    mean_reward: float
