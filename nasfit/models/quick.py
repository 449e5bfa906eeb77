"""The same network, trained faster on a CPU: for as long as a training lasts, its modules take quicker ways.

Names, weights and results stay, up to rounding; outside a training, and for export, the modules are torch's own.

Shapes: B batch, C channels, I and O channels in and out, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasfit.models.depthwise import depthwise_conv2d, is_depthwise
from nasfit.models.expansion import expanded, is_expansion


@contextmanager
def quickened(network: nn.Module) -> Iterator[None]:
    """While it lasts, `network` computes what it did before, in less time on a CPU; elsewhere it is left alone.

    Depthwise convolutions have gradients of their own, convolutions of one pixel are matrix products, with the batch
    norm folded in where they widen, and activations overwrite what they are given. Precision follows the pictures':
    given bfloat16 ones, all maps are bfloat16, while weights, their gradients and batch norm's statistics stay float32.
    """
    changed: list[nn.Module] = []
    in_place: list[nn.ReLU] = []
    if next(network.parameters()).device.type == "cpu":
        for part in network.modules():
            # Not ReLU6: what an expansion returns must not be overwritten, and only a ReLU is part of it.
            if isinstance(part, nn.ReLU) and not part.inplace:
                in_place.append(part)
                part.inplace = True
            elif forward := _quick_forward(part):
                # As an attribute of this one module, bound to it: a deep copy takes the same way with its own weights.
                part.__dict__["forward"] = MethodType(forward, part)
                changed.append(part)
    try:
        yield
    finally:
        for part in changed:
            del part.__dict__["forward"]
        for activation in in_place:
            activation.inplace = False


def pointwise_conv2d(maps_BIHW: Tensor, weight_OI11: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """Convolution of one pixel as a product of matrices; the result lies in channels-last memory."""
    maps_BHWI = maps_BIHW.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    out_BHWO: Tensor = functional.linear(maps_BHWI, weight_OI11.flatten(1), bias_O)
    return out_BHWO.permute(0, 3, 1, 2)


def _quick_forward(part: nn.Module) -> Callable[..., Tensor] | None:
    """A quicker way of the module's own, None where there is none."""
    if isinstance(part, nn.Linear):
        return _as_linear
    if isinstance(part, nn.Sequential):
        modules = list(part)
        return _in_groups if any(map(is_expansion, modules, modules[1:])) else None
    if not isinstance(part, nn.Conv2d):
        return None
    if is_depthwise(part):
        return _as_depthwise
    plain = (part.kernel_size, part.stride, part.padding, part.groups) == ((1, 1), (1, 1), (0, 0), 1)
    return _as_pointwise if plain else _as_convolution


def _as_linear(linear: nn.Linear, features_BI: Tensor) -> Tensor:
    return functional.linear(features_BI, *_weights(linear, features_BI.dtype))


def _as_convolution(conv: nn.Conv2d, maps_BIHW: Tensor) -> Tensor:
    out_BOHW: Tensor = conv._conv_forward(maps_BIHW, *_weights(conv, maps_BIHW.dtype))
    return out_BOHW


def _as_pointwise(conv: nn.Conv2d, maps_BIHW: Tensor) -> Tensor:
    return pointwise_conv2d(maps_BIHW, *_weights(conv, maps_BIHW.dtype))


def _as_depthwise(conv: nn.Conv2d, maps_BCHW: Tensor) -> Tensor:
    return depthwise_conv2d(maps_BCHW, conv.weight, conv.stride[0])


def _weights(part: nn.Conv2d | nn.Linear, precision: torch.dtype) -> tuple[Tensor, Tensor | None]:
    return part.weight.to(precision), None if part.bias is None else part.bias.to(precision)


def _in_groups(sequence: nn.Sequential, maps_BCHW: Tensor) -> Tensor:
    """The modules in order, an expansion with the norm and the ReLU that follow it at once."""
    ahead = list(sequence)
    while ahead:
        part = ahead.pop(0)
        norm = ahead[0] if ahead else None
        if (
            sequence.training
            and isinstance(part, nn.Conv2d)
            and isinstance(norm, nn.BatchNorm2d)
            and is_expansion(part, norm)
        ):
            relu = type(ahead[1]) is nn.ReLU if len(ahead) > 1 else False
            maps_BCHW = expanded(maps_BCHW, part, norm, relu=relu)
            del ahead[: 1 + relu]
        else:
            maps_BCHW = part(maps_BCHW)
    return maps_BCHW
