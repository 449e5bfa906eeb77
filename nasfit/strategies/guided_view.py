"""What the guided strategy sees at one moment: models, what is reached, and the worth of candidates.

N = points known, M = candidates, S = functions or draws, Q = limits, D = decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nasfit.space import Tokens
from nasfit.strategies.aims import Aim, chosen
from nasfit.strategies.contract import Look
from nasfit.strategies.guided_models import Conditioned

# Below every known latency by this factor lies none; a model that is nearly a sum may say so all the same.
BELOW = 0.3
# How bad it is to break a bound by as much again: more than any difference of worth.
PENALTY = 10.0


@dataclass(frozen=True)
class View:
    """Models of what was told, and the aim.

    value: of accuracies, or of rewards where the aim has no latency. latency: None there. excess: None without bounds.
    looks: by point, exact. reached_Q: best worth at each limit. start_PD: good points to breed from. least_ms: lowest
    latency known. scale: the largest worth known, its sign aside.
    """

    aim: Aim
    value: Conditioned
    latency: Conditioned | None
    excess: Conditioned | None
    looks: Mapping[Tokens, Look | None]
    reached_Q: np.ndarray
    start_PD: np.ndarray
    least_ms: float
    scale: float

    def scorer(self, functions: int, generator: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
        """Scores (S, M) of points (S, M, D) by functions drawn; the first, of a front the first half, are the mean."""
        means = self.aim.mean_functions(functions)
        value = self.value.surfaces(means, functions - means, generator)
        latency = self.latency and self.latency.surfaces(means, functions - means, generator)
        excess = self.excess and self.excess.surfaces(functions, 0, generator)
        judge = self.aim.judge(functions, generator)

        def score(points_SMD: np.ndarray) -> np.ndarray:
            latency_SM = self._possible(latency(points_SMD)) if latency else np.ones(points_SMD.shape[:2])
            score_SM = judge(value(points_SMD), latency_SM)
            if excess:
                score_SM = score_SM - PENALTY * self.scale * np.maximum(excess(points_SMD), 0.0)
            return score_SM

        return score

    def promise(self, points_MD: np.ndarray, generator: np.random.Generator, draws: int = 32) -> np.ndarray:
        """Gain (M,) that each candidate promises by itself."""
        return self.aim.gains(self._apart(points_MD, generator, draws), self.reached_Q[None])

    def _apart(self, points_MD: np.ndarray, generator: np.random.Generator, draws: int) -> np.ndarray:
        """Worth (S, M, Q) of each candidate by itself."""
        normal = generator.standard_normal((3, draws, 1))
        value_SM, latency_SM, excess_SM = (
            None if model is None else model.apart(points_MD, numbers)
            for model, numbers in zip((self.value, self.latency, self.excess), normal, strict=True)
        )
        return self._worth(points_MD, value_SM, latency_SM, excess_SM)

    def spread(self, points_MD: np.ndarray, number: int, generator: np.random.Generator) -> list[int]:
        """Places of the candidates that together promise the most, as if each succeeded or failed by itself."""
        worth_SMQ = self._apart(points_MD, generator, 8)
        return chosen(self.aim, worth_SMQ, np.repeat(self.reached_Q[None], len(worth_SMQ), axis=0), number)

    def with_looks(self, looks: Mapping[Tokens, Look | None]) -> View:
        """The same with more points looked up."""
        known = dict(self.looks)
        known.update(looks)
        return replace(self, looks=known)

    def worth(self, points_MD: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
        """Worth (S, M, Q) of candidates in joint draws."""
        value_SM, latency_SM, excess_SM = (
            None if model is None else model.draws(points_MD, draws, generator)
            for model in (self.value, self.latency, self.excess)
        )
        return self._worth(points_MD, value_SM, latency_SM, excess_SM)

    def _worth(
        self,
        points_MD: np.ndarray,
        value_SM: np.ndarray | None,
        latency_SM: np.ndarray | None,
        excess_SM: np.ndarray | None,
    ) -> np.ndarray:
        assert value_SM is not None, "there is always a model of the value"
        latency_SM = None if latency_SM is None else self._possible(latency_SM)
        for place, tokens in enumerate(map(tuple, points_MD.tolist())):
            look = self.looks.get(tokens)
            if look is not None and latency_SM is not None:
                latency_SM[:, place] = look.latency_ms
            if look is not None and look.excess is not None and excess_SM is not None:
                excess_SM[:, place] = look.excess
        worth_SMQ = self.aim.worth(value_SM, np.ones(1) if latency_SM is None else latency_SM)
        if excess_SM is not None:
            # What breaks a bound gains nothing, and where nothing else gains either it still comes last.
            broken_SMQ = np.minimum(worth_SMQ, self.reached_Q) - self.scale
            worth_SMQ = np.where((excess_SM > 0)[..., None], broken_SMQ, worth_SMQ)
        return worth_SMQ

    def _possible(self, latency: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum(latency, BELOW * self.least_ms))
