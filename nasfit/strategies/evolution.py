"""Regularized evolution (Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search")."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nasfit.errors import UsageError
from nasfit.space import Tokens
from nasfit.strategies.contract import Outcome, require_told
from nasfit.strategies.draws import Draws


@dataclass(frozen=True)
class EvolutionSettings:
    """Sizes of regularized evolution; the defaults suit searches of 50 to 1,000 trials (benchmarks/strategies.py).

    population: complete or stopped trials alive, the oldest dies. tournament: members drawn, with replacement, of which
    the best becomes a parent. first: trials with a reward before the first child; until then proposals are random.
    retries: tries for a point not seen before; each adds one mutation, so that an exhausted neighbourhood is left;
    after the last, any point of the space. Raises UsageError.
    """

    population: int = 50
    tournament: int = 25
    first: int = 12
    retries: int = 20

    def __post_init__(self) -> None:
        for what in ("population", "tournament", "first"):
            if getattr(self, what) < 1:
                raise UsageError(f"evolution's {what} is {getattr(self, what)}; give 1 or more")
        if self.retries < 0:
            raise UsageError(f"evolution's retries are {self.retries}; give 0 or more")
        if self.first > self.population:
            raise UsageError(f"evolution starts at {self.first} trials, but only {self.population} live; give fewer")


class Evolution:
    """Aging evolution with tournaments (algorithm 1 of the paper); a `Strategy`.

    Only complete and stopped trials enter the population; until there are `settings.first` of them, pruned ones are
    parents too, so that a limit which random points seldom meet is approached. A point told or proposed before is
    proposed again only once the space is exhausted.
    """

    def __init__(
        self,
        option_counts: Sequence[int],
        *,
        seed: int,
        asked: int = 0,
        settings: EvolutionSettings | None = None,
    ) -> None:
        self.settings = settings or EvolutionSettings()
        self._draws = Draws("evolution", option_counts, seed=seed, asked=asked)
        self._population: deque[tuple[Tokens, float]] = deque(maxlen=self.settings.population)
        self._pruned: deque[tuple[Tokens, float]] = deque(maxlen=self.settings.population)
        self._seen: set[Tokens] = set()

    def ask(self, n: int) -> list[Tokens]:
        """The next n points: random ones at first, then mutated winners of tournaments."""
        return self._draws.distinct(n, self._seen, self._tries)

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Adds the complete and stopped ones to the population, in order, and keeps the pruned ones in reserve."""
        require_told(outcomes, self._draws.option_counts)
        for outcome in outcomes:
            self._seen.add(tuple(outcome.tokens))
            if outcome.reward is not None and outcome.state != "failed":
                members = self._pruned if outcome.state == "pruned" else self._population
                members.append((tuple(outcome.tokens), outcome.reward))

    def _tries(self, generator: np.random.Generator) -> Iterator[Tokens]:
        """Random points at first, then children of one parent, ever further from it."""
        members = self._members()
        if len(members) < self.settings.first:
            for _ in range(self.settings.retries + 1):
                yield self._draws.anywhere(generator)
            return
        drawn = generator.integers(len(members), size=self.settings.tournament)
        parent = max((members[index] for index in drawn), key=lambda member: member[1])[0]
        for number in range(self.settings.retries + 1):
            yield mutated(parent, self._draws.option_counts, generator, mutations=1 + number)

    def _members(self) -> Sequence[tuple[Tokens, float]]:
        """Who may become a parent."""
        enough = len(self._population) >= self.settings.first
        return self._population if enough else [*self._population, *self._pruned]


def mutated(
    tokens: Tokens, option_counts: Sequence[int], generator: np.random.Generator, *, mutations: int = 1
) -> Tokens:
    """The point with some decisions, drawn uniformly, each set to another of its options.

    At most as many are changed as have two options or more.
    """
    free = [place for place, options in enumerate(option_counts) if options > 1]
    changed = list(tokens)
    for place in generator.permutation(free)[:mutations]:
        changed[place] = (tokens[place] + 1 + int(generator.integers(option_counts[place] - 1))) % option_counts[place]
    return tuple(changed)
