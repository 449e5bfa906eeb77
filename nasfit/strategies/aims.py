"""What the guided strategy aims at: a reward, or the front between two latencies, as worth that is added up.

Both are sums over limits: a network is worth something at every limit that it meets. A reward is one limit without a
condition. S = draws or functions, M = points, Q = limits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nasfit.objective import Front, Reward

# Limits that stand for all between the two ends of a front.
LIMITS = 80
# A point's mean worth counts this little beside what it may gain; it decides where nothing promises a gain.
TIE = 1e-4
# What a reward above its target falls short of one that meets it, where the target must be met.
MISSED = 1.0

Judge = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Aim:
    """reward: of accuracy and latency; None takes the values as rewards. front: in its place, with the accuracy that a
    limit which nothing meets counts as: the lowest known.
    """

    reward: Reward | None = None
    front: Front | None = None
    floor: float = 0.0

    @property
    def limit_Q(self) -> np.ndarray:
        """Limits of a front, ms."""
        assert self.front is not None, "a reward has no limits"
        return np.geomspace(self.front.low_ms, self.front.high_ms, LIMITS)

    @property
    def weight_Q(self) -> np.ndarray:
        """What each limit counts, 1 in all: of a front, the milliseconds up to the next."""
        if self.front is None:
            return np.full(2, 0.5) if self._lands else np.ones(1)
        widths = np.diff(self.limit_Q, append=self.front.high_ms)
        return np.asarray(widths / widths.sum())

    def worth(self, value: np.ndarray, latency: np.ndarray) -> np.ndarray:
        """(..., Q) of accuracies (or rewards) and latencies (ms) that broadcast."""
        if self.front is not None:
            meets = np.asarray(latency)[..., None] <= self.limit_Q
            return np.where(meets, np.asarray(value)[..., None], self.floor)
        rewards = value + np.zeros_like(latency) if self.reward is None else self.reward.of(value, latency)
        if not self._lands:
            return np.asarray(rewards)[..., None]
        assert self.reward is not None, "that has a target"
        within = np.where(np.asarray(latency) <= self.reward.target_ms, rewards, rewards - MISSED)
        return np.stack([rewards, np.broadcast_to(within, rewards.shape)], axis=-1)

    @property
    def _lands(self) -> bool:
        """Is the target to be met from below?

        The absolute reward is greatest at the target or a little above it, as accuracy rises there faster than the
        reward falls or not. What can be used meets it, so the best that does counts as well.
        """
        return self.reward is not None and self.reward.kind == "abs"

    def gains(self, worth_SMQ: np.ndarray, reached_SQ: np.ndarray) -> np.ndarray:
        """Mean gain (M,) over what is reached, mean worth as a tie-break."""
        gain_MQ = np.maximum(worth_SMQ - reached_SQ[:, None], 0.0).mean(axis=0)
        return np.asarray((gain_MQ + TIE * worth_SMQ.mean(axis=0)) @ self.weight_Q)

    def mean_functions(self, functions: int) -> int:
        """How many of the functions bred in are the models' means: a front needs one for every part of it."""
        return 1 if self.front is None else functions // 2

    def judge(self, functions: int, generator: np.random.Generator) -> Judge:
        """Scores (S, M) from accuracies and latencies (S, M): by the reward, or each function by a limit of its own."""
        if self.front is None:
            return lambda value_SM, latency_SM: self.worth(value_SM, latency_SM)[..., 0]
        places = (np.arange(functions) + generator.random(functions)) / functions
        ratio = self.front.high_ms / self.front.low_ms
        limit_S1 = self.front.low_ms * ratio ** generator.permutation(places)[:, None]
        # Above its limit a point is worth less the more it misses it, so that there is a way back.
        return lambda value_SM, latency_SM: np.asarray(value_SM * np.minimum(1.0, limit_S1 / latency_SM))

    def wanted_ms(self, number: int) -> np.ndarray:
        """Latencies near which a first design should lie; none where there is no target."""
        if self.front is not None:
            return np.geomspace(self.front.low_ms, self.front.high_ms, number)
        return np.zeros(0) if self.reward is None else np.geomspace(0.65, 1.0, number) * self.reward.target_ms

    def distance(self, latency_N: np.ndarray) -> np.ndarray:
        """How far latencies lie from those wanted, as a logarithm (N,)."""
        wanted = self.wanted_ms(2)
        if not len(wanted):
            return np.zeros(len(latency_N))
        outside = np.maximum(np.log(wanted[0] / latency_N), np.log(latency_N / wanted[-1]))
        return np.asarray(np.maximum(outside, 0.0))


def chosen(aim: Aim, worth_SMQ: np.ndarray, reached_SQ: np.ndarray, number: int) -> list[int]:
    """Points that together promise the largest gain over what is reached, the best first.

    Greedy over joint draws (batch expected improvement, q-EI, Ginsbourger et al. 2010; for fronts q-EHVI, Daulton et
    al. 2020): once a point is chosen, others gain only where it fails, so that points which would succeed and fail
    together are not chosen together.
    """
    taken: list[int] = []
    for _ in range(min(number, worth_SMQ.shape[1])):
        gain_M = aim.gains(worth_SMQ, reached_SQ)
        gain_M[taken] = -np.inf
        taken.append(int(np.argmax(gain_M)))
        reached_SQ = np.maximum(reached_SQ, worth_SMQ[:, taken[-1]])
    return taken
