"""Width scaling and the rule that fits strides to small inputs."""

from __future__ import annotations

import math
from dataclasses import replace

from nasfit.architecture.architecture import Architecture
from nasfit.architecture.layers import halved
from nasfit.architecture.rounding import divisible
from nasfit.errors import ArchitectureError, UnknownNameError

STRIDE_RULES = ("early", "late")
LEAST_MAP = 4
# The smallest input of the published grid of widths and resolutions.
LEAST_PUBLISHED = 96


def scaled(architecture: Architecture, width: float, *, head: bool = False) -> Architecture:
    """Stem and blocks with `width` times the filters, width > 0; the layer before the classifier keeps its own.

    That layer is the hidden one where there is one, and the head is then scaled with the blocks; else it is the head.
    So the authors of MobileNetV2 and V3 scale them. head: scale the head in any case.
    """
    if not 0 < width < math.inf:
        raise ArchitectureError(f"width multiplier is {width!r}; it must be above 0, such as 0.5")
    head_filters = architecture.head_filters
    return replace(
        architecture,
        stem_filters=divisible(architecture.stem_filters * width),
        blocks=tuple(replace(block, filters=divisible(block.filters * width)) for block in architecture.blocks),
        head_filters=divisible(head_filters * width) if head or architecture.hidden_filters else head_filters,
    )


def adapted(
    architecture: Architecture, *, resolution: int, channels: int, classes: int, strides: str = "early"
) -> Architecture:
    """The same network for another input and number of classes.

    A network made for 224 px halves its map five times; on a small input the last map would be a single pixel. As many
    halvings are kept as leave it at least 4x4 px: the first ones (`early`: cheap, small maps all through) or the last
    ones (`late`: more accurate and several times slower). The other strides become 1.
    """
    if strides not in STRIDE_RULES:
        raise UnknownNameError("stride rule", strides, STRIDE_RULES)
    all_strides = [architecture.stem_stride, *(block.stride for block in architecture.blocks)]
    kept = _kept(all_strides, _halvings(resolution), strides)
    blocks = tuple(replace(block, stride=stride) for block, stride in zip(architecture.blocks, kept[1:], strict=True))
    return replace(
        architecture, resolution=resolution, channels=channels, classes=classes, stem_stride=kept[0], blocks=blocks
    )


def fitted(network: Architecture, *, resolution: int, channels: int, classes: int) -> Architecture:
    """A published network for another input and number of classes, as its authors scale it: all strides stay.

    Below 96 px, the least of the paper's grid, it is `adapted`, the first halvings kept.
    """
    if resolution < LEAST_PUBLISHED:
        return adapted(network, resolution=resolution, channels=channels, classes=classes)
    return replace(network, resolution=resolution, channels=channels, classes=classes)


def _halvings(resolution: int) -> int:
    number = 0
    while halved(resolution, 2) >= LEAST_MAP:
        resolution, number = halved(resolution, 2), number + 1
    return number


def _kept(strides: list[int], number: int, rule: str) -> list[int]:
    places = [place for place, stride in enumerate(strides) if stride == 2]
    number = min(number, len(places))
    keep = places[:number] if rule == "early" else places[len(places) - number :]
    return [2 if place in keep else 1 for place in range(len(strides))]
