"""What a network says of pictures: a class each, and how sure it is.

Shapes: N pictures, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasfit.tasks.pixels import Labels


class Mistake(NamedTuple):
    """A picture (its row in the split) that was given another class than its own, with the network's confidence.

    Thousands of them are kept as JSON, where they are lists of three.
    """

    picture: int
    given: int
    confidence: float


@dataclass(frozen=True, eq=False)
class Predictions:
    """classes_N: int64, indices of classes. confidence_N: the probability (softmax) that the network gives them."""

    classes_N: NDArray[Any]
    confidence_N: NDArray[Any]

    @classmethod
    def of(cls, logits_NK: NDArray[Any]) -> Predictions:
        """The likeliest class of each row."""
        classes_N = logits_NK.argmax(axis=1)
        above_NK = logits_NK - logits_NK.max(axis=1, keepdims=True)
        # The likeliest class has exp(0) above the sum.
        return cls(classes_N, np.nan_to_num(1 / np.exp(above_NK.astype(np.float64)).sum(axis=1)))

    @classmethod
    def joined(cls, parts: Sequence[Predictions]) -> Predictions:
        """Of pictures that follow one another; at least one part."""
        return cls(
            np.concatenate([part.classes_N for part in parts]), np.concatenate([part.confidence_N for part in parts])
        )

    def accuracy(self, labels_N: Labels) -> float:
        """Share that is right, 0 to 1."""
        return float(np.mean(self.classes_N == np.asarray(labels_N)))

    def mistakes(self, labels_N: Labels) -> tuple[Mistake, ...]:
        """Everything that is wrong, in the order of the pictures; confidences to three decimals."""
        return tuple(
            Mistake(int(at), int(self.classes_N[at]), round(float(self.confidence_N[at]), 3))
            for at in np.flatnonzero(self.classes_N != np.asarray(labels_N))
        )
