"""Random numbers that depend on the seed and on the number of a proposal alone.

A generator whose state lives on from proposal to proposal rewinds when a search is continued from what was stored, and
proposes the same architectures again; one made anew for every proposal cannot.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

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

    def _numbered(self, n: int) -> Iterator[np.random.Generator]:
        for _ in range(n):
            self.asked += 1
            yield np.random.default_rng((*self._root, self.asked - 1))

    def anywhere(self, generator: np.random.Generator) -> Tokens:
        """A point, uniform over the space."""
        return tuple(int(token) for token in generator.integers(self.option_counts))
