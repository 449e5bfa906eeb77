"""What a network asks of a device, in sums over its layers that need no measurement: work, traffic, calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from nasfit.architecture import Architecture, Layer, layers
from nasfit.architecture.layers import halved

GROUPS = ("work", "traffic", "calls")


@dataclass(frozen=True)
class Stage:
    """One convolution or matrix product. Sides in px; groups: 1, or channels_in where it is depthwise."""

    kind: str
    kernel: int
    stride: int
    channels_in: int
    channels_out: int
    groups: int
    side_in: int
    side_out: int

    @property
    def weights(self) -> int:
        """Number of weights, without biases."""
        return self.kernel**2 * self.channels_in * self.channels_out // self.groups


def stages(architecture: Architecture) -> Iterator[Stage]:
    """All convolutions in order; squeeze-and-excitation is counted apart, as it works on single pixels."""
    side = halved(architecture.resolution, architecture.stem_stride)
    ends = architecture.stem_filters, architecture.head_filters
    yield Stage("stem", 3, architecture.stem_stride, architecture.channels, ends[0], 1, architecture.resolution, side)
    found = layers(architecture)
    for layer in found:
        yield from _stages(layer)
    last = found[-1]
    yield Stage("pointwise", 1, 1, last.channels_out, ends[1], 1, last.resolution_out, last.resolution_out)
    features = ends[1]
    if architecture.hidden_filters:
        yield Stage("classifier", 1, 1, features, architecture.hidden_filters, 1, 1, 1)
        features = architecture.hidden_filters
    yield Stage("classifier", 1, 1, features, architecture.classes, 1, 1, 1)


def terms(architecture: Architecture) -> dict[tuple[str, str], float]:
    """Sums by (group, name): multiply-adds by kind of convolution, weights and activations moved, calls made."""
    total: dict[tuple[str, str], float] = defaultdict(float)
    for stage in stages(architecture):
        shape = f"{stage.kind} {stage.kernel}x{stage.kernel} stride {stage.stride}"
        total["work", shape] += stage.weights * stage.side_out**2
        total["traffic", f"weights {stage.kind}"] += stage.weights
        moved = stage.channels_in * stage.side_in**2 + stage.channels_out * stage.side_out**2
        total["traffic", f"activations {stage.kind}"] += moved
    for layer in layers(architecture):
        total["calls", "layers"] += 1
        if layer.squeeze:
            total["calls", "squeeze"] += 1
            total["calls", "squeezed activations"] += layer.channels_inside * layer.resolution_out**2
        if layer.skip != "none":
            total["calls", f"{layer.skip} activations"] += layer.channels_out * layer.resolution_out**2
    return dict(total)


def _stages(layer: Layer) -> Iterator[Stage]:
    into, inside, out = layer.channels_in, layer.channels_inside, layer.channels_out
    before, after = layer.resolution_in, layer.resolution_out
    if layer.op == "conv":
        yield Stage("convolution", layer.kernel, layer.stride, into, out, 1, before, after)
        return
    if layer.expansion > 1:
        yield Stage("pointwise", 1, 1, into, inside, 1, before, before)
    yield Stage("depthwise", layer.kernel, layer.stride, inside, inside, inside, before, after)
    yield Stage("pointwise", 1, 1, inside, out, 1, after, after)
