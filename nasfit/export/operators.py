"""How each kind of module, function and method becomes an operator of a program; the tables at the end list them all.

A reader gives the operator, or the name of the tensor that the call hands on unchanged.
Shapes: C channels, H and W pixels; O output and I input channels of a weight.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nasfit.export.program import (
    AveragePool,
    Binary,
    Convolution,
    Flatten,
    GlobalMean,
    Linear,
    Operator,
    Unary,
    UnaryKind,
)
from nasfit.export.traced_call import TracedCall

ReadModule = Callable[[TracedCall, Any], Operator | str]
ReadCall = Callable[[TracedCall], Operator | str]

NO_PADDING = (0, 0, 0, 0)


def per_channel(name: str, output: str, scale_C: np.ndarray, shift_C: np.ndarray) -> Convolution:
    """scale * x + shift as a depthwise 1x1 convolution, which every engine has and every convolution can take in."""
    channels = len(scale_C)
    return Convolution(
        input=name,
        output=output,
        weight_OIHW=scale_C.reshape(channels, 1, 1, 1),
        bias_O=shift_C,
        stride=(1, 1),
        padding=NO_PADDING,
        dilation=(1, 1),
        groups=channels,
    )


def _convolution(call: TracedCall, conv: nn.Conv2d) -> Operator:
    if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        raise call.unsupported(f"padding {conv.padding!r} of mode {conv.padding_mode!r}; use numbers and 'zeros'")
    rows, columns = conv.padding
    return Convolution(
        input=call.tensor(),
        output=call.name,
        weight_OIHW=_array(conv.weight),
        bias_O=_bias(conv.bias, conv.out_channels),
        stride=_pair(conv.stride),
        padding=(rows, rows, columns, columns),
        dilation=_pair(conv.dilation),
        groups=conv.groups,
    )


def _batch_norm(call: TracedCall, norm: nn.BatchNorm2d) -> Operator:
    if norm.running_mean is None or norm.running_var is None:
        raise call.unsupported("batch norm without running statistics; a file has no batch to take them from")
    scale_C = torch.rsqrt(norm.running_var.double() + norm.eps)
    if norm.weight is not None:
        scale_C = scale_C * norm.weight.double()
    shift_C = -norm.running_mean.double() * scale_C
    if norm.bias is not None:
        shift_C = shift_C + norm.bias.double()
    return per_channel(call.tensor(), call.name, _array(scale_C), _array(shift_C))


def _zero_pad(call: TracedCall, pad: nn.ZeroPad2d) -> Operator:
    left, right, top, bottom = pad.padding
    if min(pad.padding) < 0:
        raise call.unsupported(f"padding {pad.padding}; a negative one crops, which no file expresses here")
    channels = call.shapes[call.tensor()][0]
    ones_C, zeros_C = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return replace(per_channel(call.tensor(), call.name, ones_C, zeros_C), padding=(top, bottom, left, right))


def _linear(call: TracedCall, linear: nn.Linear) -> Operator:
    return Linear(call.tensor(), call.name, _array(linear.weight), _bias(linear.bias, linear.out_features))


def _average_pool(call: TracedCall, pool: nn.AvgPool2d) -> Operator:
    if pool.ceil_mode or pool.divisor_override is not None:
        raise call.unsupported("average pooling with ceil_mode or divisor_override; files count these otherwise")
    rows, columns = _pair(pool.padding)
    return AveragePool(
        input=call.tensor(),
        output=call.name,
        kernel=_pair(pool.kernel_size),
        stride=_pair(pool.stride),
        padding=(rows, rows, columns, columns),
        counted=pool.count_include_pad,
    )


def _adaptive_pool(call: TracedCall, pool: nn.AdaptiveAvgPool2d) -> Operator:
    return _global_mean(call, pool.output_size)


def _adaptive_pool_call(call: TracedCall) -> Operator:
    return _global_mean(call, call.argument(1, "output_size", None))


def _global_mean(call: TracedCall, size: object) -> Operator:
    if size not in (1, (1, 1), [1, 1]):
        raise call.unsupported(f"adaptive pooling to {size}; only to one pixel")
    return GlobalMean(call.tensor(), call.name, keep=True)


def _mean(call: TracedCall) -> Operator:
    axes = call.argument(1, "dim", None)
    rank = 1 + len(call.shapes[call.tensor()])
    if not isinstance(axes, list | tuple) or sorted(int(axis) % rank for axis in axes) != [2, 3]:
        raise call.unsupported(f"mean over {axes!r}; only over rows and columns of a map: (2, 3)")
    return GlobalMean(call.tensor(), call.name, keep=bool(call.argument(2, "keepdim", False)))


def _flatten_module(call: TracedCall, flatten: nn.Flatten) -> Operator | str:
    return _flatten(call, flatten.start_dim, flatten.end_dim)


def _flatten_call(call: TracedCall) -> Operator | str:
    return _flatten(call, call.argument(1, "start_dim", 0), call.argument(2, "end_dim", -1))


def _flatten(call: TracedCall, start: object, end: object) -> Operator | str:
    name = call.tensor()
    rank = 1 + len(call.shapes[name])
    if start != 1 or end not in (-1, rank - 1):
        raise call.unsupported(f"flatten from {start} to {end}; only from 1 to the end")
    return name if rank == 2 else Flatten(name, call.name)


def _dropout(call: TracedCall) -> str:
    if call.argument(2, "training", True):
        raise call.unsupported("dropout in evaluation mode too; give it training=self.training")
    return call.tensor()


def _unary(kind: UnaryKind) -> ReadCall:
    return lambda call: Unary(kind, call.tensor(), call.name)


def _binary(kind: Literal["add", "mul"]) -> ReadCall:
    def read(call: TracedCall) -> Operator:
        if call.argument(2, "alpha", 1) != 1:
            raise call.unsupported(f"alpha {call.argument(2, 'alpha', 1)!r}; add the scaled tensor instead")
        first, second = call.tensor(0), call.tensor(1)
        # Both kinds commute; engines want the smaller operand second.
        if math.prod(call.shapes[second]) > math.prod(call.shapes[first]):
            first, second = second, first
        return Binary(kind, (first, second), call.name)

    return read


def _same(call: TracedCall) -> str:
    return call.tensor()


def _as_module(read: ReadCall) -> ReadModule:
    return lambda call, _: read(call)


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().float().cpu().numpy()
    return array


def _bias(bias: Tensor | None, size: int) -> np.ndarray:
    return np.zeros(size, np.float32) if bias is None else _array(bias)


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    high, wide = (size, size) if isinstance(size, int) else size
    return high, wide


MODULES: dict[type[nn.Module], ReadModule] = {
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _batch_norm,
    nn.Linear: _linear,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool2d: _adaptive_pool,
    nn.Flatten: _flatten_module,
    nn.ZeroPad2d: _zero_pad,
    nn.ReLU: _as_module(_unary("relu")),
    nn.ReLU6: _as_module(_unary("relu6")),
    nn.Sigmoid: _as_module(_unary("sigmoid")),
    nn.Hardswish: _as_module(_unary("hswish")),
    nn.Hardsigmoid: _as_module(_unary("hsigmoid")),
    nn.Dropout: _as_module(_same),
    nn.Identity: _as_module(_same),
}

FUNCTIONS: dict[object, ReadCall] = {
    operator.add: _binary("add"),
    operator.iadd: _binary("add"),
    torch.add: _binary("add"),
    operator.mul: _binary("mul"),
    operator.imul: _binary("mul"),
    torch.mul: _binary("mul"),
    torch.sigmoid: _unary("sigmoid"),
    torch.relu: _unary("relu"),
    functional.relu: _unary("relu"),
    functional.relu6: _unary("relu6"),
    functional.hardswish: _unary("hswish"),
    functional.hardsigmoid: _unary("hsigmoid"),
    functional.dropout: _dropout,
    functional.adaptive_avg_pool2d: _adaptive_pool_call,
    torch.flatten: _flatten_call,
    torch.mean: _mean,
}

METHODS: dict[str, ReadCall] = {
    "add": _binary("add"),
    "mul": _binary("mul"),
    "sigmoid": _unary("sigmoid"),
    "relu": _unary("relu"),
    "mean": _mean,
    "flatten": _flatten_call,
}
