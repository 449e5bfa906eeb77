"""Random search, the yardstick: uniform over the space, deaf to outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from nasfit.space import Tokens
from nasfit.strategies.contract import Outcome, require_told
from nasfit.strategies.draws import Draws


class RandomSearch:
    """Every point equally likely, with repetition; a `Strategy`."""

    def __init__(self, option_counts: Sequence[int], *, seed: int, asked: int = 0) -> None:
        self._draws = Draws("random", option_counts, seed=seed, asked=asked)

    def ask(self, n: int) -> list[Tokens]:
        """The next n points."""
        return [self._draws.anywhere(generator) for generator in self._draws.next(n)]

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Learns nothing; raises UsageError for tokens outside the space, as every strategy does."""
        require_told(outcomes, self._draws.option_counts)
