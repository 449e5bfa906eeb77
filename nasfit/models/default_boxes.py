"""The default boxes that a detector's predictions are offsets of.

Shapes: A boxes of all maps, in the order in which predictions are flattened: map, row, column, box.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nasfit.architecture import Detector, FeatureMap

SMALLEST, LARGEST = 0.2, 0.95
RATIOS = (1.0, 2.0, 1 / 2, 3.0, 1 / 3)
Sides = tuple[float, float]


def default_boxes(detector: Detector) -> NDArray[np.float32]:
    """Centre x, centre y, width and height (A, 4), in shares of the picture's sides, sides at most 1.

    Liu et al. 2016 (SSD), section 2.2, with the numbers of the published SSDLite: scales from 0.2 to 0.95 in equal
    steps, five ratios and one box between two scales at each place; on the first map one box of half the smallest
    scale and two of it, with ratios 2 and 1/2.
    """
    maps = detector.maps()
    step = (LARGEST - SMALLEST) / (len(maps) - 1)
    scales = [*(SMALLEST + step * index for index in range(len(maps))), 1.0]
    sides = [_first(scales[0]), *(_later(*pair) for pair in pairwise(scales[1:]))]
    return np.concatenate([_on_map(found, at) for found, at in zip(maps, sides, strict=True)])


def _first(scale: float) -> list[Sides]:
    return [(scale / 2, scale / 2), _shaped(scale, 2.0), _shaped(scale, 1 / 2)]


def _later(scale: float, next_scale: float) -> list[Sides]:
    between = math.sqrt(scale * next_scale)
    return [*(_shaped(scale, ratio) for ratio in RATIOS), (between, between)]


def _shaped(scale: float, ratio: float) -> Sides:
    return min(1.0, scale * math.sqrt(ratio)), min(1.0, scale / math.sqrt(ratio))


def _on_map(found: FeatureMap, sides: list[Sides]) -> NDArray[np.float32]:
    assert len(sides) == found.boxes, "as many boxes as the predictors have outputs for"
    centres = (np.arange(found.resolution) + 0.5) / found.resolution
    y, x = np.meshgrid(centres, centres, indexing="ij")
    places = np.stack([x, y], axis=-1).reshape(-1, 1, 2).repeat(len(sides), axis=1)
    shapes = np.broadcast_to(np.array(sides), places.shape)
    return np.concatenate([places, shapes], axis=-1).reshape(-1, 4).astype(np.float32)
