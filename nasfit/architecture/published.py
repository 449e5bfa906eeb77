"""Published networks by name.

Sources: the authors' model code for MnasNet A1, B1 and small (Tan et al. 2019; A2's and A3's blocks were never
published); Sandler et al. 2018 for MobileNetV2.
"""

from __future__ import annotations

from dataclasses import replace

from nasfit.architecture.architecture import Architecture
from nasfit.architecture.block_strings import read_blocks
from nasfit.architecture.scaling import divisible, scaled
from nasfit.errors import UnknownNameError

_BLOCKS = {
    "mnasnet-a1": (
        32,
        "r1_k3_s11_e1_i32_o16_noskip r2_k3_s22_e6_i16_o24 r3_k5_s22_e3_i24_o40_se0.25 r4_k3_s22_e6_i40_o80 "
        "r2_k3_s11_e6_i80_o112_se0.25 r3_k5_s22_e6_i112_o160_se0.25 r1_k3_s11_e6_i160_o320",
    ),
    "mnasnet-b1": (
        32,
        "r1_k3_s11_e1_i32_o16_noskip r3_k3_s22_e3_i16_o24 r3_k5_s22_e3_i24_o40 r3_k5_s22_e6_i40_o80 "
        "r2_k3_s11_e6_i80_o96 r4_k5_s22_e6_i96_o192 r1_k3_s11_e6_i192_o320_noskip",
    ),
    "mnasnet-small": (
        8,
        "r1_k3_s11_e1_i16_o8 r1_k3_s22_e3_i8_o16 r2_k3_s22_e6_i16_o16 r4_k5_s22_e6_i16_o32_se0.25 "
        "r3_k3_s11_e6_i32_o32_se0.25 r3_k5_s22_e6_i32_o88_se0.25 r1_k3_s11_e6_i88_o144",
    ),
    "mobilenet-v2": (
        32,
        "r1_k3_s11_e1_i32_o16 r2_k3_s22_e6_i16_o24 r3_k3_s22_e6_i24_o32 r4_k3_s22_e6_i32_o64 "
        "r3_k3_s11_e6_i64_o96 r3_k3_s22_e6_i96_o160 r1_k3_s11_e6_i160_o320",
    ),
}
PUBLISHED = tuple(_BLOCKS)


def published(name: str, width: float = 1.0) -> Architecture:
    """A published network for 224 px and 1,000 classes, its width scaled by `width` > 0.

    MobileNetV2 also widens its head above width 1, as its authors do. Raises UnknownNameError.
    """
    if name not in _BLOCKS:
        raise UnknownNameError("network", name, _BLOCKS)
    stem_filters, blocks = _BLOCKS[name]
    is_v2 = name == "mobilenet-v2"
    network = Architecture(
        stem_filters=stem_filters,
        stem_stride=2,
        blocks=read_blocks(blocks, stem_filters),
        head_filters=1280,
        activation="relu6" if is_v2 else "relu",
    )
    if width == 1.0:
        return network
    network = scaled(network, width)
    return replace(network, head_filters=divisible(1280 * width)) if is_v2 and width > 1 else network
