"""Program -> ONNX file, float32.

Shapes: B batch, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from torch import nn

from nasfit import __version__
from nasfit.export.graph import Graph
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
)
from nasfit.export.tracing import output_names, trace_program

# Opset 17 with IR 8 is read by every ONNX Runtime since 1.12 (2022) and needs no feature of a later one.
OPSET = 17
IR_VERSION = 8


def to_onnx(
    module: nn.Module,
    input_shape: tuple[int, int, int],
    metadata: Mapping[str, str] | None = None,
    *,
    batch: int | None = 1,
) -> bytes:
    """An ONNX file of the module in evaluation mode: `image` (B, C, H, W) float32 -> `logits` (B, K).

    input_shape: (C, H, W). metadata: stored as texts beside `nasfit_version`. batch: fixed B, None leaves it open. A
    module that returns several tensors has outputs `output_0`, `output_1`, ... instead, maps as (B, C, H, W).
    The module is not changed. Raises TrialFailure naming what cannot be written.
    """
    return write_onnx(trace_program(module, input_shape), metadata, batch)


def write_onnx(program: Program, metadata: Mapping[str, str] | None = None, batch: int | None = 1) -> bytes:
    """As `to_onnx`, from a program."""
    graph = Graph()
    for operator in program.operators:
        emit(graph, operator)
    outputs = output_names(program)
    for name, output in zip(program.outputs, outputs, strict=True):
        graph.add("Identity", [name], output)
    return assembled(graph, program, metadata, batch)


def assembled(graph: Graph, program: Program, metadata: Mapping[str, str] | None, batch: int | None) -> bytes:
    """The file around a graph whose nodes make the program's outputs under their names in files."""
    first: int | str = "batch" if batch is None else batch
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [first, *program.shapes[tensor]])
        for name, tensor in zip([program.input, *output_names(program)], [program.input, *program.outputs], strict=True)
    ]
    body = onnx.helper.make_graph(graph.nodes, "nasfit", ends[:1], ends[1:], graph.weights)
    model = onnx.helper.make_model(
        body, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="nasfit"
    )
    onnx.helper.set_model_props(model, {**(metadata or {}), "nasfit_version": __version__})
    return bytes(model.SerializeToString())


def emit(graph: Graph, operator: Operator) -> None:
    """Appends the operator's nodes; the last of them writes its output."""
    match operator:
        case Convolution():
            name = _before_activation(operator)
            weights = [
                graph.weight(f"{name}.weight", operator.weight_OIHW),
                graph.weight(f"{name}.bias", operator.bias_O),
            ]
            graph.add("Conv", [operator.input, *weights], name, **convolution_attributes(operator))
            _activate(graph, name, operator)
        case Linear():
            name = _before_activation(operator)
            weights = [
                graph.weight(f"{name}.weight", operator.weight_OI),
                graph.weight(f"{name}.bias", operator.bias_O),
            ]
            graph.add("Gemm", [operator.input, *weights], name, transB=1)
            _activate(graph, name, operator)
        case Binary():
            name = _before_activation(operator)
            graph.add({"add": "Add", "mul": "Mul"}[operator.kind], list(operator.inputs), name)
            _activate(graph, name, operator)
        case Unary(kind="sigmoid"):
            graph.add("Sigmoid", [operator.input], operator.output)
        case Unary(kind="hswish"):
            graph.add("HardSwish", [operator.input], operator.output)
        case Unary(kind="hsigmoid"):
            graph.add("HardSigmoid", [operator.input], operator.output, alpha=1 / 6, beta=0.5)
        case Unary(kind="relu" | "relu6" as kind):
            activate(graph, kind, operator.input, operator.output)
        case AveragePool():
            graph.add("AveragePool", [operator.input], operator.output, **pool_attributes(operator))
        case GlobalMean(keep=True):
            graph.add("GlobalAveragePool", [operator.input], operator.output)
        case GlobalMean():
            graph.add("ReduceMean", [operator.input], operator.output, axes=[2, 3], keepdims=0)
        case Flatten():
            graph.add("Flatten", [operator.input], operator.output, axis=1)


def convolution_attributes(operator: Convolution) -> dict[str, object]:
    """Attributes of ONNX's Conv."""
    return {
        "kernel_shape": list(operator.weight_OIHW.shape[2:]),
        "strides": list(operator.stride),
        "pads": _pads(operator.padding),
        "dilations": list(operator.dilation),
        "group": operator.groups,
    }


def pool_attributes(operator: AveragePool) -> dict[str, object]:
    """Attributes of ONNX's AveragePool."""
    return {
        "kernel_shape": list(operator.kernel),
        "strides": list(operator.stride),
        "pads": _pads(operator.padding),
        "count_include_pad": int(operator.counted),
    }


def activate(graph: Graph, kind: Activation, name: str, output: str) -> None:
    """Relu, or Clip from 0 to 6."""
    if kind == "relu6":
        bounds = [
            graph.weight(f"{output}.{end}", np.array(value, np.float32)) for end, value in (("low", 0), ("high", 6))
        ]
        graph.add("Clip", [name, *bounds], output)
    else:
        graph.add("Relu", [name], output)


def _before_activation(operator: Convolution | Linear | Binary) -> str:
    return operator.output if operator.activation == "none" else f"{operator.output}.linear"


def _activate(graph: Graph, name: str, operator: Convolution | Linear | Binary) -> None:
    if operator.activation != "none":
        activate(graph, operator.activation, name, operator.output)


def _pads(padding: tuple[int, int, int, int]) -> list[int]:
    top, bottom, left, right = padding
    return [top, left, bottom, right]
