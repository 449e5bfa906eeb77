"""An architecture laid out layer by layer: the one place where channels, sizes and skips are worked out."""

from __future__ import annotations

from dataclasses import dataclass

from nasfit.architecture.architecture import Architecture, Block
from nasfit.architecture.rounding import divisible


@dataclass(frozen=True)
class Layer:
    """One layer of a block with everything that building or counting it needs.

    block: index of its block. channels_inside: of the depthwise stage; for `conv`, of its output. squeeze: channels
    inside squeeze-and-excitation, 0 where there is none; se_form: `se` or `hse`. skip: what is really added:
    `identity`, `pool` or `none`. activation: after all its convolutions but the last 1x1. resolution_in,
    resolution_out: px of the square maps.
    """

    block: int
    op: str
    kernel: int
    stride: int
    channels_in: int
    channels_inside: int
    channels_out: int
    squeeze: int
    se_form: str
    skip: str
    activation: str
    resolution_in: int
    resolution_out: int

    @property
    def expansion(self) -> float:
        """Width of the depthwise stage over the input's, 1 or more; 1 for `conv`, which has no such stage."""
        return 1.0 if self.op == "conv" else self.channels_inside / self.channels_in


def halved(resolution: int, stride: int) -> int:
    """Side of the map after a convolution of this stride with padding k // 2: rounded up, px."""
    return -(-resolution // stride)


def layers(architecture: Architecture) -> tuple[Layer, ...]:
    """All layers of all blocks, in order."""
    found: list[Layer] = []
    channels, resolution = architecture.stem_filters, halved(architecture.resolution, architecture.stem_stride)
    for index, block in enumerate(architecture.blocks):
        for position in range(block.layers):
            stride = block.stride if position == 0 else 1
            layer = _layer(block, index, stride, channels, resolution, architecture.activation)
            found.append(layer)
            channels, resolution = layer.channels_out, layer.resolution_out
    return tuple(found)


def _layer(block: Block, index: int, stride: int, channels: int, resolution: int, activation: str) -> Layer:
    inside = block.filters if block.op == "conv" else _expanded(block, channels)
    same_shape = channels == block.filters and stride == 1
    skip = block.skip
    if (skip == "identity" and not same_shape) or (skip == "pool" and channels != block.filters):
        skip = "none"
    return Layer(
        block=index,
        op=block.op,
        kernel=block.kernel,
        stride=stride,
        channels_in=channels,
        channels_inside=inside,
        channels_out=block.filters,
        squeeze=_squeeze(block, channels, inside),
        se_form=block.se_form,
        skip=skip,
        activation=block.activation or activation,
        resolution_in=resolution,
        resolution_out=halved(resolution, stride),
    )


def _expanded(block: Block, channels: int) -> int:
    wide = channels * block.expansion
    return int(wide) if block.expansion.is_integer() else max(channels, divisible(wide))


def _squeeze(block: Block, channels: int, inside: int) -> int:
    """Squeezed width as in the published model code: a share of the layer's input (MnasNet) or inside (MobileNetV3)."""
    if not block.se_ratio:
        return 0
    return divisible(block.se_ratio * inside) if block.se_form == "hse" else max(1, int(block.se_ratio * channels))
