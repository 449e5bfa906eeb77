"""The default strategy: proposes where models of accuracy and of latency, fitted to all trials, promise the most.

N = points known, M = candidates, D = decisions, Q = limits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nasfit.errors import UsageError
from nasfit.objective import Front, Goal, Reward, pareto_front
from nasfit.space import Tokens
from nasfit.strategies.aims import Aim, chosen
from nasfit.strategies.breeding import bred
from nasfit.strategies.contract import Hint, Look, Lookups, Outcome, require_told
from nasfit.strategies.draws import Draws
from nasfit.strategies.guided_design import CHOICE, POPULATIONS, anywhere, balanced, near
from nasfit.strategies.guided_models import (
    Conditioned,
    Known,
    Model,
    accuracy_model,
    known_excesses,
    known_latencies,
    latency_model,
)
from nasfit.strategies.guided_view import View

# Spaces up to this size are judged whole.
SMALL_SPACE = 3000
# Good points known, and random ones, that populations start from; what is kept of each; what is judged jointly.
START, KEPT, JUDGED = 40, 30, 120
# The nearness of its bounds from which on they are modelled, and latencies that make a first model of them.
BOUND_NEAR, FEW = -0.25, 12


@dataclass(frozen=True)
class GuidedSettings:
    """Sizes of the guided strategy.

    first: trained networks before the models choose, half as many with hints at accuracy; until then proposals are a
    balanced design. functions: drawn from
    the models, each with a population bred in it; twice as many serve a front. draws: of all candidates jointly, that a
    batch is chosen by. looks: latencies looked up for a proposal, where the lookups do not say. Raises UsageError.
    """

    first: int = 10
    functions: int = 8
    draws: int = 192
    looks: int = 8

    def __post_init__(self) -> None:
        for what in ("first", "functions", "draws", "looks"):
            if getattr(self, what) < 2:
                raise UsageError(f"guided's {what} is {getattr(self, what)}; give 2 or more")


class Guided:
    """Batch Bayesian optimisation over models that follow the blocks; a `Strategy`.

    goal: Reward or Front; None, or outcomes without accuracy or latency, leave only the rewards told. groups: decisions
    of each block, None where unknown. lookups: latencies before training; without them latency is modelled from the
    outcomes. accuracy_hints, latency_hints: see `Hint`. Its state follows from the outcomes told, the points looked up,
    and the proposals still open.
    """

    def __init__(
        self,
        option_counts: Sequence[int],
        *,
        seed: int,
        asked: int = 0,
        goal: Goal | None = None,
        groups: Sequence[int] | None = None,
        lookups: Lookups | None = None,
        accuracy_hints: Sequence[Hint] = (),
        latency_hints: Sequence[Hint] = (),
        settings: GuidedSettings | None = None,
    ) -> None:
        self.settings = settings or GuidedSettings()
        self._draws = Draws("guided", option_counts, seed=seed, asked=asked)
        self._goal, self._lookups = goal, lookups
        counts, blocks = self._draws.option_counts, None if groups is None else tuple(groups)
        self._counts_D = np.array(counts)
        self._value = accuracy_model(counts, blocks, accuracy_hints)
        self._latency = latency_model(counts, blocks, latency_hints)
        self._excess = Model(counts, blocks)
        # Who has a guess at accuracy needs fewer networks to begin with.
        self._first = self.settings.first // 2 if accuracy_hints else self.settings.first
        self._told: list[Outcome] = []
        self._seen: set[Tokens] = set()
        self._open: dict[Tokens, None] = {}

    def ask(self, n: int) -> list[Tokens]:
        """The next n points; looks up latencies where there are lookups."""
        points: list[Tokens] = []
        if n > 0:
            points = [tuple(row) for row in self._ranked(n, self._draws.peek()).tolist()]
        ranked = iter(points)
        proposals = self._draws.distinct(n, self._seen, lambda _: ranked)
        self._open.update(dict.fromkeys(proposals))
        return proposals

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Keeps them all; models are fitted when asked."""
        require_told(outcomes, self._draws.option_counts)
        for outcome in outcomes:
            self._told.append(outcome)
            self._seen.add(tuple(outcome.tokens))
            self._open.pop(tuple(outcome.tokens), None)

    def _ranked(self, n: int, generator: np.random.Generator) -> np.ndarray:
        """Points (M, D) to propose, the best first; fewer than n where the space has no more."""
        # Each point once, as it was told last.
        trained = {o.tokens: o for o in self._told if o.state in ("complete", "stopped")}
        if len(trained) < self._first:
            return self._designed(n, list(trained), generator)
        view = self._view(trained, generator)
        candidates = self._candidates(view, n, generator)
        if not len(candidates):
            return candidates
        promise = view.promise(candidates, generator)
        if self._lookups is not None and view.latency is not None:
            candidates, promise = self._looked_up(view, candidates, promise, n, generator)
        judged = max(JUDGED, 3 * n) * (1 if self._front is None else 2)
        candidates = candidates[np.argsort(-promise, kind="stable")[:judged]]
        waiting = np.array(list(self._open), dtype=np.int64).reshape(-1, len(self._counts_D))
        worth_SMQ = view.worth(np.concatenate([waiting, candidates]), self.settings.draws, generator)
        reached_SQ = np.repeat(view.reached_Q[None], len(worth_SMQ), axis=0)
        if len(waiting):
            reached_SQ = np.maximum(reached_SQ, worth_SMQ[:, : len(waiting)].max(axis=1))
        return candidates[chosen(view.aim, worth_SMQ[:, len(waiting) :], reached_SQ, n)]

    def _view(self, trained: Mapping[Tokens, Outcome], generator: np.random.Generator) -> View:
        looks = {} if self._lookups is None else self._lookups.known()
        latencies = known_latencies(looks, self._told)
        excesses = known_excesses(looks, self._told)
        whole = self._goal is not None and all(o.accuracy is not None and t in latencies for t, o in trained.items())
        values = {t: (o.accuracy if whole else o.reward) or 0.0 for t, o in trained.items()}
        aim = self._aim(whole, min(values.values()))
        latency_N = np.array([latencies[t] if whole else 1.0 for t in trained])
        observed_NQ = aim.worth(np.array(list(values.values())), latency_N)
        order = np.argsort(-observed_NQ.mean(axis=1), kind="stable")
        known = Known.of(values, observed_NQ.mean(axis=1))
        value = self._value.conditioned(known)
        latency = self._of_latency(latencies, aim) if whole else None
        within = np.array([excesses.get(t, 0.0) <= 0 for t in trained])
        best = order[within[order]][:100]
        if self._front is not None:
            pairs = list(zip(values.values(), latency_N.tolist(), strict=True))
            best = np.array([place for place in pareto_front(pairs) if within[place]], dtype=np.int64)
        # What lucky noise made of a result is not reached: the models say what was.
        reached_Q = observed_NQ.min(axis=0)
        if len(best):
            reached_Q = np.maximum(reached_Q, aim.worth(value.mean(known.rows(best)), latency_N[best]).max(axis=0))
        start = anywhere(START, self._counts_D, generator)
        if len(best):
            start = np.concatenate([known.rows(best[:START]), start])
        return View(
            aim=aim,
            value=value,
            latency=latency,
            excess=self._of_excess(excesses),
            looks=looks,
            reached_Q=reached_Q,
            start_PD=start,
            least_ms=min(latencies.values(), default=1.0),
            scale=float(np.abs(observed_NQ).max() + 1e-12),
        )

    def _candidates(self, view: View, n: int, generator: np.random.Generator) -> np.ndarray:
        """Points not seen: all of a small space, else those bred in functions drawn from the models."""
        size = math.prod(self._draws.option_counts)
        if size <= SMALL_SPACE:
            found = np.indices(self._draws.option_counts).reshape(len(self._counts_D), -1).T
        else:
            functions = self.settings.functions * (1 if self._front is None else 2)
            score = view.scorer(functions, generator)
            kept = max(KEPT, 2 * n // functions)
            found = bred(score, view.start_PD, functions, self._counts_D, generator, kept=kept)
        return self._new(found)

    def _looked_up(
        self, view: View, candidates: np.ndarray, promise: np.ndarray, n: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The candidates whose latency is known, some of them from now on, and what they promise with it."""
        order = np.argsort(-promise, kind="stable")
        if self._front is not None:
            # The most promising may all lie in one part of the front.
            order = np.array(view.spread(candidates, self._looks_a_proposal * n, generator))
        ranked = [tuple(row) for row in candidates[order].tolist()]
        looks = {point: view.looks[point] for point in ranked if point in view.looks}
        looks |= self._look([point for point in ranked if point not in looks][: self._looks_a_proposal * n])
        able = {point: look for point, look in looks.items() if look is not None}
        if not able:
            return candidates, promise
        points = np.array(list(able), dtype=np.int64)
        return points, view.with_looks(able).promise(points, generator)

    def _designed(self, n: int, trained: Sequence[Tokens], generator: np.random.Generator) -> np.ndarray:
        """A balanced design, near the latencies that are wanted and within bounds, once enough is known of these."""
        counts, aim = self._counts_D, self._aim(True, 0.0)
        before = np.array([*trained, *self._open], dtype=np.int64).reshape(-1, len(counts))
        found = self._new(anywhere(CHOICE * n, counts, generator))
        if not len(found):
            return found
        share, wanted_ms = self._looks_a_proposal, aim.wanted_ms(POPULATIONS)
        looks = {}
        if len(wanted_ms):
            looks = self._look([tuple(row) for row in found[: (share + 1) // 2 * n].tolist()])
        known = {} if self._lookups is None else dict(self._lookups.known())
        latencies = known_latencies({**known, **looks}, self._told)
        excesses = known_excesses({**known, **looks}, self._told)
        latency = self._of_latency(latencies, aim) if len(wanted_ms) and len(latencies) >= FEW else None
        excess = self._of_excess(excesses) if len(excesses) >= FEW else None
        if latency is None and excess is None:
            return balanced(found, before, n)
        found = self._new(near(latency, wanted_ms, excess, found[:START], counts, generator))
        if self._lookups is not None and latency is not None:
            tried = balanced(found, before, share // 2 * n)
            looks |= self._look([tuple(row) for row in tried.tolist()])
            able = {t: k for t, k in looks.items() if k is not None and (k.excess is None or k.excess <= 0)}
            points = np.array(list(able or looks), dtype=np.int64)
            distance = (
                aim.distance(np.array([look.latency_ms for look in able.values()])) if able else np.zeros(len(points))
            )
            found = points[np.argsort(distance, kind="stable")[: 2 * n]]
        return balanced(found, before, n)

    def _of_latency(self, latencies: Mapping[Tokens, float], aim: Aim) -> Conditioned:
        return self._latency.conditioned(Known.of(latencies, -aim.distance(np.array(list(latencies.values())))))

    def _of_excess(self, excesses: Mapping[Tokens, float]) -> Conditioned | None:
        """None where all that is known stays far from every bound."""
        if not excesses or max(excesses.values()) <= BOUND_NEAR:
            return None
        return self._excess.conditioned(Known.of(excesses, -np.abs(np.array(list(excesses.values())))))

    def _look(self, points: Sequence[Tokens]) -> dict[Tokens, Look | None]:
        if self._lookups is None or not points:
            return {}
        return dict(zip(points, self._lookups(points), strict=True))

    def _new(self, points_MD: np.ndarray) -> np.ndarray:
        """Each point once, in order, and only those neither told nor proposed."""
        rows = dict.fromkeys(map(tuple, points_MD.tolist()))
        return np.array([row for row in rows if row not in self._seen], dtype=np.int64).reshape(-1, len(self._counts_D))

    def _aim(self, whole: bool, floor: float) -> Aim:
        if not whole:
            return Aim()
        return Aim(self._goal if isinstance(self._goal, Reward) else None, self._front, floor)

    @property
    def _front(self) -> Front | None:
        return self._goal if isinstance(self._goal, Front) else None

    @property
    def _looks_a_proposal(self) -> int:
        return int(getattr(self._lookups, "per_proposal", self.settings.looks))
