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
from nasfit.strategies.draws import Draws
from nasfit.strategies.ppo_equations import (
    advantages,
    approximate_kl,
    clip_fraction,
    clipped_surrogate,
    moving_average,
    standardised,
)
from nasfit.strategies.ppo_settings import TUNED, Diagnostics, PPOSettings


class PPO:
    """PPO over an LSTM controller; a `Strategy`.

    It updates as soon as `settings.batch_size` outcomes with a reward, complete or pruned, have been told. "Old"
    probabilities are those at the start of the update, not at the time of the proposal: then what it knows depends on
    the outcomes alone, and a search is restored without the policies that proposed them.
    """

    def __init__(
        self, option_counts: Sequence[int], *, seed: int, asked: int = 0, settings: PPOSettings = TUNED
    ) -> None:
        self.settings = settings
        self.diagnostics: Diagnostics | None = None
        self._draws = Draws("ppo", option_counts, seed=seed, asked=asked)
        self._controller = Controller(option_counts, hidden=settings.hidden, spread=settings.spread, seed=seed)
        self._optimizer = torch.optim.Adam(self._controller.parameters(), lr=settings.learning_rate)
        self._seen: set[Tokens] = set()
        self._waiting: list[tuple[Tokens, float]] = []
        self._baseline: float | None = None
        self._updates = 0

    def ask(self, n: int) -> list[Tokens]:
        """The next n points, drawn from the policy; see `PPOSettings.retries` for those already seen."""
        open_draws = dict(enumerate(self._draws.next(n)))
        proposals: dict[int, Tokens] = {}
        for number in range(self.settings.retries + 1):
            for place, tokens in self._drawn(open_draws, number).items():
                proposals[place] = tokens
                if tokens not in self._seen or self.settings.retries == 0:
                    self._seen.add(tokens)
                    del open_draws[place]
        return [proposals[place] for place in range(n)]

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Keeps those with a reward and updates the controller for every full batch of them."""
        require_told(outcomes, self._draws.option_counts)
        for outcome in outcomes:
            self._seen.add(tuple(outcome.tokens))
            if outcome.state != "failed" and outcome.reward is not None:
                self._waiting.append((tuple(outcome.tokens), outcome.reward))
            if len(self._waiting) == self.settings.batch_size:
                batch, self._waiting = self._waiting, []
                with one_thread():
                    self._update(torch.tensor([tokens for tokens, _ in batch]), [reward for _, reward in batch])

    def _drawn(self, draws: dict[int, np.random.Generator], number: int) -> dict[int, Tokens]:
        """A point from each generator, by place; `number` counts the tries before."""
        if not draws:
            return {}
        decisions = len(self._draws.option_counts)
        uniforms_BT = np.stack([generator.random(decisions) for generator in draws.values()])
        with one_thread():
            tokens_BT = self._controller.sample(uniforms_BT, explore=min(number / decisions, 1.0))
        return {place: tuple(row) for place, row in zip(draws, tokens_BT.tolist(), strict=True)}

    def _update(self, tokens_BT: torch.Tensor, rewards: list[float]) -> None:
        settings = self.settings
        advantages_B1 = torch.tensor(self._advantages(rewards))[:, None]
        with torch.no_grad():
            before_BTK = self._controller(tokens_BT)
            old_BT = _chosen(before_BTK, tokens_BT)
        for _ in range(settings.epochs):
            logs_BTK = self._controller(tokens_BT)
            ratio_BT = (_chosen(logs_BTK, tokens_BT) - old_BT).exp()
            gain_BT = clipped_surrogate(ratio_BT, advantages_B1, settings.clip)
            objective = gain_BT.mean() + settings.entropy * _entropy(logs_BTK)
            self._optimizer.zero_grad()
            (-objective).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        with torch.no_grad():
            log_ratio_BT = _chosen(self._controller(tokens_BT), tokens_BT) - old_BT
        self._updates += 1
        assert self._baseline is not None, "set with the advantages"
        self.diagnostics = Diagnostics(
            updates=self._updates,
            entropy=float(_entropy(before_BTK)),
            kl=approximate_kl(log_ratio_BT.sum(dim=1)),
            clip_fraction=clip_fraction(log_ratio_BT.exp(), settings.clip),
            baseline=self._baseline,
            mean_reward=sum(rewards) / len(rewards),
        )

    def _advantages(self, rewards: list[float]) -> list[float]:
        """Against the baseline of earlier batches, which then takes in this one; the first is its own baseline."""
        if self._baseline is None:
            self._baseline = sum(rewards) / len(rewards)
        found = advantages(rewards, self._baseline)
        self._baseline = moving_average(self._baseline, rewards, self.settings.baseline_decay)
        return standardised(found) if self.settings.standardise else found


def _chosen(logs_BTK: torch.Tensor, tokens_BT: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (B, T) of the tokens."""
    return logs_BTK.gather(-1, tokens_BT[..., None])[..., 0]


def _entropy(logs_BTK: torch.Tensor) -> torch.Tensor:
    """Mean over architectures and decisions, nats."""
    # An option that is not there has probability 0 and contributes nothing; 0 * -inf would be NaN.
    return -(logs_BTK.exp() * logs_BTK.masked_fill(logs_BTK.isneginf(), 0.0)).sum(dim=-1).mean()
