"""The front as a goal: many latency limits served by one search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasfit.errors import UsageError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Front:
    """Wanted: at every limit from `low_ms` to `high_ms`, the most accurate network that meets it.

    Its measure is the hypervolume between the two: the area under the best accuracy reached within t ms, over t, above
    a floor of accuracy. Print range and floor beside every such figure. Raises UsageError unless 0 < low < high.
    """

    low_ms: float
    high_ms: float

    def __post_init__(self) -> None:
        if not (0 < self.low_ms < self.high_ms < math.inf):
            raise UsageError(
                f"the front is to reach from {self.low_ms!r} to {self.high_ms!r} ms; give two latencies above 0, "
                f"the lower one first"
            )

    def area(self, accuracy_N: np.ndarray, latency_N: np.ndarray, floor: float) -> float:
        """Hypervolume (accuracy x ms) of points; those below the floor or slower than `high_ms` add nothing."""
        import numpy as np  # here and below: importing the package stays light

        level_S, start_S = self._steps(np.asarray(accuracy_N), np.asarray(latency_N), floor)
        return float(((level_S - floor) * np.diff(start_S, append=self.high_ms)).sum())

    def gains(
        self,
        accuracy: np.ndarray,
        latency: np.ndarray,
        seen_accuracy_N: np.ndarray,
        seen_latency_N: np.ndarray,
        floor: float,
    ) -> np.ndarray:
        """How much each point alone would add to the area of those seen; accuracy and latency broadcast."""
        import numpy as np

        level_S, start_S = self._steps(np.asarray(seen_accuracy_N), np.asarray(seen_latency_N), floor)
        end_S = np.append(start_S[1:], self.high_ms)
        # A point reaches from its own latency to the upper one; of each step only what lies right of it counts.
        width = np.maximum(end_S - np.maximum(start_S, np.asarray(latency)[..., None]), 0.0)
        return np.asarray((np.maximum(np.asarray(accuracy)[..., None] - level_S, 0.0) * width).sum(axis=-1))

    def _steps(self, accuracy_N: np.ndarray, latency_N: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray]:
        """The best accuracy within t ms as steps: levels, rising, and where each starts; the first at `low_ms`."""
        import numpy as np

        inside = (latency_N < self.high_ms) & (accuracy_N > floor)
        latency, accuracy = np.maximum(latency_N[inside], self.low_ms), accuracy_N[inside]
        order = np.lexsort((-accuracy, latency))
        latency, accuracy = latency[order], accuracy[order]
        rises = accuracy > np.maximum.accumulate(np.append(floor, accuracy))[:-1]
        return np.append(floor, accuracy[rises]), np.append(self.low_ms, latency[rises])
