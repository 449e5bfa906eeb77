"""Program -> ONNX file in QDQ form: each operator reads DequantizeLinear and is read by QuantizeLinear.

ONNX Runtime turns the pairs and the operator between into one integer kernel (QLinearConv, QLinearAdd, ...).
Activations are uint8 and weights int8, the one combination that it both fuses throughout and runs fast on x86.
Without VNNI its AVX2 kernels add pairs of products in 16 bits, which saturate where weights near 127 meet activations
near 255; with VNNI (Intel since 2019, AMD since 2022) and on ARM the sums are exact. Weights keep their full range: a
session with `session.x64quantprecision` = 1, as all of nasfit's are, takes exact kernels there.

Shapes: C channels, O output channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nasfit.export.graph import Graph
from nasfit.export.onnx_writer import activate, assembled, convolution_attributes, pool_attributes
from nasfit.export.program import (
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
from nasfit.export.quantization import LOWEST, Quantization, quantized_weight
from nasfit.export.tracing import output_names


def write_onnx_int8(program: Program, quantization: Quantization, metadata: Mapping[str, str] | None = None) -> bytes:
    """As `to_onnx` with batch 1, from a program and a quantization of it; input and outputs are float32."""
    graph = _QuantizedGraph(quantization)
    graph.store(program.input, program.input)
    for operator in program.operators:
        _emit(graph, operator)
    for tensor, name in zip(program.outputs, output_names(program), strict=True):
        graph.dequantize(tensor, name)
    return assembled(graph.graph, program, metadata, 1)


class _QuantizedGraph:
    """A graph whose tensors are stored in 8 bits and read as float32."""

    def __init__(self, quantization: Quantization) -> None:
        self.graph = Graph()
        self.quantization = quantization
        self._read: set[str] = set()

    def read(self, tensor: str) -> str:
        """Name of the float32 form of a stored tensor, for operators."""
        if tensor not in self._read:
            self._read.add(tensor)
            self.dequantize(tensor, f"{tensor}.read")
        return f"{tensor}.read"

    def read_scaled(self, tensor: str, factor: float) -> str:
        """Name of factor * the tensor as float32: the same integers, read with another scale."""
        scale = np.array(self.quantization[tensor].scale * factor, np.float32)
        name = f"{tensor}.times.{factor:.3g}"
        parts = [f"{tensor}.stored", self.graph.weight(f"{name}.scale", scale), f"{tensor}.zero_point"]
        self.graph.add("DequantizeLinear", parts, name)
        return name

    def scalar(self, name: str, value: float) -> str:
        """Name of a positive constant, stored as activations are and read as float32."""
        parts = [
            self.graph.weight(f"{name}.stored", np.array(255, np.uint8)),
            self.graph.weight(f"{name}.scale", np.array(value / 255, np.float32)),
            self.graph.weight(f"{name}.zero_point", np.array(0, np.uint8)),
        ]
        self.graph.add("DequantizeLinear", parts, f"{name}.read")
        return f"{name}.read"

    def store(self, tensor: str, made: str, alike: str | None = None) -> None:
        """Stores float32 values under the tensor's name, with the parameters of `alike` or else its own."""
        parameters = self.quantization[alike or tensor]
        self.graph.weight(f"{tensor}.scale", np.array(parameters.scale, np.float32))
        self.graph.weight(f"{tensor}.zero_point", np.array(parameters.zero_point - LOWEST, np.uint8))
        self.graph.add("QuantizeLinear", [made, f"{tensor}.scale", f"{tensor}.zero_point"], f"{tensor}.stored")

    def dequantize(self, tensor: str, name: str) -> None:
        """Float32 values of a stored tensor, under another name."""
        self.graph.add("DequantizeLinear", [f"{tensor}.stored", f"{tensor}.scale", f"{tensor}.zero_point"], name)

    def weights(self, operator: Convolution | Linear) -> list[str]:
        """Names of the operator's weight and bias, stored as integers and read as float32."""
        input_scale = self.quantization[operator.input].scale
        found = quantized_weight(operator, input_scale)
        return [
            self._constant(f"{operator.output}.weight", found.values, found.scale_O),
            self._constant(f"{operator.output}.bias", found.bias_O, found.scale_O * np.float32(input_scale)),
        ]

    def _constant(self, name: str, stored: np.ndarray, scale_O: np.ndarray) -> str:
        parts = [
            self.graph.weight(f"{name}.stored", stored),
            self.graph.weight(f"{name}.scale", scale_O),
            self.graph.weight(f"{name}.zero_point", np.zeros(len(scale_O), stored.dtype)),
        ]
        self.graph.add("DequantizeLinear", parts, f"{name}.read", axis=0)
        return f"{name}.read"


def _emit(graph: _QuantizedGraph, operator: Operator) -> None:
    """The operator, without the activation in it: storing clips to the range, which ends where the activation does."""
    made, add = f"{operator.output}.made", graph.graph.add
    if isinstance(operator, Unary) and operator.kind == "hsigmoid":
        # x / 6 + 1 / 2; storing clips it to 0 to 1.
        add("Add", [graph.read_scaled(operator.input, 1 / 6), graph.scalar(f"{operator.output}.half", 0.5)], made)
        graph.store(operator.output, made)
        return
    inputs = [graph.read(name) for name in operator.inputs]
    match operator:
        case Convolution():
            add("Conv", [*inputs, *graph.weights(operator)], made, **convolution_attributes(operator))
        case Linear():
            add("Gemm", [*inputs, *graph.weights(operator)], made, transB=1)
        case Binary():
            add({"add": "Add", "mul": "Mul"}[operator.kind], inputs, made)
        case Unary(kind="sigmoid"):
            add("Sigmoid", inputs, made)
        case Unary(kind="hswish"):
            add("HardSwish", inputs, made)
        case Unary(kind="relu" | "relu6" as kind):
            activate(graph.graph, kind, inputs[0], made)
        case AveragePool():
            add("AveragePool", inputs, made, **pool_attributes(operator))
        case GlobalMean(keep=True):
            add("GlobalAveragePool", inputs, made)
        case GlobalMean():
            # ONNX Runtime has an integer kernel for the global pool and none for ReduceMean.
            pixel = f"{operator.output}.pixel"
            add("GlobalAveragePool", inputs, f"{pixel}.made")
            graph.store(pixel, f"{pixel}.made", operator.output)
            add("Flatten", [graph.read(pixel)], made, axis=1)
        case Flatten():
            add("Flatten", inputs, made, axis=1)
    graph.store(operator.output, made)
