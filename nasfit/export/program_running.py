"""A Program run by torch in float32: the reference for every file, and where ranges for quantization are seen.

Shapes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nasfit.export.program import (
    Activation,
    AveragePool,
    Binary,
    Convolution,
    Flatten,
    GlobalMean,
    Linear,
    Operator,
    Program,
    Unary,
    UnaryKind,
)

Change = Callable[[str, Tensor], Tensor]
_UNARY: dict[UnaryKind, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "relu6": functional.relu6,
    "sigmoid": torch.sigmoid,
    "hswish": functional.hardswish,
    "hsigmoid": functional.hardsigmoid,
}


def run_program(program: Program, images_BCHW: Tensor, change: Change | None = None) -> dict[str, Tensor]:
    """Every tensor of the program by name, float32, with the batch as first dimension.

    images_BCHW: normalised float32 pictures. change: called with name and value of each tensor, the picture's too, when
    it has been computed; what it gives back is what later operators read.
    """
    tensors: dict[str, Tensor] = {}
    with torch.no_grad():
        tensors[program.input] = _changed(program.input, images_BCHW.float(), change)
        for operator in program.operators:
            value = _run(operator, *(tensors[name] for name in operator.inputs))
            tensors[operator.output] = _changed(operator.output, value, change)
    return tensors


def _changed(name: str, value: Tensor, change: Change | None) -> Tensor:
    return value if change is None else change(name, value)


@singledispatch
def _run(operator: Operator, *inputs: Tensor) -> Tensor:
    raise AssertionError(f"no way to run {operator!r}")


@_run.register
def _(operator: Convolution, maps_BCHW: Tensor) -> Tensor:
    out_BCHW = functional.conv2d(
        _padded(maps_BCHW, operator.padding),
        _tensor(operator.weight_OIHW),
        _tensor(operator.bias_O),
        operator.stride,
        0,
        operator.dilation,
        operator.groups,
    )
    return _activated(out_BCHW, operator.activation)


@_run.register
def _(operator: Linear, features_BI: Tensor) -> Tensor:
    out_BO = functional.linear(features_BI, _tensor(operator.weight_OI), _tensor(operator.bias_O))
    return _activated(out_BO, operator.activation)


@_run.register
def _(operator: Binary, left: Tensor, right: Tensor) -> Tensor:
    return _activated(left + right if operator.kind == "add" else left * right, operator.activation)


@_run.register
def _(operator: Unary, value: Tensor) -> Tensor:
    return _UNARY[operator.kind](value)


@_run.register
def _(operator: AveragePool, maps_BCHW: Tensor) -> Tensor:
    mean_BCHW = functional.avg_pool2d(_padded(maps_BCHW, operator.padding), operator.kernel, operator.stride)
    if operator.counted:
        return mean_BCHW
    inside_11HW = _padded(torch.ones_like(maps_BCHW[:1, :1]), operator.padding)
    return mean_BCHW / functional.avg_pool2d(inside_11HW, operator.kernel, operator.stride)


@_run.register
def _(operator: GlobalMean, maps_BCHW: Tensor) -> Tensor:
    return maps_BCHW.mean((2, 3), keepdim=operator.keep)


@_run.register
def _(operator: Flatten, value: Tensor) -> Tensor:
    return value.flatten(1)


def _activated(value: Tensor, activation: Activation) -> Tensor:
    return value if activation == "none" else _UNARY[activation](value)


def _padded(maps_BCHW: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    top, bottom, left, right = padding
    return functional.pad(maps_BCHW, (left, right, top, bottom))


def _tensor(weight: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(weight, dtype=np.float32))
