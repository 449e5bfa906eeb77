"""Learning rates over a whole training, step by step: warm-up, then a staircase or a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nasfit.errors import UnknownNameError


@dataclass(frozen=True)
class Schedule:
    """kind: one of SHAPES. peak: the rate it is all relative to. steps: of the whole training.

    warm_up: steps in which the rate rises from 0 in a straight line. period: steps, not necessarily whole, between two
    falls of a staircase to `factor` of itself; they are counted from step 0, warm-up included. Raises UnknownNameError.
    """

    kind: str
    peak: float
    steps: int
    warm_up: int = 0
    period: float = math.inf
    factor: float = 0.97

    def __post_init__(self) -> None:
        if self.kind not in SHAPES:
            raise UnknownNameError("schedule", self.kind, SHAPES)

    def rate(self, step: int) -> float:
        """Learning rate of step 0, 1, ..."""
        if step < self.warm_up:
            return self.peak * step / self.warm_up
        return self.peak * SHAPES[self.kind](self, step)


def staircase(schedule: Schedule, step: int) -> float:
    """factor^floor(step / period): the published model code's `exponential_decay` with `staircase`."""
    # A hair more: where a period ends exactly at a step, rounding must not put the fall one step later.
    return float(schedule.factor ** math.floor(step / schedule.period + 1e-9))


def cosine(schedule: Schedule, step: int) -> float:
    """(1 + cos(pi t)) / 2 with t from 0 after the warm-up to 1 (Loshchilov and Hutter 2017, one cycle)."""
    share = (step - schedule.warm_up) / max(1, schedule.steps - schedule.warm_up)
    return (1 + math.cos(math.pi * share)) / 2


SHAPES = {"staircase": staircase, "cosine": cosine}
