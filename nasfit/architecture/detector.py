"""What a detector is: SSDLite on a classification network, and its exact counts.

Source of the heads: Sandler et al. 2018, section 6.2, as MnasNet took them over (Tan et al. 2019, section 6.2). The
backbone ends at its head convolution; maps at 1/16 and 1/32 of the picture are taken from it, and each extra layer
halves the map before it once more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from nasfit.architecture.architecture import Architecture
from nasfit.architecture.counting import Counts, Row, conv_counts, count
from nasfit.architecture.layers import halved, layers
from nasfit.errors import ArchitectureError

EXTRA_FILTERS = (512, 256, 256, 128)
BOX_VALUES = 4
# The first map has its smallest boxes only: on 20 x 20 places each more would cost as much as on all later maps.
FIRST_BOXES, LATER_BOXES = 3, 6
MIN_DETECTOR_RESOLUTION = 64
HALVINGS = 5
# Stem and blocks of MobileNetV2, of every MnasNet and of every network that nasfit's spaces hold.
_STRIDES = (2, 1, 2, 2, 2, 1, 2, 1)
_PREFIX = "ssdlite extra"


@dataclass(frozen=True)
class FeatureMap:
    """A map that boxes are predicted from. resolution: its side, px. boxes: default boxes at each of its places."""

    channels: int
    resolution: int
    boxes: int


@dataclass(frozen=True)
class Detector:
    """SSDLite. Build it with `detector_on`, which fits a network of any input to the task.

    backbone: a network that halves its map five times, of 64 px or more; its `classes` are those to be found (without
    background), its `resolution` is the side of the square that pictures are brought to. Its classifier is not used.
    extra_filters: output channels of the layers after the backbone, each at half the side of the one before.
    """

    backbone: Architecture
    extra_filters: tuple[int, ...] = EXTRA_FILTERS

    def __post_init__(self) -> None:
        found = _halvings(self.backbone)
        if found != HALVINGS:
            raise ArchitectureError(
                f"a detector's backbone halves its map {HALVINGS} times, and this one does so {found} times: "
                f"{self.backbone}; give it the strides it has for 224 px"
            )
        if self.backbone.resolution < MIN_DETECTOR_RESOLUTION:
            raise ArchitectureError(
                f"a detector needs pictures of {MIN_DETECTOR_RESOLUTION} px or more, got {self.backbone.resolution} px"
            )
        if not self.extra_filters or min(self.extra_filters) < 2:
            raise ArchitectureError(f"extra layers are {self.extra_filters}; each needs 2 filters or more")

    @property
    def classes(self) -> int:
        """Classes to be found, without the background."""
        return self.backbone.classes

    @property
    def resolution(self) -> int:
        """Side of the square that pictures are brought to, px."""
        return self.backbone.resolution

    @property
    def tap(self) -> int:
        """Index of the layer that brings the map from 1/16 to 1/32: the first map is taken inside it."""
        return max(index for index, layer in enumerate(layers(self.backbone)) if layer.stride == 2)

    def maps(self) -> tuple[FeatureMap, ...]:
        """All maps, the largest first.

        The first is what the tap's 1x1 expansion gives, before the depthwise convolution halves it; where the layer
        has no expansion, what comes into it.
        """
        tap = layers(self.backbone)[self.tap]
        side = layers(self.backbone)[-1].resolution_out
        channels = tap.channels_inside if tap.expansion > 1 else tap.channels_in
        found = [FeatureMap(channels, tap.resolution_in, FIRST_BOXES)]
        found.append(FeatureMap(self.backbone.head_filters, side, LATER_BOXES))
        for filters in self.extra_filters:
            side = halved(side, 2)
            found.append(FeatureMap(filters, side, LATER_BOXES))
        return tuple(found)

    def __str__(self) -> str:
        return f"{_PREFIX}{','.join(map(str, self.extra_filters))} | {self.backbone}"

    @classmethod
    def parse(cls, text: str) -> Detector:
        """Inverse of `str`. Raises ArchitectureError naming the part that does not read."""
        first, _, rest = text.partition(" | ")
        numbers = first.removeprefix(_PREFIX).split(",")
        if not is_detector(text) or not all(number.isdecimal() for number in numbers):
            raise ArchitectureError(f"no detector: {text!r}; expected 'ssdlite extra512,256,256,128 | in3@320 ...'")
        return cls(Architecture.parse(rest), tuple(map(int, numbers)))


def is_detector(text: str) -> bool:
    """Whether a text form is a detector's, not a classification network's."""
    return text.startswith(_PREFIX)


def detector_on(architecture: Architecture, *, classes: int, resolution: int = 320) -> Detector:
    """SSDLite on a classification network, for colour pictures.

    architecture: of that network. classes: to be found, without the background. resolution: side of the pictures, px.
    A network that was fitted to small pictures (see `adapted`) gets the strides back that its blocks have for large
    ones, which changes no weight. Raises ArchitectureError where it halves its map less or more than five times and
    its blocks are not those of MobileNetV2's pattern.
    """
    fitted = replace(architecture, classes=classes, resolution=resolution, channels=3, hidden_filters=0)
    return Detector(_with_strides(fitted) if _halvings(fitted) < HALVINGS else fitted)


def count_detector(detector: Detector) -> Counts:
    """Trainable parameters and multiply-adds for one picture: backbone, extra layers, predictors of each map.

    Default boxes, decoding and non-maximum suppression are not counted, as in the published figures.
    """
    rows = [row for row in count(detector.backbone).rows if row.part not in ("hidden", "classifier")]
    maps = detector.maps()
    for number, (before, after) in enumerate(pairwise(maps[1:]), start=1):
        rows.append(_extra(f"extra {number}", before, after))
    outputs = BOX_VALUES + detector.classes + 1
    rows += [_predictors(f"predictors {number}", found, outputs) for number, found in enumerate(maps, start=1)]
    return Counts(sum(row.parameters for row in rows), sum(row.madds for row in rows), tuple(rows))


def _with_strides(architecture: Architecture) -> Architecture:
    had = (architecture.stem_stride, *(block.stride for block in architecture.blocks))
    wanted = _STRIDES[: len(had)]
    fits = len(had) in (len(_STRIDES) - 1, len(_STRIDES)) and all(h <= w for h, w in zip(had, wanted, strict=True))
    if not fits:
        return architecture
    blocks = tuple(replace(block, stride=stride) for block, stride in zip(architecture.blocks, wanted[1:], strict=True))
    return replace(architecture, stem_stride=wanted[0], blocks=blocks)


def _halvings(architecture: Architecture) -> int:
    return [architecture.stem_stride, *(block.stride for block in architecture.blocks)].count(2)


def _extra(part: str, before: FeatureMap, after: FeatureMap) -> Row:
    """1x1 to half the width, depthwise 3x3 of stride 2, 1x1 to the width, each with batch norm."""
    narrow = after.channels // 2
    stages = (
        conv_counts(1, before.channels, narrow, before.resolution),
        conv_counts(3, narrow, narrow, after.resolution, groups=narrow),
        conv_counts(1, narrow, after.channels, after.resolution),
    )
    return Row(part, after.channels, after.resolution, sum(p for p, _ in stages), sum(m for _, m in stages))


def _predictors(part: str, found: FeatureMap, outputs: int) -> Row:
    """One predictor of boxes and one of classes: depthwise 3x3 with batch norm each, then 1x1 with bias."""
    parameters, madds = conv_counts(3, found.channels, found.channels, found.resolution, groups=found.channels)
    filters = found.boxes * outputs
    weights = found.channels * filters
    return Row(
        part,
        filters,
        found.resolution,
        2 * parameters + weights + filters,
        2 * madds + weights * found.resolution**2,
    )
