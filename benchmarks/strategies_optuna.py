"""Optuna's samplers used directly, as its users do: to compare with."""

from __future__ import annotations

import warnings
from collections import defaultdict, deque
from collections.abc import Sequence

import optuna

from nasfit.objective import Front
from nasfit.space import Tokens
from nasfit.strategies import Outcome


class OptunaStudy:
    """An Optuna study with default settings, asked and told; decisions are categorical.

    sampler: `optuna-tpe`, `optuna-tpe-independent` (multivariate off), `optuna-gp`, `optuna-nsga2`, or
    `optuna-nsga2-bounded`, with the front's upper latency as a constraint. front: two objectives, accuracy and latency,
    in place of the reward.
    """

    def __init__(self, sampler: str, option_counts: Sequence[int], *, seed: int, front: Front | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        # Optuna 4 knows constraints only as a function, which Optuna 5 still takes.
        warnings.filterwarnings("ignore", "`constraints_func`", category=FutureWarning)
        samplers = {
            "optuna-tpe": lambda: optuna.samplers.TPESampler(seed=seed),
            "optuna-tpe-independent": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=False),
            "optuna-gp": lambda: optuna.samplers.GPSampler(seed=seed),
            "optuna-nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed),
            "optuna-nsga2-bounded": lambda: optuna.samplers.NSGAIISampler(
                seed=seed, constraints_func=lambda trial: (trial.user_attrs["excess"],)
            ),
        }
        self._front = front
        self._study = optuna.create_study(
            directions=["maximize", "minimize"] if front else ["maximize"], sampler=samplers[sampler]()
        )
        self._distributions: dict[str, optuna.distributions.BaseDistribution] = {
            f"decision {place}": optuna.distributions.CategoricalDistribution(range(options))
            for place, options in enumerate(option_counts)
        }
        self._asked: dict[Tokens, deque[optuna.Trial]] = defaultdict(deque)

    def ask(self, n: int) -> list[Tokens]:
        """The next n points, repeated ones as they come."""
        points = []
        for _ in range(n):
            trial = self._study.ask(self._distributions)
            points.append(tuple(int(trial.params[name]) for name in self._distributions))
            self._asked[points[-1]].append(trial)
        return points

    def tell(self, told: Sequence[Outcome]) -> None:
        """Tells the trial that asked, or adds one."""
        for outcome in told:
            assert outcome.reward is not None and outcome.latency_ms is not None, "all points of the table are trained"
            values = [outcome.reward, outcome.latency_ms] if self._front else [outcome.reward]
            if not self._asked[outcome.tokens]:
                params = dict(zip(self._distributions, outcome.tokens, strict=True))
                self._study.add_trial(
                    optuna.trial.create_trial(values=values, params=params, distributions=self._distributions)
                )
                continue
            trial = self._asked[outcome.tokens].popleft()
            if self._front:
                trial.set_user_attr("excess", outcome.latency_ms / self._front.high_ms - 1)
            self._study.tell(trial, values)
