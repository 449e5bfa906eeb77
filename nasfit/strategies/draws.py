"""Random numbers that depend on the seed and on the number of a proposal alone, and points that do not repeat.

A generator whose state lives on from proposal to proposal rewinds when a search is continued from what was stored, and
proposes the same architectures again; one made anew for every proposal cannot.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from nasfit.errors import UsageError
from nasfit.space import Tokens


class Draws:
    """One generator a proposal, numbered from `asked` on; `stream` keeps strategies of one seed apart.

    Raises UsageError for a seed or a number below 0, and for a space without decisions or with one without options.
    """

    def __init__(self, stream: str, option_counts: Sequence[int], *, seed: int, asked: int) -> None:
        for what, value in (("seed", seed), ("asked", asked)):
            if value < 0:
                raise UsageError(f"{what} is {value}; give 0 or more")
        if not option_counts or min(option_counts) < 1:
            raise UsageError(
                f"option counts are {tuple(option_counts)}; give one or more decisions of 1 option or more"
            )
        self.option_counts = tuple(option_counts)
        self.asked = asked
        self._root = (zlib.crc32(stream.encode()), seed)

    def next(self, n: int) -> Iterator[np.random.Generator]:
        """The generators of the next n proposals. Raises UsageError for n below 0."""
        if n < 0:
            raise UsageError(f"asked for {n} proposals; ask for 0 or more")
        return self._numbered(n)

    def peek(self) -> np.random.Generator:
        """The generator of the next proposal, which stays the next."""
        return self._generator(self.asked)

    def _numbered(self, n: int) -> Iterator[np.random.Generator]:
        for _ in range(n):
            self.asked += 1
            yield self._generator(self.asked - 1)

    def _generator(self, number: int) -> np.random.Generator:
        return np.random.default_rng((*self._root, number))

    def anywhere(self, generator: np.random.Generator) -> Tokens:
        """A point, uniform over the space."""
        return tuple(int(token) for token in generator.integers(self.option_counts))

    def distinct(
        self, n: int, seen: set[Tokens], tries: Callable[[np.random.Generator], Iterable[Tokens]]
    ) -> list[Tokens]:
        """The next n points: of each proposal's tries the first that is open, see `Ask`; else one from anywhere.

        Adds them to `seen`.
        """
        generators, ask = self.next(n), Ask(self.option_counts, seen)
        points = []
        for generator in generators:
            point = next((point for point in tries(generator) if ask.is_open(point)), None)
            points.append(ask.elsewhere(generator) if point is None else point)
            ask.take(points[-1])
            seen.add(points[-1])
        return points


class Ask:
    """The points of one ask, every one taken once while the space has more.

    seen: points that are open only once the space has no others, such as those told or proposed before; whoever asks
    may add to it meanwhile.
    """

    def __init__(self, option_counts: Sequence[int], seen: set[Tokens]) -> None:
        self._option_counts = tuple(option_counts)
        self._size = math.prod(option_counts)
        self._seen = seen
        self._taken: set[Tokens] = set()

    def is_open(self, point: Tokens) -> bool:
        """May it be taken next?"""
        if point in self._taken:
            return False
        return point not in self._seen or self._exhausted()

    def take(self, point: Tokens) -> None:
        """Closes an open point for the rest of the ask; after the last of the space all are open anew."""
        assert point not in self._taken, "only an open point is taken"
        self._taken.add(point)
        if len(self._taken) == self._size:
            self._taken.clear()

    def elsewhere(self, generator: np.random.Generator) -> Tokens:
        """An open point, whatever the space: a uniform one, or the next in counting order that is open."""
        tokens = generator.integers(self._option_counts).tolist()
        while not self.is_open(tuple(tokens)):
            self._count_on(tokens)
        return tuple(tokens)

    def _exhausted(self) -> bool:
        """Has the space no point that is neither seen nor taken?"""
        if len(self._seen) + len(self._taken) < self._size:
            return False
        return len(self._seen | self._taken) == self._size

    def _count_on(self, tokens: list[int]) -> None:
        """Adds 1 to the number of which the tokens are the digits; after the largest comes 0."""
        for place in reversed(range(len(tokens))):
            tokens[place] = (tokens[place] + 1) % self._option_counts[place]
            if tokens[place]:
                return
