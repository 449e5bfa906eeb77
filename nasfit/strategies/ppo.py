"""The paper's strategy: PPO (Schulman et al. 2017) trains an LSTM controller on rewards (Tan et al. 2019, section 4.2).

B = architectures in an update, T = decisions, K = most options of a decision.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from nasfit.space import Tokens
from nasfit.strategies.contract import Outcome, require_told
from nasfit.strategies.controller import Controller, one_thread
from nasfit.strategies.draws import Ask, Draws
from nasfit.strategies.ppo_equations import (
    advantages,
    approximate_kl,
    clip_fraction,
    clipped_surrogate,
    moving_average,
    normal_scores,
    standardised,
)
from nasfit.strategies.ppo_settings import TUNED, Diagnostics, PPOSettings

# Tries for a point not yet in the ask where the settings have fewer.
_LEAST_TRIES = 10


class PPO:
    """PPO over an LSTM controller; a `Strategy`.

    It updates as soon as `settings.batch_size` outcomes with a reward have been told, whatever their state. "Old"
    probabilities are those at the start of the update, not at the time of the proposal: then what it knows depends on
    the outcomes alone, and a search is restored without the policies that proposed them.

    history: what every update did, the first one first; told outcomes again, it is the same again.
    """

    def __init__(
        self, option_counts: Sequence[int], *, seed: int, asked: int = 0, settings: PPOSettings = TUNED
    ) -> None:
        self.settings = settings
        self.history: list[Diagnostics] = []
        self._draws = Draws("ppo", option_counts, seed=seed, asked=asked)
        self._controller = Controller(option_counts, hidden=settings.hidden, spread=settings.spread, seed=seed)
        self._optimizer = torch.optim.Adam(self._controller.parameters(), lr=settings.learning_rate)
        self._seen: set[Tokens] = set()
        self._told: set[Tokens] = set()
        self._news: list[bool] = []
        self._before = 0
        self._waiting: list[tuple[Tokens, float]] = []
        self._elite: list[tuple[Tokens, float]] = []
        self._baseline: float | None = None

    def ask(self, n: int) -> list[Tokens]:
        """The next n points, drawn from the policy, all different; see `PPOSettings.retries` for those already seen."""
        generators = list(self._draws.next(n))
        ask = Ask(self._draws.option_counts, self._seen if self.settings.retries else set())
        tries = max(self.settings.retries, _LEAST_TRIES)
        points: dict[int, Tokens] = {}
        # All at once for all that are left: a call of the controller costs more than the rows in it.
        for numbers in (range(1), range(1, tries + 1)):
            left = [place for place in range(n) if place not in points]
            for place, drawn in zip(left, self._drawn([generators[place] for place in left], numbers), strict=True):
                point = next((point for point in drawn if ask.is_open(point)), None)
                if point is not None:
                    points[place] = point
                    ask.take(point)
        for place in range(n):
            if place not in points:
                points[place] = ask.elsewhere(generators[place])
                ask.take(points[place])
        self._seen.update(points.values())
        return [points[place] for place in range(n)]

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Keeps those with a reward and updates the controller for every full batch of them."""
        require_told(outcomes, self._draws.option_counts)
        for outcome in outcomes:
            tokens = tuple(outcome.tokens)
            self._news.append(tokens not in self._told)
            self._told.add(tokens)
            self._seen.add(tokens)
            if outcome.state != "failed" and outcome.reward is not None:
                self._waiting.append((tokens, outcome.reward))
            if len(self._waiting) == self.settings.batch_size:
                batch, self._waiting = self._waiting, []
                with one_thread():
                    self._update(batch)

    def _drawn(self, generators: Sequence[np.random.Generator], numbers: range) -> list[list[Tokens]]:
        """Points from each generator, one a try; the numbers of the tries say how far they leave the policy."""
        if not generators:
            return []
        decisions = len(self._draws.option_counts)
        uniforms_BT = np.concatenate([generator.random((len(numbers), decisions)) for generator in generators])
        explore_B = np.tile(np.minimum(np.array(numbers) / decisions, 1.0), len(generators))
        with one_thread():
            rows = self._controller.sample(uniforms_BT, explore=explore_B).tolist()
        return [
            [tuple(row) for row in rows[start : start + len(numbers)]] for start in range(0, len(rows), len(numbers))
        ]

    def _update(self, batch: list[tuple[Tokens, float]]) -> None:
        rewards = [reward for _, reward in batch]
        with_elite = [*batch, *(best for best in self._elite if best not in batch)]
        self._elite = sorted({*self._elite, *batch}, key=lambda one: (-one[1], one[0]))[: self.settings.elite]
        tokens_BT = torch.tensor([tokens for tokens, _ in with_elite])
        advantages_B1 = torch.tensor(self._advantages([reward for _, reward in with_elite]))[:, None]
        assert self._baseline is not None, "set with the advantages"
        self._baseline = moving_average(self._baseline, rewards, self.settings.baseline_decay)
        with torch.no_grad():
            before_BTK = self._controller(tokens_BT)
        old_BT = _chosen(before_BTK, tokens_BT)
        epochs = self._steps(tokens_BT, advantages_B1, old_BT)
        with torch.no_grad():
            log_ratio_BT = _chosen(self._controller(tokens_BT), tokens_BT) - old_BT
        news, self._news = self._news, []
        self._before += len(news)
        self.history.append(
            Diagnostics(
                told=self._before,
                new=sum(news) / len(news),
                entropy=float(_entropy(before_BTK)),
                kl=approximate_kl(log_ratio_BT.sum(dim=1)),
                clip_fraction=clip_fraction(log_ratio_BT.exp(), self.settings.clip),
                epochs=epochs,
                baseline=self._baseline,
                mean_reward=sum(rewards) / len(rewards),
            )
        )

    def _steps(self, tokens_BT: torch.Tensor, advantages_B1: torch.Tensor, old_BT: torch.Tensor) -> int:
        """Climbs the objective, and returns the number of steps."""
        settings = self.settings
        entropy_weight = settings.entropy_weight(len(self.history))
        for epoch in range(settings.epochs):
            logs_BTK = self._controller(tokens_BT)
            log_ratio_BT = _chosen(logs_BTK, tokens_BT) - old_BT
            if settings.max_kl is not None and approximate_kl(log_ratio_BT.detach().sum(dim=1)) > settings.max_kl:
                return epoch
            gain_BT = clipped_surrogate(log_ratio_BT.exp(), advantages_B1, settings.clip)
            objective = gain_BT.mean() + entropy_weight * _entropy(logs_BTK)
            self._optimizer.zero_grad()
            (-objective).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        return settings.epochs

    def _advantages(self, rewards: list[float]) -> list[float]:
        """Against the baseline of earlier batches; the first is its own baseline."""
        if self._baseline is None:
            self._baseline = sum(rewards) / len(rewards)
        found = normal_scores(rewards) if self.settings.ranked else advantages(rewards, self._baseline)
        return standardised(found) if self.settings.standardise else found


def _chosen(logs_BTK: torch.Tensor, tokens_BT: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (B, T) of the tokens."""
    return logs_BTK.gather(-1, tokens_BT[..., None])[..., 0]


def _entropy(logs_BTK: torch.Tensor) -> torch.Tensor:
    """Mean over architectures and decisions, nats."""
    # An option that is not there has probability 0 and contributes nothing; 0 * -inf would be NaN.
    return -(logs_BTK.exp() * logs_BTK.masked_fill(logs_BTK.isneginf(), 0.0)).sum(dim=-1).mean()
