"""Which trainings need not be finished: a look half-way, and what earlier trials let one expect of it at the end.

Published rules (successive halving, the median rule, curve extrapolation as of Domhan et al. 2015) ask whether a trial
can still be the most accurate. Here it may matter as a slower or a faster one too, so what it has to reach depends on
its latency: it is stopped when, at its latency, not even an optimistic end would be among the best of the study's goal.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nasfit.objective import Front, Goal
from nasfit.study import Rung, Trial, TrialState

if TYPE_CHECKING:
    from nasfit.training import StopRule

# Of the figures in benchmarks/results/stopping.json: earlier looks say too little, later ones save too little.
RUNG_SHARE = 0.4
LEAST_SLOPE = 0.01  # of the end over the look: a line as flat as this says nothing
LEAST_KNOWN = 10  # complete trials with a look, before any is stopped
OPTIMISM = 1.5  # standard deviations
BEST_KEPT = 3  # what could be among so many best is trained to the end: the finale compares several
CONTROLS = 5  # one in so many hopeless trials is trained to the end all the same


@dataclass(frozen=True)
class Extrapolation:
    """Accuracy at the end as a straight line of the one at the look, from finished trials.

    sd: standard deviation of a new trial around it. trials: it was fitted to.
    """

    intercept: float
    slope: float
    sd: float
    trials: int

    @classmethod
    def fit(cls, look_N: Sequence[float], end_N: Sequence[float]) -> Extrapolation | None:
        """Least squares; None where the looks say nothing, that is where they are equal or the line does not rise."""
        look, end = np.asarray(look_N, dtype=float), np.asarray(end_N, dtype=float)
        number = len(look)
        if number < 3 or float(np.ptp(look)) == 0.0:
            return None
        from_mean = look - look.mean()
        slope = float(from_mean @ end / (from_mean @ from_mean))
        if slope < LEAST_SLOPE:
            return None
        intercept = float(end.mean() - slope * look.mean())
        residual = end - intercept - slope * look
        sd = float(np.sqrt(residual @ residual / (number - 2) * (1 + 1 / number)))
        return cls(intercept, slope, sd, number)

    def expected(self, look: float) -> float:
        """Accuracy at the end, 0 to 1."""
        return min(max(self.intercept + self.slope * look, 0.0), 1.0)

    def optimistic(self, look: float) -> float:
        """Accuracy at the end if all goes well, 0 to 1."""
        return min(max(self.intercept + self.slope * look + OPTIMISM * self.sd, 0.0), 1.0)

    def look_for(self, end: float) -> float:
        """Accuracy at the look, 0 to 1, from which on `end` is possible if all goes well."""
        return min(max((end - OPTIMISM * self.sd - self.intercept) / self.slope, 0.0), 1.0)


@dataclass(frozen=True)
class Bar:
    """What one trial has to show on its way.

    images: when, of of_images in all. needed: accuracy at the end that would make it one of the best. line: None while
    too few trials are known. control: trained to the end whatever it shows.
    """

    images: int
    of_images: int
    needed: float
    line: Extrapolation | None
    control: bool

    @property
    def below(self) -> float | None:
        """Accuracy at the look that is too low to go on, 0 to 1; None where nothing can be said yet."""
        return None if self.line is None else self.line.look_for(self.needed)

    @property
    def rule(self) -> StopRule:
        """For the training job."""
        # Whoever only reads a study loads no torch.
        from nasfit.training import StopRule

        return StopRule(self.images, 0.0 if self.control or self.below is None else self.below)

    def rung(self, look: tuple[int, float]) -> Rung:
        """The look, (images seen, accuracy), as the study keeps it."""
        return Rung(*look, below=self.below)

    def expected(self, look: tuple[int, float]) -> float:
        """Accuracy to expect at the end of a trial that was stopped, 0 to 1."""
        assert self.line is not None, "only a line stops a trial"
        return self.line.expected(look[1])

    def reason(self, look: tuple[int, float]) -> str:
        """Why a trial was stopped, one line."""
        assert self.line is not None, "only a line stops a trial"
        images, reached = look
        return (
            f"stopped at {images:,} of {self.of_images:,} pictures: {reached:.1%} there lets one expect "
            f"{self.line.expected(reached):.1%}, at best {self.line.optimistic(reached):.1%}; {self.needed:.1%} would "
            f"be needed"
        )


def bar_for(trial: Trial, trials: Sequence[Trial], goal: Goal, of_images: int) -> Bar:
    """The bar for a measured trial, from the finished ones of its study."""
    assert trial.latency_ms is not None, "measured before"
    finished = trained_to_the_end(trials)
    seen = [(t.rung.accuracy, t.accuracy) for t in finished if t.rung is not None and t.accuracy is not None]
    line = None
    if len(seen) >= LEAST_KNOWN:
        line = Extrapolation.fit([look for look, _ in seen], [end for _, end in seen])
    return Bar(
        max(1, round(RUNG_SHARE * of_images)),
        of_images,
        needed_accuracy(goal, trial.latency_ms, finished),
        line,
        is_control(trial),
    )


def needed_accuracy(goal: Goal, latency_ms: float, finished: Sequence[Trial], best: int = BEST_KEPT) -> float:
    """The least accuracy, 0 to 1, with which a network of this latency would be one of the `best` best.

    Best by the reward or, within its limit, by accuracy, which the finale chooses by. Of a front: at any of its limits,
    so for `best` 1 it is what adds to the area.
    """
    return _needed(goal, latency_ms, _axes(finished), best)


def _axes(trials: Sequence[Trial]) -> tuple[np.ndarray, np.ndarray]:
    """accuracy_N, latency_N of the trials that have both."""
    points = [(t.accuracy, t.latency_ms) for t in trials if t.accuracy is not None and t.latency_ms is not None]
    accuracy_N, latency_N = (np.array([point[axis] for point in points]) for axis in (0, 1))
    return accuracy_N, latency_N


def _needed(goal: Goal, latency_ms: float, axes: tuple[np.ndarray, np.ndarray], best: int = BEST_KEPT) -> float:
    accuracy_N, latency_N = axes
    if isinstance(goal, Front):
        return _level(accuracy_N[latency_N <= max(latency_ms, goal.low_ms)], best)
    rewards = _level(goal.of(accuracy_N, latency_N), best, least=-np.inf)
    # Every reward is a straight line of the accuracy.
    nothing, everything = goal(0.0, latency_ms), goal(1.0, latency_ms)
    needed = (rewards - nothing) / (everything - nothing)
    if latency_ms <= goal.target_ms:
        needed = min(needed, _level(accuracy_N[latency_N <= goal.target_ms], best))
    return float(min(max(needed, 0.0), 1.0))


def _level(values_N: np.ndarray, best: int, least: float = 0.0) -> float:
    """The value of the `best`-th best; `least` where there are fewer."""
    return float(np.sort(values_N)[-best]) if len(values_N) >= best else least


def is_control(trial: Trial) -> bool:
    """Whether it is one of the few that are trained to the end whatever they show; the same whenever asked."""
    return random.Random(f"{trial.seed} {trial.number}").randrange(CONTROLS) == 0


def trained_to_the_end(trials: Sequence[Trial]) -> list[Trial]:
    """COMPLETE trials, each network once."""
    return [t for t in trials if t.state is TrialState.COMPLETE and t.duplicate_of is None]


@dataclass(frozen=True)
class Regret:
    """What stopping saved in a study and, by its controls, what it may have missed.

    stopped: trials. saved_s: seconds of training that they would have gone on for, estimated. controls: hopeless trials
    that were trained to the end all the same; among_best: of these, the ones that are among the best `BEST_KEPT`.
    missed: what the best would lack without the controls: reward, or accuracy on average over a front's limits.
    """

    stopped: int
    saved_s: float
    controls: int
    among_best: int
    missed: float

    def __str__(self) -> str:
        if not self.stopped and not self.controls:
            return "No training was stopped early."
        trials = (
            f"{self.stopped} training{'s' if self.stopped != 1 else ''} stopped early, about {self.saved_s:.0f} s saved"
        )
        if not self.controls:
            return f"{trials}; none that looked as hopeless was finished, so what it missed is not known."
        finished = f"{self.controls} that looked as hopeless {'were' if self.controls != 1 else 'was'} finished"
        among = "none" if not self.among_best else str(self.among_best)
        lost = f", and the best would have been {self.missed:.3g} lower without" if self.missed > 0 else ""
        return f"{trials}. As a check {finished}: {among} of them came among the best {BEST_KEPT}{lost}."


def stopping_regret(trials: Sequence[Trial], goal: Goal, *, floor: float = 0.0) -> Regret:
    """From a study's trials alone. floor: accuracy above which a front's area counts, such as that of guessing."""
    finished = trained_to_the_end(trials)
    stopped = [t for t in trials if t.state is TrialState.STOPPED and t.duplicate_of is None]
    controls = [t for t in finished if t.rung is not None and t.rung.hopeless]
    others = [t for t in finished if t not in controls]
    axes = _axes(finished)
    whole = max((t.curve[-1][0] for t in finished if t.curve), default=0)
    saved_s = sum(
        t.seconds.get("train", 0.0) * (whole / t.rung.images - 1) for t in stopped if t.rung is not None and whole
    )
    return Regret(
        len(stopped),
        saved_s,
        len(controls),
        sum(_among_best(t, axes, goal) for t in controls),
        max(0.0, _worth(finished, goal, floor) - _worth(others, goal, floor)) if others else 0.0,
    )


def _among_best(trial: Trial, axes: tuple[np.ndarray, np.ndarray], goal: Goal) -> bool:
    assert trial.accuracy is not None and trial.latency_ms is not None, "a complete trial has both"
    return trial.accuracy >= _needed(goal, trial.latency_ms, axes)


def _worth(trials: Sequence[Trial], goal: Goal, floor: float) -> float:
    """The best reward, or the accuracy above `floor` that a front reaches, on average over its limits."""
    accuracy_N, latency_N = _axes(trials)
    if isinstance(goal, Front):
        return goal.area(accuracy_N, latency_N, floor) / (goal.high_ms - goal.low_ms)
    return float(goal.of(accuracy_N, latency_N).max())
