"""NSGA-II: evolution towards a whole front of accuracy and latency (Deb et al. 2002, "A Fast and Elitist Multiobjective
Genetic Algorithm: NSGA-II").

N = members, M = objectives, all to be maximised.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nasfit.errors import UsageError
from nasfit.objective import Front
from nasfit.space import Tokens
from nasfit.strategies.contract import Outcome, require_told
from nasfit.strategies.draws import Draws
from nasfit.strategies.evolution import mutated


@dataclass(frozen=True)
class NSGA2Settings:
    """Sizes of NSGA-II.

    population: members kept. first: trials told before the first child; until then proposals are random. crossover:
    probability of two parents rather than one, 0..1. retries: tries for a point not seen before, each of one mutation
    more; after the last, any point of the space. Raises UsageError.
    """

    population: int = 50
    first: int = 12
    crossover: float = 0.9
    retries: int = 20

    def __post_init__(self) -> None:
        if self.population < 2 or not 1 <= self.first <= self.population:
            raise UsageError(
                f"NSGA-II starts at {self.first} trials and keeps {self.population}; keep 2 or more, and start at "
                f"1 to as many"
            )
        if not 0 <= self.crossover <= 1:
            raise UsageError(f"NSGA-II's crossover is {self.crossover}; give a probability, 0 to 1")
        if self.retries < 0:
            raise UsageError(f"NSGA-II's retries are {self.retries}; give 0 or more")


class NSGA2:
    """Non-dominated sorting, crowding, binary tournaments, uniform crossover, mutation; a `Strategy`.

    Steady state: every complete or stopped outcome joins the population, and while it is too large the member of the
    last front with the least crowding distance leaves. So the order told decides alone, and nobody waits for a
    generation. Objectives are accuracy and latency; where either is unknown, the reward alone. Pruned outcomes, of the
    lowest accuracy, are parents only until there are `settings.first` trained ones. Bounds (`Outcome.excess`) follow
    the paper's constrained domination.

    front: the range of latencies wanted; faster than its lower one is then no better, slower than its upper one breaks
    a bound. None: all latencies.
    """

    def __init__(
        self,
        option_counts: Sequence[int],
        *,
        seed: int,
        asked: int = 0,
        settings: NSGA2Settings | None = None,
        front: Front | None = None,
    ) -> None:
        self.settings = settings or NSGA2Settings()
        self.front = front
        self._draws = Draws("nsga2", option_counts, seed=seed, asked=asked)
        self._population: list[Outcome] = []
        self._pruned: deque[Outcome] = deque(maxlen=self.settings.population)
        self._seen: set[Tokens] = set()

    def ask(self, n: int) -> list[Tokens]:
        """The next n points: random ones at first, then children of tournaments' winners."""
        members = self._members()
        if len(members) < self.settings.first:
            return self._draws.distinct(n, self._seen, self._random)
        rank_N, crowding_N = self._places(members)
        # Better members first: by the crowded comparison a tournament's winner is the one of the smaller index.
        ordered = [tuple(members[index].tokens) for index in np.lexsort((-crowding_N, rank_N))]
        return self._draws.distinct(n, self._seen, lambda generator: self._children(ordered, generator))

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Takes the complete and stopped ones into the population, in order, and keeps the pruned ones in reserve."""
        require_told(outcomes, self._draws.option_counts)
        for outcome in outcomes:
            self._seen.add(tuple(outcome.tokens))
            if outcome.state == "pruned":
                self._pruned.append(outcome)
            elif outcome.state != "failed":
                self._join(outcome)

    def _join(self, outcome: Outcome) -> None:
        # The same point told again is one member, with what was told last.
        others = [member for member in self._population if tuple(member.tokens) != tuple(outcome.tokens)]
        self._population = [*others, outcome]
        if len(self._population) > self.settings.population:
            rank_N, crowding_N = self._places(self._population)
            del self._population[int(np.lexsort((crowding_N, -rank_N))[0])]

    def _members(self) -> list[Outcome]:
        """Who may become a parent."""
        enough = len(self._population) >= self.settings.first
        return self._population if enough else [*self._population, *self._pruned]

    def _places(self, members: Sequence[Outcome]) -> tuple[np.ndarray, np.ndarray]:
        """Rank and crowding distance of each member."""
        values_NM = self._values(members)
        violation_N = np.array([self._violation(member) for member in members])
        rank_N = ranks(values_NM, violation_N)
        crowding_N = np.empty(len(members))
        for rank in range(int(rank_N.max()) + 1):
            crowding_N[rank_N == rank] = crowding_distances(values_NM[rank_N == rank])
        return rank_N, crowding_N

    def _values(self, members: Sequence[Outcome]) -> np.ndarray:
        """Accuracy and latency, its sign turned; or the reward where one of them is unknown."""
        pruned = [member.state == "pruned" for member in members]
        accuracies = [0.0 if out else member.accuracy for member, out in zip(members, pruned, strict=True)]
        latencies = [member.latency_ms for member in members]
        if None in accuracies or None in latencies:
            lowest = min((member.reward for member in members if member.reward is not None), default=0.0)
            return np.array([[lowest if member.reward is None else member.reward] for member in members])
        fastest = self.front.low_ms if self.front else 0.0
        return np.stack([np.array(accuracies, float), -np.maximum(np.array(latencies, float), fastest)], axis=1)

    def _violation(self, member: Outcome) -> float:
        """By which share the bound broken worst is exceeded; 0 within all."""
        too_slow = member.latency_ms / self.front.high_ms - 1 if self.front and member.latency_ms else 0.0
        return max(0.0, member.excess or 0.0, too_slow)

    def _random(self, generator: np.random.Generator) -> Iterator[Tokens]:
        for _ in range(self.settings.retries + 1):
            yield self._draws.anywhere(generator)

    def _children(self, ordered: Sequence[Tokens], generator: np.random.Generator) -> Iterator[Tokens]:
        """A child of winners of binary tournaments, then mutants of it, ever further away."""
        counts = self._draws.option_counts
        mother, father = (ordered[int(place)] for place in generator.integers(len(ordered), size=(2, 2)).min(axis=1))
        child = mother
        if generator.random() < self.settings.crossover:
            from_mother = generator.random(len(counts)) < 0.5
            child = tuple(m if first else f for m, f, first in zip(mother, father, from_mother, strict=True))
        # Each decision mutates with probability 1 / decisions, as in the paper.
        child = mutated(child, counts, generator, mutations=int(generator.binomial(len(counts), 1 / len(counts))))
        yield child
        for number in range(self.settings.retries):
            yield mutated(child, counts, generator, mutations=1 + number)


def ranks(values_NM: np.ndarray, violation_N: np.ndarray) -> np.ndarray:
    """Number of each member's front (N,), 0 for those that nothing dominates (Deb et al. 2002, section III-A).

    values_NM: objectives, higher is better. violation_N: 0 for those within all bounds, which dominate all others; of
    two others the one with the smaller violation dominates (section VI-A).
    """
    no_worse_NN = (values_NM[:, None] >= values_NM[None]).all(axis=-1)
    better_NN = (values_NM[:, None] > values_NM[None]).any(axis=-1)
    same_bounds_NN = violation_N[:, None] == violation_N[None]
    dominates_NN = (violation_N[:, None] < violation_N[None]) | (same_bounds_NN & no_worse_NN & better_NN)
    rank_N = np.full(len(values_NM), -1)
    for rank in range(len(values_NM)):
        left_N = rank_N < 0
        if not left_N.any():
            break
        rank_N[left_N & ~dominates_NN[left_N].any(axis=0)] = rank
    return rank_N


def crowding_distances(values_NM: np.ndarray) -> np.ndarray:
    """Crowding distance of each member (N,) of one front (Deb et al. 2002, section III-B); infinite at its ends.

    The sum over objectives of the distance between the two neighbours, in shares of the front's range.
    """
    distance_N = np.zeros(len(values_NM))
    for value_N in values_NM.T:
        order_N = np.argsort(value_N, kind="stable")
        sorted_N = value_N[order_N]
        span = sorted_N[-1] - sorted_N[0]
        distance_N[order_N[[0, -1]]] = np.inf
        if span > 0:
            distance_N[order_N[1:-1]] += (sorted_N[2:] - sorted_N[:-2]) / span
    return distance_N
