"""Settings of PPO, its two presets, and what it tells of an update."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from nasfit.errors import UsageError


@dataclass(frozen=True)
class PPOSettings:
    """Settings of the controller and of its updates.

    hidden: LSTM units. spread: initial weights are uniform within +- this. learning_rate: Adam's. entropy: weight of
    the entropy bonus (nats, mean over decisions) at the first update. baseline_decay: of the moving average of rewards,
    0..1. batch_size: outcomes an update, 2 or more. epochs: Adam steps an update at most, each on the whole batch.
    clip: range of the ratio, above 0. standardise: advantages less their mean, over their deviation. retries: tries for
    a point not seen before; try j also draws about j decisions anew, uniformly; 0 proposes whatever the policy says,
    once an ask. max_kl: no further step in an update once the policy has moved by so much (nats an architecture); None
    always takes all. last_entropy, entropy_halving: the weight falls towards the first, its distance from it by half
    every so many updates; both or, for a weight that stays, neither. ranked: advantages from the ranks of the rewards
    (`normal_scores`) rather than from the rewards. elite: as many of the best outcomes so far join every update's batch
    (Abolafia et al. 2018, "Neural Program Synthesis with Priority Queue Training"). Raises UsageError for a number out
    of range.
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
    max_kl: float | None = None
    last_entropy: float | None = None
    entropy_halving: float | None = None
    ranked: bool = False
    elite: int = 0

    def __post_init__(self) -> None:
        least = {"hidden": 1, "batch_size": 2, "epochs": 1}
        for field in fields(self):
            value, low = getattr(self, field.name), least.get(field.name, 0)
            if value is not None and not (math.isfinite(value) and value >= low):
                raise UsageError(f"PPO's {field.name} is {value}; give {low} or more")
        for what in ("learning_rate", "clip", "max_kl", "entropy_halving"):
            if getattr(self, what) == 0:
                raise UsageError(f"PPO's {what} is 0, and it would not learn; give more")
        if self.baseline_decay > 1:
            raise UsageError(f"PPO's baseline_decay is {self.baseline_decay}; give 0 to 1")
        if (self.last_entropy is None) != (self.entropy_halving is None):
            raise UsageError(
                f"PPO's last_entropy is {self.last_entropy} and entropy_halving {self.entropy_halving}; give both, or "
                f"neither for a weight of the entropy that stays"
            )

    def entropy_weight(self, updates: int) -> float:
        """Weight of the entropy bonus after so many updates."""
        if self.last_entropy is None or self.entropy_halving is None:
            return self.entropy
        return self.last_entropy + (self.entropy - self.last_entropy) * math.exp2(-updates / self.entropy_halving)


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
    learning_rate=6e-3,
    entropy=0.1,
    baseline_decay=0.95,
    batch_size=20,
    epochs=8,
    clip=0.2,
    standardise=True,
    retries=10,
    max_kl=1.0,
    last_entropy=0.03,
    entropy_halving=50,
    ranked=True,
    elite=5,
)
"""Learns within a thousand trials and goes on learning (benchmarks/strategies.py). Large steps, as many an update as
`max_kl` allows. Advantages from ranks, so that neither the reward's scale nor the many points beyond a limit hide which
of the good ones is better; the best so far stay in view, or the policy drifts away from them. A bonus that is high
while little is known: a policy that is sure of too much too early stays where it is. No trial for a point seen before.
"""


@dataclass(frozen=True)
class Diagnostics:
    """What an update did; entropy, KL and clipping are means over its batch and the elite in it.

    told: outcomes told before it, all of them. new: share of the points told since the last update that had not been
    told before, 0..1. entropy: of the policy before it, nats, mean over decisions. kl: from the policy before to the
    one after, nats an architecture. clip_fraction: share of ratios out of range after it, 0..1. epochs: Adam steps
    taken. baseline: of the rewards, after it. mean_reward: of the batch.
    """

    told: int
    new: float
    entropy: float
    kl: float
    clip_fraction: float
    epochs: int
    baseline: float
    mean_reward: float
