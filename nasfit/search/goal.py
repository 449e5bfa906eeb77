"""What a study's trials are judged by: its reward, or the front between two latencies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from nasfit.objective import Front, Goal, Reward
from nasfit.search.settings import Settings
from nasfit.study import Trial

Value = Callable[[float, float], float]


def goal_of(settings: Settings, exponent: float | None = None) -> Goal:
    """The goal of a search with these settings. exponent: calibrated, in place of the published one."""
    if settings.front_from_ms is not None:
        return Front(settings.front_from_ms, settings.target_ms)
    alpha, beta = (settings.alpha, settings.beta) if exponent is None else (exponent, exponent)
    return Reward(settings.reward, settings.target_ms, alpha, beta)


def value_of(goal: Goal) -> Value:
    """What a trial of some accuracy and latency (ms) is worth; serving a front, its accuracy."""
    return goal if isinstance(goal, Reward) else _accuracy


def judged(trials: Iterable[Trial], goal: Goal) -> list[Trial]:
    """The trials with the rewards that this goal gives them; those without an accuracy keep theirs."""
    value, seen = value_of(goal), []
    for trial in trials:
        if trial.accuracy is not None and trial.latency_ms is not None:
            reward = value(trial.accuracy, trial.latency_ms)
            trial = trial if reward == trial.reward else replace(trial, reward=reward)
        seen.append(trial)
    return seen


def _accuracy(accuracy: float, latency_ms: float) -> float:
    return accuracy
