"""An architecture laid out layer by layer: the one place where channels, sizes and skips are worked out."""

from __future__ import annotations

from dataclasses import dataclass

from nasfit.architecture.architecture import Architecture, Block


@dataclass(frozen=True)
class Layer:
    """One layer of a block with everything that building or counting it needs.

    block: index of its block. squeeze: channels inside squeeze-and-excitation, 0 where there is none.
    skip: what is really added: `identity`, `pool` or `none`. resolution_in, resolution_out: px of the square maps.
    """

    block: int
    op: str
    kernel: int
    stride: int
    expansion: int
    channels_in: int
    channels_out: int
    squeeze: int
    skip: str
    resolution_in: int
    resolution_out: int

    @property
    def channels_inside(self) -> int:
        """Channels of the depthwise stage; for `conv`, of its output."""
        return self.channels_out if self.op == "conv" else self.channels_in * self.expansion


def halved(resolution: int, stride: int) -> int:
    """Side of the map after a convolution of this stride with padding k // 2: rounded up, px."""
    return -(-resolution // stride)


def layers(architecture: Architecture) -> tuple[Layer, ...]:
    """All layers of all blocks, in order."""
    found: list[Layer] = []
    channels, resolution = architecture.stem_filters, halved(architecture.resolution, architecture.stem_stride)
    for index, block in enumerate(architecture.blocks):
        for position in range(block.layers):
            layer = _layer(block, index, block.stride if position == 0 else 1, channels, resolution)
            found.append(layer)
            channels, resolution = layer.channels_out, layer.resolution_out
    return tuple(found)


def _layer(block: Block, index: int, stride: int, channels: int, resolution: int) -> Layer:
    # The squeezed width follows the layer's input, not its expansion (published model code).
    squeeze = max(1, int(block.se_ratio * channels)) if block.se_ratio else 0
    same_shape = channels == block.filters and stride == 1
    skip = block.skip
    if (skip == "identity" and not same_shape) or (skip == "pool" and channels != block.filters):
        skip = "none"
    return Layer(
        block=index,
        op=block.op,
        kernel=block.kernel,
        stride=stride,
        expansion=block.expansion,
        channels_in=channels,
        channels_out=block.filters,
        squeeze=squeeze,
        skip=skip,
        resolution_in=resolution,
        resolution_out=halved(resolution, stride),
    )
