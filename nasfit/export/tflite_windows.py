"""Torch's padding in TFLite's terms: SAME, VALID, or zeros put around the map before VALID.

TFLite knows two rules alone. SAME makes ceil(side / stride) pixels and pads evenly, the odd pixel on the lower right:
at stride 2 and even sides it lays its windows one pixel off torch's. Sides are H or W in px.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from nasfit.export.program import AveragePool

Rule = Literal["SAME", "VALID", "PAD"]


def rule(
    sides: Sequence[int], spans: Sequence[int], strides: Sequence[int], padding: tuple[int, int, int, int]
) -> Rule:
    """How to write a window: spans are its sides, dilation included; PAD is explicit zeros, then VALID."""
    if not any(padding):
        return "VALID"
    top, bottom, left, right = padding
    same = [_same(*axis) for axis in zip(sides, spans, strides, strict=True)]
    return "SAME" if same == [(top, bottom), (left, right)] else "PAD"


def _same(side: int, span: int, stride: int) -> tuple[int, int]:
    total = max((-(-side // stride) - 1) * stride + span - side, 0)
    return total // 2, total - total // 2


def correction_HW(pool: AveragePool, sides: Sequence[int]) -> np.ndarray:
    """Factors that turn means over padded windows into means over the pixels there are: kernel / pixels, float32."""
    top, bottom, left, right = pool.padding
    rows = _covered(sides[0], pool.kernel[0], pool.stride[0], top, bottom)
    columns = _covered(sides[1], pool.kernel[1], pool.stride[1], left, right)
    window = pool.kernel[0] * pool.kernel[1]
    factors_HW: np.ndarray = (window / np.outer(rows, columns)).astype(np.float32)
    return factors_HW


def _covered(side: int, span: int, stride: int, before: int, after: int) -> np.ndarray:
    """Pixels of the map, padding aside, in each window along one side."""
    starts = np.arange(0, side + before + after - span + 1, stride) - before
    covered: np.ndarray = np.minimum(starts + span, side) - np.maximum(starts, 0)
    return covered
