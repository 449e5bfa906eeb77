"""How each kind of module, function and method is written in ONNX; the tables at the end list them all."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nasfit.export.graph import Graph, Source

EmitModule = Callable[[Graph, Source, Any], None]
EmitCall = Callable[[Graph, Source], None]


def emit_conv(graph: Graph, source: Source, conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> None:
    """Convolution, with the batch norm that follows folded in: w' = w * g / sqrt(v + eps), b' = (b - m) * g' + beta."""
    if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        raise source.unsupported(f"padding {conv.padding!r} of mode {conv.padding_mode!r}; use numbers and 'zeros'")
    weight_OIHW, bias_O = conv.weight, conv.bias
    if norm is not None:
        scale_O, shift_O = _scale_and_shift(norm)
        weight_OIHW = weight_OIHW * scale_O[:, None, None, None]
        bias_O = shift_O if bias_O is None else bias_O * scale_O + shift_O
    name = source.node.name
    inputs = [source.read(), graph.weight(f"{name}.weight", weight_OIHW)]
    if bias_O is not None:
        inputs.append(graph.weight(f"{name}.bias", bias_O))
    graph.add(
        "Conv",
        inputs,
        source.output(),
        kernel_shape=list(conv.kernel_size),
        strides=list(conv.stride),
        pads=list(conv.padding) * 2,
        dilations=list(conv.dilation),
        group=conv.groups,
    )


def emit_batch_norm(graph: Graph, source: Source, norm: nn.BatchNorm2d) -> None:
    """A batch norm that follows no convolution."""
    scale_C, shift_C = _scale_and_shift(norm)
    name = source.node.name
    graph.add(
        "BatchNormalization",
        [
            source.read(),
            graph.weight(f"{name}.scale", scale_C),
            graph.weight(f"{name}.shift", shift_C),
            graph.weight(f"{name}.mean", torch.zeros_like(scale_C)),
            graph.weight(f"{name}.variance", torch.ones_like(scale_C)),
        ],
        source.output(),
        epsilon=0.0,
    )


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    if norm.running_mean is None or norm.running_var is None:
        raise AssertionError("batch norm keeps running statistics in every network built here")
    scale_C = torch.rsqrt(norm.running_var.double() + norm.eps)
    if norm.weight is not None:
        scale_C = scale_C * norm.weight.double()
    shift_C = -norm.running_mean.double() * scale_C
    if norm.bias is not None:
        shift_C = shift_C + norm.bias.double()
    return scale_C.float(), shift_C.float()


def _linear(graph: Graph, source: Source, linear: nn.Linear) -> None:
    name = source.node.name
    inputs = [source.read(), graph.weight(f"{name}.weight", linear.weight)]
    if linear.bias is not None:
        inputs.append(graph.weight(f"{name}.bias", linear.bias))
    graph.add("Gemm", inputs, source.output(), transB=1)


def _clip(low: float, high: float) -> EmitCall:
    def emit(graph: Graph, source: Source) -> None:
        name = source.node.name
        bounds = [
            graph.weight(f"{name}.{end}", np.array(value, np.float32)) for end, value in (("low", low), ("high", high))
        ]
        graph.add("Clip", [source.read(), *bounds], source.output())

    return emit


def _average_pool(graph: Graph, source: Source, pool: nn.AvgPool2d) -> None:
    if pool.ceil_mode or pool.divisor_override is not None:
        raise source.unsupported("average pooling with ceil_mode or divisor_override; ONNX counts these otherwise")
    graph.add(
        "AveragePool",
        [source.read()],
        source.output(),
        kernel_shape=_pair(pool.kernel_size),
        strides=_pair(pool.stride),
        pads=_pair(pool.padding) * 2,
        count_include_pad=int(pool.count_include_pad),
    )


