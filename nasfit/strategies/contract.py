"""The extension point: what a search asks of a strategy, and what it tells it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nasfit.errors import UnknownNameError, UsageError
from nasfit.space import Tokens

OUTCOME_STATES = ("complete", "stopped", "pruned", "failed")


@dataclass(frozen=True)
class Outcome:
    """What became of one trial.

    tokens: the point, option indices in reading order. reward: higher is better; None where there is none, which a
    complete or stopped trial may not lack. accuracy: 0..1; of a stopped trial the one to expect at the end.
    latency_ms: ms. state: `complete` (trained), `stopped` (trained in part, then not worth more), `pruned` (measured,
    then not worth training) or `failed`. excess: by which share the bound broken worst is exceeded, 0 or below within
    all bounds, None where there are none. Raises UnknownNameError for another state, UsageError for a reward that is
    missing or not finite.
    """

    tokens: Tokens
    reward: float | None
    accuracy: float | None
    latency_ms: float | None
    state: str
    excess: float | None = None

    def __post_init__(self) -> None:
        if self.state not in OUTCOME_STATES:
            raise UnknownNameError("outcome state", self.state, OUTCOME_STATES)
        if self.reward is None and self.state in ("complete", "stopped"):
            raise UsageError(
                f"outcome of {self.tokens} is {self.state} without a reward; give one, or the state 'failed'"
            )
        if self.reward is not None and not math.isfinite(self.reward):
            raise UsageError(
                f"outcome of {self.tokens} has reward {self.reward}; give a finite one or the state 'failed'"
            )


@dataclass(frozen=True)
class Look:
    """What is known of a point before it is trained. latency_ms: above 0. excess: as in `Outcome`."""

    latency_ms: float
    excess: float | None = None


class Lookups(Protocol):
    """Latencies before training: a hundred times cheaper than accuracies, so a strategy may ask for whole lists.

    Whoever gives them keeps what was looked up, and gives it again to a search that goes on.
    """

    def known(self) -> Mapping[Tokens, Look | None]:
        """All that was looked up so far, in any order; None where a point cannot run."""

    def __call__(self, points: Sequence[Tokens]) -> list[Look | None]:
        """Looks up each point, measuring what is not known yet; None where it cannot run."""


class Hint(Protocol):
    """A guess at accuracy or latency, in any unit: an earlier study's model, a score that needs no training.

    What it is worth is learnt from the outcomes; one that says nothing is soon ignored.
    """

    def __call__(self, points: Sequence[Tokens]) -> Sequence[float]:
        """One finite number a point."""


class Strategy(Protocol):
    """Who proposes the next architectures; `check_strategy` checks every promise made here.

    A strategy is made with the option counts of a space, a seed, and the number of proposals made before. All it learns
    comes from the outcomes in the order told, however they are grouped into calls: so telling the stored outcomes to a
    new one restores it, and the next proposals are then the same bit for bit.
    """

    def ask(self, n: int) -> list[Tokens]:
        """The next n points, all different while the space has so many; may be called again before they are told.

        Raises UsageError for n below 0.
        """

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Learns from outcomes in any order, failed and pruned ones and ones it never proposed included.

        Raises UsageError for tokens outside the space.
        """


class StrategyFactory(Protocol):
    """Makes a strategy, such as `functools.partial(make_strategy, "evolution")`."""

    def __call__(self, option_counts: Sequence[int], *, seed: int, asked: int) -> Strategy:
        """option_counts: options of each decision. seed: 0 or more. asked: proposals made before, 0 at the start."""


def require_told(outcomes: Sequence[Outcome], option_counts: Sequence[int]) -> None:
    """Raises UsageError where an outcome's tokens are no point of the space."""
    for outcome in outcomes:
        inside = len(outcome.tokens) == len(option_counts) and all(
            0 <= token < options for token, options in zip(outcome.tokens, option_counts, strict=True)
        )
        if not inside:
            raise UsageError(
                f"told tokens {outcome.tokens}, outside the space with option counts {tuple(option_counts)}; "
                f"was the outcome stored for another space?"
            )
