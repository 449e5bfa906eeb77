"""Architecture -> torch module, with the layer semantics of the published model code.

Shapes: B batch, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from nasfit.architecture import Architecture, Layer, layers
from nasfit.errors import ArchitectureError

BN_EPSILON = 1e-3
BN_MOMENTUM = 0.01

Activation = Callable[[], nn.Module]
ACTIVATIONS: dict[str, Activation] = {"relu": nn.ReLU, "relu6": nn.ReLU6, "hswish": nn.Hardswish}


def build(
    architecture: Architecture,
    *,
    dropout: float = 0.0,
    bn_epsilon: float = BN_EPSILON,
    bn_momentum: float = BN_MOMENTUM,
    same_padding: bool = False,
) -> Network:
    """A freshly initialised module: images_BCHW (float, normalised) -> logits_BK.

    architecture: what is built. dropout: share of the head's features dropped in training, 0 to 1. bn_epsilon: of batch
    norm. bn_momentum: of its running statistics, as torch counts it (1 minus TensorFlow's). same_padding: TensorFlow's
    `SAME` rule, which pads stride-2 convolutions on the lower right; for its weights. Raises ArchitectureError where a
    map of odd size would be halved under same_padding.
    """
    if same_padding:
        _require_even_maps(architecture)
    network = Network(architecture, dropout, same_padding)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = bn_epsilon, bn_momentum
    initialise(network)
    return network


class Network(nn.Module):
    """Stem, layers in order, head, global mean, classifier (after a hidden layer where the architecture has one)."""

    def __init__(self, architecture: Architecture, dropout: float = 0.0, same_padding: bool = False) -> None:
        super().__init__()
        activation = ACTIVATIONS[architecture.activation]
        conv = partial(conv_bn, same_padding=same_padding)
        plan = layers(architecture)
        self.architecture = architecture
        self.same_padding = same_padding
        self.stem = nn.Sequential(
            *conv(architecture.channels, architecture.stem_filters, 3, stride=architecture.stem_stride), activation()
        )
        self.layers = nn.Sequential(*(MobileLayer(layer, same_padding) for layer in plan))
        self.head = nn.Sequential(*conv(plan[-1].channels_out, architecture.head_filters, 1), activation())
        self.pool = nn.AdaptiveAvgPool2d(1)
        features, hidden = architecture.head_filters, architecture.hidden_filters
        between = [nn.Linear(features, hidden), activation()] if hidden else []
        self.classifier = nn.Sequential(
            nn.Flatten(), *between, nn.Dropout(dropout), nn.Linear(hidden or features, architecture.classes)
        )

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits (B, K)."""
        logits_BK: Tensor = self.classifier(self.pool(self.head(self.layers(self.stem(images_BCHW)))))
        return logits_BK


class MobileLayer(nn.Module):
    """One layer: convolutions, squeeze-and-excitation where it has one, and its skip."""

    def __init__(self, layer: Layer, same_padding: bool = False) -> None:
        super().__init__()
        conv, activation = partial(conv_bn, same_padding=same_padding), ACTIVATIONS[layer.activation]
        inside = layer.channels_inside
        before: list[nn.Module] = []
        after: list[nn.Module] = []
        if layer.op == "conv":
            before += [*conv(layer.channels_in, inside, layer.kernel, stride=layer.stride), activation()]
        else:
            if layer.expansion > 1:
                before += [*conv(layer.channels_in, inside, 1), activation()]
            before += [*conv(inside, inside, layer.kernel, stride=layer.stride, groups=inside), activation()]
            after += conv(inside, layer.channels_out, 1)
        gate: Activation = nn.Hardsigmoid if layer.se_form == "hse" else nn.Sigmoid
        squeeze = [SqueezeExcitation(inside, layer.squeeze, gate)] if layer.squeeze else []
        self.body = nn.Sequential(*before, *squeeze, *after)
        self.skip: nn.Module | None = None
        if layer.skip == "identity":
            self.skip = nn.Identity()
        elif layer.skip == "pool":
            self.skip = nn.AvgPool2d(3, stride=layer.stride, padding=1, count_include_pad=False)

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Maps of the layer's output size."""
        out_BCHW: Tensor = self.body(maps_BCHW)
        return out_BCHW if self.skip is None else out_BCHW + self.skip(maps_BCHW)


class SqueezeExcitation(nn.Module):
    """Channels scaled by gate(expand(relu(reduce(mean)))); gate: sigmoid, or hard sigmoid in MobileNetV3."""

    def __init__(self, channels: int, squeeze: int, gate: Activation = nn.Sigmoid) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeeze, 1)
        self.activation = nn.ReLU()
        self.expand = nn.Conv2d(squeeze, channels, 1)
        self.gate = gate()

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Maps of the same shape."""
        scale: Tensor = self.gate(self.expand(self.activation(self.reduce(self.pool(maps_BCHW)))))
        return maps_BCHW * scale


def conv_bn(
    channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, groups: int = 1, same_padding: bool = False
) -> list[nn.Module]:
    """Convolution without bias, then batch norm; preceded by explicit padding where TensorFlow's rule is uneven."""
    padding = kernel // 2
    modules: list[nn.Module] = []
    if same_padding and stride == 2 and kernel > 1:
        # For even sizes, which `build` makes sure of, SAME pads one pixel less on the upper left.
        modules.append(nn.ZeroPad2d((padding - 1, padding, padding - 1, padding)))
        padding = 0
    conv = nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=padding, groups=groups, bias=False)
    return [*modules, conv, nn.BatchNorm2d(channels_out)]


def _require_even_maps(architecture: Architecture) -> None:
    halved = [architecture.resolution] if architecture.stem_stride == 2 else []
    halved += [layer.resolution_in for layer in layers(architecture) if layer.stride == 2]
    odd = [side for side in halved if side % 2]
    if odd:
        raise ArchitectureError(
            f"same_padding halves even maps only, but one of {odd[0]} px would be halved; "
            f"use a resolution that is a multiple of 32"
        )


def initialise(module: nn.Module) -> None:
    """Convolutions normal with std sqrt(2 / (k * k * out)), linear uniform within 1 / sqrt(in).

    The published code takes the outputs for the linear layer, 1,000 there, about as many as its 1,280 inputs; with ten
    classes that rule gives logits ten times too large, and short trainings that diverge.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.kernel_size[0] * part.kernel_size[1] * part.out_channels // part.groups
            nn.init.normal_(part.weight, std=math.sqrt(2.0 / fan_out))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Linear):
            bound = 1.0 / math.sqrt(part.in_features)
            nn.init.uniform_(part.weight, -bound, bound)
            nn.init.zeros_(part.bias)


def calm(network: Network) -> None:
    """Layers with a skip start as the skip alone: scale 0 in their last batch norm (Goyal et al. 2017, section 5.1).

    For short trainings; measured on Fashion-MNIST, 16,000 pictures: 1 to 3 points of accuracy.
    """
    for layer in network.layers:
        assert isinstance(layer, MobileLayer)
        last = layer.body[-1]
        if layer.skip is not None and isinstance(last, nn.BatchNorm2d):
            nn.init.zeros_(last.weight)


def parameter_count(module: nn.Module) -> int:
    """Trainable parameters of a built module."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def madds_count(network: nn.Module, channels: int, resolution: int) -> int:
    """Multiply-adds of a built module for one image, counted while it runs; the check on the analytic count."""
    total = 0

    def add(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += module.weight.numel() * output.shape[2] * output.shape[3]
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    hooks = [part.register_forward_hook(add) for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, channels, resolution, resolution))
    finally:
        for hook in hooks:
            hook.remove()
    return total
