"""PPO over the controller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nasfit.space import Tokens
from nasfit.strategies.contract import Outcome, require_told
from nasfit.strategies.controller import Controller, one_thread
from nasfit.strategies.draws import Draws
from nasfit.strategies.ppo_equations import *
from nasfit.strategies.ppo_settings import PPOSettings
from nasfit.strategies.ppo_equations import (
    advantages, approximate_kl, clip_fraction, clipped_surrogate, entropy_weight, moving_average, standardised
)


@dataclass(frozen=True)
class Diagnostics:
    updates: int
    entropy: float
    kl: float
    clip_fraction: float
    baseline: float
    mean_reward: float


class PPO:
    def __init__(self, option_counts, *, seed: int, asked: int = 0, settings: PPOSettings):
        self.settings = settings
        self._draws = Draws("ppo", option_counts, seed=seed, asked=asked)
        self._controller = Controller(option_counts, hidden=settings.hidden, spread=settings.spread, seed=seed)
        self._adam = torch.optim.Adam(self._controller.parameters(), lr=settings.learning_rate)
        self._waiting = []
        self._elite = {}
        self._seen = set()
        self._baseline = None
        self.diagnostics = None
        self.updates = 0

    def ask(self, n):
        generators = list(self._draws.next(n))
        proposals: dict[int, Tokens] = {}
        open_ = list(range(n))
        with one_thread():
            for attempt in range(self.settings.retries + 1):
                if not open_:
                    break
                u = np.stack([generators[i].random(len(self._draws.option_counts)) for i in open_])
                pts = self._controller.sample(u, explore=min(1.0, attempt / len(self._draws.option_counts)))
                still = []
                for i, p in zip(open_, pts):
                    p = tuple(int(t) for t in p)
                    proposals[i] = p
                    if p in self._seen and self.settings.retries: still.append(i)
                    else: self._seen.add(p)
                open_ = still
        return [proposals[i] for i in range(n)]

    def tell(self, outcomes):
        for o in outcomes:
            self._seen.add(o.tokens)
            if o.state != "failed" and o.reward is not None:
                self._waiting.append((o.tokens, o.reward))
                if len(self._waiting) == self.settings.batch_size:
                    self._update(self._waiting)
                    self._waiting = []

    def _update(self, batch):
        s = self.settings
        tokens = torch.tensor([t for t, _ in batch]); rewards = [r for _, r in batch]
        if self._baseline is None: self._baseline = sum(rewards)/len(rewards)
        A = advantages(rewards, self._baseline)
        if s.standardise == "rms":
            d = (sum(a*a for a in A)/len(A))**.5
            A = [a/max(d,1e-12) for a in A]
        elif s.standardise: A = standardised(A)
        self._baseline = moving_average(self._baseline, rewards, s.baseline_decay)
        n = len(batch)
        if s.elite:
            for t, r in batch: self._elite[t] = max(r, self._elite.get(t, -1e9))
            self._elite = dict(sorted(self._elite.items(), key=lambda kv: -kv[1])[:s.elite])
            E = torch.tensor(list(self._elite))
        w = entropy_weight(s.entropy, s.entropy_last, self.updates / s.entropy_updates)
        A = torch.tensor(A, dtype=torch.float32)[:, None]
        with one_thread():
            with torch.no_grad(): old = self._controller(tokens).gather(-1, tokens[..., None])[..., 0]
            for ep in range(s.epochs):
                lp = self._controller(torch.cat([tokens, E]) if s.elite else tokens)
                ent = -(lp[:n].exp() * lp[:n].nan_to_num(neginf=0.0)).sum(-1)
                new = lp[:n].gather(-1, tokens[..., None])[..., 0]
                ratio = (new - old).exp()
                loss = -clipped_surrogate(ratio, A, s.clip).mean() - w * ent.mean()
                if s.elite:
                    loss = loss - getattr(s,'elite_weight',.1) * lp[n:].gather(-1, E[..., None]).mean()
                self._adam.zero_grad(); loss.backward(); self._adam.step()
        self.updates += 1
        self.ent = float(ent.mean()); self.kl = approximate_kl((new-old).detach()); self.cf = clip_fraction(ratio.detach(), s.clip)
