"""Random search, the yardstick: uniform over the space, deaf to outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from nasfit.space import Tokens
from nasfit.strategies.contract import Outcome, require_told
from nasfit.strategies.draws import Draws

_TRIES = 20


class RandomSearch:
    """Every point equally likely, without repetition until the space is exhausted; a `Strategy`."""

    def __init__(self, option_counts: Sequence[int], *, seed: int, asked: int = 0) -> None:
        self._draws = Draws("random", option_counts, seed=seed, asked=asked)
        self._seen: set[Tokens] = set()

    def ask(self, n: int) -> list[Tokens]:
        """The next n points."""
        return self._draws.distinct(
            n, self._seen, lambda generator: (self._draws.anywhere(generator) for _ in range(_TRIES))
        )

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Remembers the points, so as not to repeat them; raises UsageError for tokens outside the space."""
        require_told(outcomes, self._draws.option_counts)
        self._seen.update(tuple(outcome.tokens) for outcome in outcomes)
