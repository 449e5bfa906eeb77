"""The paper's space around MobileNetV2, with 5 or all 7 blocks searched, and one with a leaner end.

The paper's size, 432^5, is five searched blocks; every released network shares block 1 (one 3x3 separable layer to 16)
and block 7 (one 3x3 `mbconv6` layer to 320), so `mnasnet` fixes these two and `mnasnet-7` searches them as well.

`mnasnet-lean`, the default, searches the blocks of `mnasnet` and ends as MobileNetV3 does (Howard et al. 2019, section
5.1) without its hidden layer: no block 7, the head is what would have been its expansion, and it narrows with the rest.
"""

from __future__ import annotations

from nasfit.architecture import Block
from nasfit.errors import UnknownNameError
from nasfit.space.ablations import ablations
from nasfit.space.space import BlockChoices, SearchSpace

ANCHOR_FILTERS = (16, 24, 32, 64, 96, 160, 320)
ANCHOR_LAYERS = (1, 2, 3, 4, 3, 3, 1)
ANCHOR_STRIDES = (1, 2, 2, 2, 1, 2, 1)
FILTER_FACTORS = (0.75, 1.0, 1.25)
DEPTH_STEPS = (-1, 0, 1)


def rounded_filters(filters: float) -> int:
    """Down to a multiple of 16 from 64 up, to the nearest multiple of 8 (halves up) below.

    So that MnasNet A1 (112 = 96 * 1.25) and B1 (192 = 160 * 1.25) are points of the space.
    """
    return int(filters) // 16 * 16 if filters >= 64 else int(filters / 8 + 0.5) * 8


def _choices(block: int) -> BlockChoices:
    filters = dict.fromkeys(rounded_filters(ANCHOR_FILTERS[block] * factor) for factor in FILTER_FACTORS)
    depths = dict.fromkeys(max(1, ANCHOR_LAYERS[block] + step) for step in DEPTH_STEPS)
    return BlockChoices(filters=tuple(filters), layers=tuple(depths), stride=ANCHOR_STRIDES[block])


_FIRST = Block("sepconv", 3, 1, 0.0, "none", 16, 1)
_LAST = Block("mbconv6", 3, 1, 0.0, "identity", 320, 1)
_SPACES = {
    space.name: space
    for space in (
        SearchSpace("mnasnet", (_FIRST, *(_choices(block) for block in range(1, 6)), _LAST)),
        SearchSpace(
            "mnasnet-lean",
            (_FIRST, *(_choices(block) for block in range(1, 6))),
            head_filters=6 * ANCHOR_FILTERS[5],
            head_scales=True,
        ),
        SearchSpace("mnasnet-7", tuple(_choices(block) for block in range(7))),
    )
}
SPACES = tuple(_SPACES)
_ABLATIONS = {space.name: space for space in ablations(_SPACES["mnasnet"])}
ABLATIONS = tuple(_ABLATIONS)
DEFAULT_SPACE = "mnasnet-lean"


def named_space(name: str) -> SearchSpace:
    """A space that nasfit ships, one of `SPACES` or `ABLATIONS`. Raises UnknownNameError."""
    known = _SPACES | _ABLATIONS
    if name not in known:
        raise UnknownNameError("search space", name, known)
    return known[name]
