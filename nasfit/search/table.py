"""A search over any space with any function in place of training and device: a table, a simulator, another trainer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nasfit.errors import StudyError, UsageError
from nasfit.objective import Goal
from nasfit.search.best_trials import front_of
from nasfit.search.goal import value_of
from nasfit.space import Tokens
from nasfit.strategies import Look, Outcome, Strategy, make_strategy
from nasfit.study import LookedUp, Proposal, Study, Trial, TrialState

Evaluate = Callable[[Tokens], Sequence[float]]
Latency = Callable[[Tokens], float]


@dataclass(frozen=True)
class TableSearch:
    """What came of a search. trials: all, in the order of proposal. looked_up: points whose latency was asked for."""

    trials: tuple[Trial, ...]
    looked_up: int

    @property
    def complete(self) -> tuple[Trial, ...]:
        """Evaluated trials within their bounds, each point once."""
        return tuple(t for t in self.trials if t.state is TrialState.COMPLETE and t.duplicate_of is None)

    @property
    def front(self) -> tuple[Trial, ...]:
        """Those that no other dominates in accuracy and latency, fastest first."""
        return tuple(front_of(self.trials))

    @property
    def best(self) -> Trial | None:
        """The one of highest reward, of equals the first; serving a front, the most accurate. None without any."""
        return max(self.complete, key=lambda trial: (trial.reward or 0.0, -trial.number), default=None)

    def best_under(self, max_ms: float) -> Trial | None:
        """The most accurate that needs at most so many ms, of equals the fastest; None where none does."""
        meeting = [trial for trial in self.front if (trial.latency_ms or 0.0) <= max_ms]
        return meeting[-1] if meeting else None


def search_table(
    option_counts: Sequence[int],
    evaluate: Evaluate,
    *,
    goal: Goal,
    samples: int,
    strategy: str = "guided",
    latency: Latency | None = None,
    groups: Sequence[int] | None = None,
    seed: int = 0,
    batch: int = 10,
    study: Path | str | None = None,
    question: Mapping[str, Any] | None = None,
    may_change: Collection[str] = (),
    text: Callable[[Tokens], str] = lambda tokens: " ".join(map(str, tokens)),
    is_over: Callable[[], bool] = lambda: False,
) -> TableSearch:
    """Proposes points of a space, evaluates them, and learns, until `samples` points have been tried.

    option_counts: options of each decision; a point is a tuple of option indices. evaluate: of a point, its accuracy
    (0..1) and latency (ms), and where there are bounds a third number: by which share the bound broken worst is
    exceeded, 0 or below within all. What it raises makes a FAILED trial; the search goes on. goal: a Reward, or a Front
    that serves every limit between two latencies. latency: of a point, where it can be known before the point is
    evaluated, as in a search on a device; `guided` then asks for many. groups: decisions of each block in reading
    order, where known. strategy, seed: as `make_strategy` takes them. batch: points proposed at once. study: directory
    that keeps the trials; the same call goes on there. question: JSON values that say what `evaluate` answers; a study
    goes on with the same ones only, but for those that `may_change`. text: what a point is called in the study, another
    for each. is_over: asked before points are proposed; True ends the search early.

    Raises UsageError, UnknownNameError, and StudyError where the study is of another search or every point of the first
    batch fails.
    """
    for what, number in (("samples", samples), ("batch", batch)):
        if number < 1:
            raise UsageError(f"{what} is {number}; give 1 or more")
    # Made for nothing but its errors: what is wrong with a name is no reason to begin a study.
    make_strategy(strategy, option_counts, seed=seed, goal=goal)
    settings: dict[str, Any] = {
        "option_counts": list(option_counts),
        "groups": None if groups is None else list(groups),
        "goal": repr(goal),
        "strategy": strategy,
        "seed": seed,
        "latency": latency is not None,
        **(question or {}),
    }
    with ExitStack() as stack:
        path = study or stack.enter_context(TemporaryDirectory(prefix="nasfit-"))
        kept = stack.enter_context(Study.open_or_create(path, settings, may_change=may_change))
        table = _Table(kept, evaluate, goal, math.prod(option_counts), strategy, text)
        proposer = make_strategy(
            strategy,
            option_counts,
            seed=seed,
            asked=len(kept.trials()),
            goal=goal,
            groups=groups,
            lookups=None if latency is None else _TableLookups(kept, latency),
        )
        for told in kept.batches():
            proposer.tell([table.outcome(trial) for trial in told])
        table.run(proposer, samples, batch, is_over)
        return TableSearch(tuple(kept.trials()), len(kept.lookups.all()))


class _Table:
    """The function that is searched, and what is known of it."""

    def __init__(
        self, study: Study, evaluate: Evaluate, goal: Goal, size: int, origin: str, text: Callable[[Tokens], str]
    ) -> None:
        self._study, self._evaluate, self._value, self._size = study, evaluate, value_of(goal), size
        self._origin, self._text = origin, text
        self._known = {t.tokens: t for t in study.trials() if t.state is not TrialState.RUNNING}
        self._excess = {t.tokens: study.measurements[t.measurement]["excess"] for t in study.trials() if t.measurement}

    def run(self, strategy: Strategy, samples: int, batch: int, is_over: Callable[[], bool]) -> None:
        """Ends early where every point of the space has been tried."""
        study = self._study
        waiting = study.running()
        while waiting or (len(study.trials()) < samples and len(self._known) < self._size):
            began = time.monotonic()
            if not waiting:
                if is_over():
                    return
                points = strategy.ask(min(batch, samples - len(study.trials())))
                waiting = study.propose(
                    [Proposal(point, self._text(point), seed=0, origin=self._origin) for point in points]
                )
            finished = study.finish([self._finished(trial) for trial in waiting])
            study.add_seconds("search", time.monotonic() - began)
            strategy.tell([self.outcome(trial) for trial in finished])
            if all(trial.state is TrialState.FAILED for trial in self._known.values()):
                raise StudyError(f"every point has failed so far, the first because: {study.trials()[0].reason}")
            waiting = []

    def outcome(self, trial: Trial) -> Outcome:
        """What a strategy is told."""
        excess = self._excess.get(trial.tokens)
        return Outcome(trial.tokens, trial.reward, trial.accuracy, trial.latency_ms, trial.state.value, excess)

    def _finished(self, trial: Trial) -> Trial:
        earlier = self._known.get(trial.tokens)
        if earlier is not None:
            number = earlier.number if earlier.duplicate_of is None else earlier.duplicate_of
            return replace(earlier, number=trial.number, started=trial.started, finished="", duplicate_of=number)
        self._known[trial.tokens] = self._evaluated(trial)
        return self._known[trial.tokens]

    def _evaluated(self, trial: Trial) -> Trial:
        try:
            accuracy, latency_ms, *bounds = (float(value) for value in self._evaluate(trial.tokens))
            if len(bounds) > 1 or not all(map(math.isfinite, bounds)):
                raise UsageError(
                    f"evaluate gave {bounds} besides; give one finite excess, that of the bound broken worst"
                )
            ended = replace(trial, accuracy=accuracy, latency_ms=latency_ms, reward=self._value(accuracy, latency_ms))
        except Exception as error:  # whatever a function of the user's raises is that point's failure
            return replace(trial, state=TrialState.FAILED, reason=f"{type(error).__name__}: {error}")
        if not bounds:
            return replace(ended, state=TrialState.COMPLETE)
        self._excess[trial.tokens] = bounds[0]
        self._study.measurements[trial.architecture] = {"excess": bounds[0]}
        ended = replace(ended, measurement=trial.architecture)
        if bounds[0] <= 0:
            return replace(ended, state=TrialState.COMPLETE)
        return replace(ended, state=TrialState.PRUNED, reason=f"{bounds[0]:.0%} beyond a bound")


class _TableLookups:
    """The `Lookups` of a function of latency; kept in the study."""

    def __init__(self, study: Study, latency: Latency) -> None:
        self._study, self._latency = study, latency
        self._known = {look.tokens: _look(look) for look in study.lookups.all()}

    def known(self) -> Mapping[Tokens, Look | None]:
        """All so far, in the order of looking."""
        return self._known

    def __call__(self, points: Sequence[Tokens]) -> list[Look | None]:
        """Asks for what is not known; a point at which the function raises cannot run."""
        fresh = [point for point in dict.fromkeys(points) if point not in self._known]
        looks = [self._looked_up(point) for point in fresh]
        self._study.lookups.add(looks)
        self._known |= {look.tokens: _look(look) for look in looks}
        return [self._known[point] for point in points]

    def _looked_up(self, point: Tokens) -> LookedUp:
        try:
            return LookedUp(point, float(self._latency(point)))
        except Exception as error:  # as in `_Table`
            return LookedUp(point, None, reason=f"{type(error).__name__}: {error}")


def _look(looked_up: LookedUp) -> Look | None:
    return None if looked_up.latency_ms is None else Look(looked_up.latency_ms)
