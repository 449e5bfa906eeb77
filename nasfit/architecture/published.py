"""Published networks by name.

Sources: the authors' model code for MnasNet A1, B1 and small (Tan et al. 2019; A2's and A3's blocks were never
published); Sandler et al. 2018, table 2 for MobileNetV2; Howard et al. 2019, table 2 for MobileNetV3-small.
"""

from __future__ import annotations

from dataclasses import replace

from nasfit.architecture.architecture import Architecture
from nasfit.architecture.block_strings import read_blocks
from nasfit.architecture.rounding import divisible
from nasfit.architecture.scaling import scaled
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
_V3_SMALL = (
    "in3@224 stem16s2 | sepconv k3 s2 hse0.25 none f16 n1 relu | mbconv4.5 k3 s2 se0 none f24 n1 relu | "
    "mbconv3.67 k3 s1 se0 identity f24 n1 relu | mbconv4 k5 s2 hse0.25 none f40 n1 | "
    "mbconv6 k5 s1 hse0.25 identity f40 n2 | mbconv3 k5 s1 hse0.25 identity f48 n1 | "
    "mbconv3 k5 s1 hse0.25 identity f48 n1 | mbconv6 k5 s2 hse0.25 none f96 n1 | "
    "mbconv6 k5 s1 hse0.25 identity f96 n2 | head576 hidden1024 out1000 hswish"
)
PUBLISHED = (*_BLOCKS, "mobilenet-v3-small")


def published(name: str, width: float = 1.0) -> Architecture:
    """A published network for 224 px and 1,000 classes, its width scaled by `width` > 0.

    MobileNetV2 and V3 also widen the layer before the classifier above width 1, as their authors do. Raises
    UnknownNameError.
    """
    if name not in PUBLISHED:
        raise UnknownNameError("network", name, PUBLISHED)
    network = Architecture.parse(_V3_SMALL) if name == "mobilenet-v3-small" else _of_blocks(name)
    if width == 1.0:
        return network
    network = scaled(network, width)
    if width < 1 or not name.startswith("mobilenet"):
        return network
    if network.hidden_filters:
        return replace(network, hidden_filters=divisible(network.hidden_filters * width))
    return replace(network, head_filters=divisible(network.head_filters * width))


def _of_blocks(name: str) -> Architecture:
    stem_filters, blocks = _BLOCKS[name]
    return Architecture(
        stem_filters=stem_filters,
        stem_stride=2,
        blocks=read_blocks(blocks, stem_filters),
        head_filters=1280,
        activation="relu6" if name == "mobilenet-v2" else "relu",
    )
