"""What a full training tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass

Metrics = dict[str, float]
# Of the end of an epoch: epoch, step, loss, rate and the metrics by their names.
Row = dict[str, float]


@dataclass(frozen=True)
class Began:
    """step: of the checkpoint that is gone on from, 0 for a fresh start."""

    step: int


@dataclass(frozen=True)
class Stepped:
    """Where the training is, about once a second. loss: mean since the last. left_s: to its end, a guess."""

    step: int
    loss: float
    rate: float
    examples_per_second: float
    left_s: float


@dataclass(frozen=True)
class EpochEnded:
    """row: of this epoch; its metrics are of the weights that count. is_best: of all so far."""

    row: Row
    is_best: bool


@dataclass(frozen=True)
class Saved:
    """A checkpoint that the training can go on from is in its place."""

    step: int


@dataclass(frozen=True)
class Completed:
    """history: one row an epoch. best: that of the weights kept as the best."""

    history: tuple[Row, ...]
    best: Row


TrainingEvent = Began | Stepped | EpochEnded | Saved | Completed
