"""One evaluated architecture, as a value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nasfit.errors import UsageError

# What an SQLite integer holds.
_SEEDS = range(-(2**63), 2**63)


class TrialState(StrEnum):
    """RUNNING: proposed. COMPLETE: trained. STOPPED: trained in part, then not worth more. PRUNED: not worth training.

    FAILED: could not be evaluated.
    """

    RUNNING = "running"
    COMPLETE = "complete"
    STOPPED = "stopped"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True)
class Proposal:
    """A point to evaluate.

    tokens: option indices. architecture: text of the network. origin: who proposed it. versions: of the software.
    """

    tokens: tuple[int, ...]
    architecture: str
    seed: int
    origin: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.seed not in _SEEDS:
            raise UsageError(f"seed is {self.seed}; it must fit 64 bits with a sign")


@dataclass(frozen=True)
class Rung:
    """A look at a network on its way through a training.

    images: seen by then. accuracy: on validation pictures then, 0 to 1. below: with less than this a trial was not
    worth the rest of its training, 0 to 1; None while too little was known to say. Raises UsageError for values out of
    range.
    """

    images: int
    accuracy: float
    below: float | None = None

    def __post_init__(self) -> None:
        if self.images <= 0 or not all(0 <= value <= 1 for value in (self.accuracy, self.below or 0.0)):
            raise UsageError(f"{self}: pictures must be above 0, accuracies from 0 to 1")

    @property
    def hopeless(self) -> bool:
        """Whether the trial fell short: it was stopped there, or trained to the end as a control."""
        return self.below is not None and self.accuracy < self.below


@dataclass(frozen=True)
class Trial:
    """One evaluated architecture of a study.

    number: from 0, in the order of proposal. origin: who proposed it, such as `random`. accuracy: on the validation
    set, 0 to 1; of a STOPPED trial the one to expect at the end. reason: why it FAILED, was PRUNED or was STOPPED, one
    line. duplicate_of: number of the trial with the same network whose values answer this one. curve: (images seen,
    value) along the training. rung: the look on its way, where there was one. seconds: by kind of work (`measure`,
    `train`). measurement: key in the study's measurements. worker: process that trained it, HOST:PID; empty where none
    did, or many trained it together. started, finished: UTC, ISO 8601. Raises UsageError for values out of
    range.
    """

    number: int
    tokens: tuple[int, ...]
    architecture: str
    seed: int
    origin: str = ""
    state: TrialState = TrialState.RUNNING
    accuracy: float | None = None
    latency_ms: float | None = None
    reward: float | None = None
    reason: str = ""
    duplicate_of: int | None = None
    curve: tuple[tuple[int, float], ...] = ()
    rung: Rung | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    measurement: str | None = None
    worker: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    started: str = ""
    finished: str = ""

    def __post_init__(self) -> None:
        # SQLite keeps NaN as NULL, without a word.
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise UsageError(f"trial {self.number}: accuracy is {self.accuracy}; it must be 0 to 1")
        if self.latency_ms is not None and not 0 < self.latency_ms < math.inf:
            raise UsageError(f"trial {self.number}: latency is {self.latency_ms} ms; it must be finite and above 0")
        if self.reward is not None and not math.isfinite(self.reward):
            raise UsageError(f"trial {self.number}: reward is {self.reward}; it must be finite")
