"""Optuna's samplers as strategies, with the extra `nasfit[optuna]`: for users who compare searches."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from nasfit.errors import MissingExtraError, UnknownNameError
from nasfit.space import Tokens
from nasfit.strategies.contract import Outcome, require_told
from nasfit.strategies.draws import Ask, Draws
from nasfit.strategies.evolution import mutated

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("tpe", "gp")
_TRIES = 20


class OptunaStrategy:
    """Optuna's TPE (Watanabe 2023) or Gaussian process sampler over categorical decisions; a `Strategy`.

    It is here to compare with, not to be recommended. `tpe` takes some ten milliseconds a proposal; `gp` seconds, and
    more the more it was told, so it suits some hundred trials. Complete, stopped and pruned outcomes with a reward are
    Optuna's complete trials, points asked and not yet told its running ones. Where a sampler repeats a point, one that
    differs from it in a few decisions is proposed.

    A study and a sampler outlive no ask: their random state would not be restored by outcomes told again. sampler:
    one of `SAMPLERS`. Raises UnknownNameError for another, MissingExtraError without Optuna.
    """

    def __init__(self, sampler: str, option_counts: Sequence[int], *, seed: int, asked: int = 0) -> None:
        if sampler not in SAMPLERS:
            raise UnknownNameError("sampler of Optuna", sampler, SAMPLERS)
        self._optuna = _imported(sampler)
        self._sampler = sampler
        self._draws = Draws(sampler, option_counts, seed=seed, asked=asked)
        self._distributions: dict[str, optuna.distributions.BaseDistribution] = {
            f"decision {place}": self._optuna.distributions.CategoricalDistribution(range(options))
            for place, options in enumerate(option_counts)
        }
        self._told: list[optuna.trial.FrozenTrial] = []
        self._seen: set[Tokens] = set()
        # In the order proposed; a set's order is not that of another process.
        self._pending: dict[Tokens, None] = {}

    def ask(self, n: int) -> list[Tokens]:
        """The next n points, each aware of those before it."""
        generators = list(self._draws.next(n))
        if not generators:
            return []
        ask = Ask(self._draws.option_counts, self._seen)
        points = []
        with self._quiet():
            study = self._study(seed=int(generators[0].integers(2**31)))
            for generator in generators:
                points.append(self._proposal(study, generator, ask))
                ask.take(points[-1])
                self._seen.add(points[-1])
                self._pending[points[-1]] = None
        return points

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Keeps those with a reward, whoever proposed them."""
        require_told(outcomes, self._draws.option_counts)
        for outcome in outcomes:
            tokens = tuple(outcome.tokens)
            self._seen.add(tokens)
            self._pending.pop(tokens, None)
            if outcome.state != "failed" and outcome.reward is not None:
                self._told.append(self._trial(tokens, outcome.reward))

    def _proposal(self, study: optuna.Study, generator: np.random.Generator, ask: Ask) -> Tokens:
        trial = study.ask(self._distributions)
        sampled = tuple(int(trial.params[name]) for name in self._distributions)
        if ask.is_open(sampled):
            return sampled
        # What was sampled is not what is proposed, so the running trial gives way to one of the point proposed.
        study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        tries = (mutated(sampled, self._draws.option_counts, generator, mutations=1 + j) for j in range(_TRIES))
        point = next((point for point in tries if ask.is_open(point)), None)
        point = ask.elsewhere(generator) if point is None else point
        study.add_trial(self._trial(point, None))
        return point

    def _study(self, *, seed: int) -> optuna.Study:
        """A study of all that was told, in order, and all that is pending."""
        samplers: dict[str, Any] = {
            "tpe": lambda: self._optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True),
            "gp": lambda: self._optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False),
        }
        study: optuna.Study = self._optuna.create_study(direction="maximize", sampler=samplers[self._sampler]())
        study.add_trials([*self._told, *(self._trial(tokens, None) for tokens in self._pending)])
        return study

    def _trial(self, tokens: Tokens, reward: float | None) -> optuna.trial.FrozenTrial:
        """A complete trial, or a running one without a reward."""
        states = self._optuna.trial.TrialState
        trial: optuna.trial.FrozenTrial = self._optuna.trial.create_trial(
            state=states.RUNNING if reward is None else states.COMPLETE,
            value=reward,
            params=dict(zip(self._distributions, tokens, strict=True)),
            distributions=self._distributions,
        )
        return trial

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        """Without Optuna's log lines and its warnings of experiments; for the Gaussian process on one thread, too."""
        verbosity = self._optuna.logging.get_verbosity()
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        try:
            with warnings.catch_warnings(), contextlib.ExitStack() as stack:
                warnings.filterwarnings("ignore", category=self._optuna.exceptions.ExperimentalWarning)
                if self._sampler == "gp":
                    from nasfit.strategies.controller import one_thread

                    stack.enter_context(one_thread())
                yield
        finally:
            self._optuna.logging.set_verbosity(verbosity)


def _imported(sampler: str) -> ModuleType:
    try:
        if sampler == "gp":
            importlib.import_module("scipy")
        return importlib.import_module("optuna")
    except ImportError as error:
        raise MissingExtraError(f"the strategy {sampler!r}", "optuna") from error
