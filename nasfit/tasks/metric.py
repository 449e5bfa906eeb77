"""Loss and metric of classification."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasfit.errors import UsageError

LOSS = "cross_entropy"
# MnasNet's published training code.
LABEL_SMOOTHING = 0.1


def top1(outputs: NDArray[Any], labels_N: NDArray[Any]) -> float:
    """Share of pictures (0..1) whose prediction is right.

    `outputs` are logits (N, K) or predicted labels (N,). A row of logits with a NaN in it counts as wrong. Raises
    UsageError if the shapes do not fit or N is 0.
    """
    if outputs.ndim not in (1, 2) or labels_N.ndim != 1 or len(outputs) != len(labels_N) or not len(labels_N):
        raise UsageError(f"top1 needs outputs (N, K) or (N,) and labels (N,), got {outputs.shape} and {labels_N.shape}")
    if outputs.ndim == 1:
        return float(np.mean(outputs == labels_N))
    is_right = (outputs.argmax(axis=1) == labels_N) & ~np.isnan(outputs).any(axis=1)
    return float(np.mean(is_right))
