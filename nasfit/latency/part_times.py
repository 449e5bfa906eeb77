"""Where in a network the time goes: differences between networks that are cut after one part more each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from nasfit.errors import UsageError

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class PartTime:
    """What one part adds to the latency of everything before it. ms: may be below 0 by noise; low_ms, high_ms: 95 %."""

    name: str
    ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True)
class PartTimes:
    """The parts of one network in order, which add up to `whole_ms`, the whole measured beside its cuts.

    network: its text.
    """

    network: str
    whole_ms: float
    parts: tuple[PartTime, ...]

    @classmethod
    def of(cls, network: str, names: Sequence[str], cuts: Sequence[Triple]) -> PartTimes:
        """From (latency, low, high) of the network cut after each part, the last being the whole; ms.

        The interval of a difference takes the two latencies as independent. They were interleaved, so that most of what
        disturbs is common to both: it is rather too wide.
        """
        assert len(names) == len(cuts), "a cut after each part"
        zero = (0.0, 0.0, 0.0)
        parts = tuple(_difference(name, *pair) for name, pair in zip(names, pairwise((zero, *cuts)), strict=True))
        return cls(network, cuts[-1][0], parts)

    def share(self, part: PartTime) -> float:
        """Of the whole's time."""
        return part.ms / self.whole_ms

    def as_json(self) -> dict[str, Any]:
        """Plain values; `from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> PartTimes:
        """Raises UsageError for anything else than `as_json` gives."""
        try:
            return cls(**{**document, "parts": tuple(PartTime(**part) for part in document["parts"])})
        except (TypeError, KeyError) as error:
            raise UsageError(f"no times of parts: {error}; search again with this version") from error


def _difference(name: str, before: Triple, after: Triple) -> PartTime:
    ms = after[0] - before[0]
    below = math.hypot(after[0] - after[1], before[2] - before[0])
    above = math.hypot(after[2] - after[0], before[0] - before[1])
    return PartTime(name, ms, ms - below, ms + above)