def _adaptive_pool(graph: Graph, source: Source, pool: nn.AdaptiveAvgPool2d) -> None:
    if pool.output_size not in (1, (1, 1)):
        raise source.unsupported(f"adaptive pooling to {pool.output_size}; only to one pixel")
    graph.add("GlobalAveragePool", [source.read()], source.output())


def _adaptive_pool_call(graph: Graph, source: Source) -> None:
    if source.argument(1, "output_size", None) not in (1, (1, 1)):
        raise source.unsupported("adaptive pooling to more than one pixel")
    graph.add("GlobalAveragePool", [source.read()], source.output())


def _mean(graph: Graph, source: Source) -> None:
    axes = source.argument(1, "dim", None)
    if not isinstance(axes, list | tuple) or not axes:
        raise source.unsupported(f"mean over {axes!r}; name the dimensions, such as (2, 3)")
    keep = int(bool(source.argument(2, "keepdim", False)))
    graph.add("ReduceMean", [source.read()], source.output(), axes=[int(axis) for axis in axes], keepdims=keep)


def _flatten_module(graph: Graph, source: Source, flatten: nn.Flatten) -> None:
    _flatten(graph, source, flatten.start_dim, flatten.end_dim)


def _flatten_call(graph: Graph, source: Source) -> None:
    _flatten(graph, source, source.argument(1, "start_dim", 0), source.argument(2, "end_dim", -1))


def _flatten(graph: Graph, source: Source, start: object, end: object) -> None:
    if (start, end) != (1, -1):
        raise source.unsupported(f"flatten from {start} to {end}; only from 1 to the end")
    graph.add("Flatten", [source.read()], source.output(), axis=1)


def _zero_pad(graph: Graph, source: Source, pad: nn.ZeroPad2d) -> None:
    left, right, top, bottom = pad.padding
    pads = graph.weight(f"{source.node.name}.pads", np.array([0, 0, top, left, 0, 0, bottom, right], dtype=np.int64))
    graph.add("Pad", [source.read(), pads], source.output())


def _unary(op: str) -> EmitCall:
    return lambda graph, source: graph.add(op, [source.read()], source.output())


def _binary(op: str) -> EmitCall:
    return lambda graph, source: graph.add(op, [source.read(0), source.read(1)], source.output())


def _same(graph: Graph, source: Source) -> None:
    source.same()


def _as_module(emit: EmitCall) -> EmitModule:
    return lambda graph, source, _: emit(graph, source)


def _pair(size: int | tuple[int, int]) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)


MODULES: dict[type[nn.Module], EmitModule] = {
    nn.Linear: _linear,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool2d: _adaptive_pool,
    nn.Flatten: _flatten_module,
    nn.ZeroPad2d: _zero_pad,
    nn.ReLU: _as_module(_unary("Relu")),
    nn.ReLU6: _as_module(_clip(0.0, 6.0)),
    nn.Sigmoid: _as_module(_unary("Sigmoid")),
    nn.Dropout: _as_module(_same),
    nn.Identity: _as_module(_same),
}

FUNCTIONS: dict[object, EmitCall] = {
    operator.add: _binary("Add"),
    operator.iadd: _binary("Add"),
    torch.add: _binary("Add"),
    operator.mul: _binary("Mul"),
    operator.imul: _binary("Mul"),
    torch.mul: _binary("Mul"),
    torch.sigmoid: _unary("Sigmoid"),
    torch.relu: _unary("Relu"),
    functional.relu: _unary("Relu"),
    functional.relu6: _clip(0.0, 6.0),
    functional.dropout: _same,
    functional.adaptive_avg_pool2d: _adaptive_pool_call,
    torch.flatten: _flatten_call,
    torch.mean: _mean,
}

METHODS: dict[str, EmitCall] = {
    "add": _binary("Add"),
    "mul": _binary("Mul"),
    "sigmoid": _unary("Sigmoid"),
    "relu": _unary("Relu"),
    "mean": _mean,
    "flatten": _flatten_call,
}
