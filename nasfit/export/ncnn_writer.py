"""Program -> ncnn's two files in one, float32.

An ncnn network is a text of layers (.param) and their weights (.bin). Both follow one line of JSON, so that a network
is one file here as in every format; `ncnn_files` takes it apart for use elsewhere. ncnn has no batch, and a blob has
one reader: of several, each reads a copy that a Split layer hands out.
Shapes: C channels, H and W pixels, K classes; O output and I input channels of a weight.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from nasfit import __version__
from nasfit.errors import UsageError
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

# First line of every .param file.
MAGIC = "7767517"
# Written before a weight: what follows are float32 values as they are.
RAW_FLOAT32 = np.zeros(1, np.uint32).tobytes()
AVERAGE = 1
# Pools make floor((side - kernel) / stride) + 1 pixels, as torch does.
VALID = 1

# Numbers of a layer's parameters, from ncnn's table of operators; an array's is -23300 less it.
Parameters = Mapping[int, int | float | Sequence[float]]
ARRAY = -23300
FUSED: dict[Activation, Parameters] = {"none": {}, "relu": {9: 1}, "relu6": {9: 3, 10: (0.0, 6.0)}}
# An activation as a layer of its own. The hard ones take slope and intercept of what they clip to 0 to 1.
ALONE: dict[str, tuple[str, Parameters]] = {
    "relu": ("ReLU", {}),
    "relu6": ("Clip", {0: 0.0, 1: 6.0}),
    "sigmoid": ("Sigmoid", {}),
    "hswish": ("HardSwish", {0: 1 / 6, 1: 0.5}),
    "hsigmoid": ("HardSigmoid", {0: 1 / 6, 1: 0.5}),
}


def to_ncnn(module: nn.Module, input_shape: tuple[int, int, int], metadata: Mapping[str, str] | None = None) -> bytes:
    """An ncnn network of the module in evaluation mode: `image` (C, H, W) float32 -> `logits` (K,).

    input_shape: (C, H, W). metadata: stored as texts beside `nasfit_version`, in the file's first line, which names the
    input and the outputs with their shapes too. A module that returns several tensors has outputs `output_0`,
    `output_1`, ... instead. The module is not changed. Raises TrialFailure naming what cannot be written.
    """
    return write_ncnn(trace_program(module, input_shape), metadata)


def write_ncnn(program: Program, metadata: Mapping[str, str] | None = None) -> bytes:
    """As `to_ncnn`, from a program."""
    layers = _Layers(program)
    layers.hand_on(program.input, layers.begin())
    for operator in program.operators:
        layers.emit(operator)
    param, weights = layers.param(), b"".join(layers.weights)
    names = output_names(program)
    head = {
        "param_bytes": len(param),
        "bin_bytes": len(weights),
        "input": {program.input: [1, *program.shapes[program.input]]},
        "outputs": {name: [1, *program.shapes[out]] for name, out in zip(names, program.outputs, strict=True)},
        "metadata": {**(metadata or {}), "nasfit_version": __version__},
    }
    return json.dumps(head).encode() + b"\n" + param + weights


def ncnn_files(content: bytes) -> tuple[bytes, bytes]:
    """The .param and the .bin that ncnn's own tools and examples take. Raises UsageError for anything else."""
    told = ncnn_head(content)
    rest = content.partition(b"\n")[2]
    param_bytes, bin_bytes = told["param_bytes"], told["bin_bytes"]
    if len(rest) != param_bytes + bin_bytes:
        raise UsageError(
            f"an ncnn file of {param_bytes} + {bin_bytes} bytes has {len(rest)} instead; it was cut or changed"
        )
    return rest[:param_bytes], rest[param_bytes:]


def ncnn_head(content: bytes) -> dict[str, Any]:
    """What the first line says. Raises UsageError where there is none."""
    try:
        told = json.loads(content.partition(b"\n")[0])
    except ValueError:
        told = None
    if not isinstance(told, dict) or not {"param_bytes", "bin_bytes", "metadata"} <= told.keys():
        raise UsageError(f"{len(content)} bytes that are not an ncnn file; give one that nasfit wrote")
    return told


class _Layers:
    """Lines of the .param and weights of the .bin, as they come.

    A tensor (C, 1, 1) that a mean over a map made is a vector in ncnn; `flat` names those, which the small layers of a
    squeeze-and-excitation then read as they are. Handed out, it is still a vector.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lines: list[str] = []
        self.weights: list[bytes] = []
        self.blobs = 0
        self.flat: set[str] = set()
        self.readers = Counter(name for operator in program.operators for name in operator.inputs)
        self.outputs: dict[str, list[str]] = {}
        for name, tensor in zip(output_names(program), program.outputs, strict=True):
            self.outputs.setdefault(tensor, []).append(name)
        # Of each tensor made, the blobs that are left to be read.
        self.waiting: dict[str, list[str]] = {}

    def param(self) -> bytes:
        """The .param's bytes."""
        return "\n".join([MAGIC, f"{len(self.lines)} {self.blobs}", *self.lines, ""]).encode()

    def begin(self) -> str:
        """Makes the picture's blob."""
        channels, high, wide = self.program.shapes[self.program.input]
        return self._layer("Input", [], self.program.input, {0: wide, 1: high, 2: channels})

    def emit(self, operator: Operator) -> None:
        """Appends what the operator is in ncnn."""
        match operator:
            case Convolution():
                made = self._convolution(operator)
            case Linear():
                made = self._linear(operator, operator.weight_OI)
            case Binary():
                made = self._binary(operator)
            case Unary():
                made = self._unary(operator.kind, self._read(operator.input), operator.output)
                if operator.input in self.flat:
                    self.flat.add(operator.output)
            case AveragePool():
                made = self._average_pool(operator)
            case GlobalMean():
                made = self._layer("Pooling", [self._read_map(operator.input)], operator.output, {0: AVERAGE, 4: 1})
                if operator.keep:
                    self.flat.add(operator.output)
            case Flatten():
                made = self._layer("Flatten", [self._read(operator.input)], operator.output, {})
        self.hand_on(operator.output, made)

    def hand_on(self, tensor: str, blob: str) -> None:
        """Gives each reader of a tensor, outputs included, a blob of its own."""
        names = self.outputs.get(tensor, [])
        copies = [*names, *(f"{tensor}.{number}" for number in range(self.readers[tensor]))]
        # The name of an output is its blob's, so that even a lone one needs a layer that makes it.
        if len(copies) > 1 or names:
            self._layer("Split", [blob], copies, {})
            self.waiting[tensor] = copies[len(names) :]
        else:
            self.waiting[tensor] = [blob]

    def _convolution(self, operator: Convolution) -> str:
        outputs, _, high, wide = operator.weight_OIHW.shape
        plain = (operator.stride, operator.padding) == ((1, 1), (0, 0, 0, 0))
        if operator.input in self.flat and (high, wide) == (1, 1) and plain and operator.groups == 1:
            self.flat.add(operator.output)
            return self._linear(operator, operator.weight_OIHW)
        top, bottom, left, right = operator.padding
        parameters = {0: outputs, 1: wide, 11: high, 2: operator.dilation[1], 12: operator.dilation[0]}
        parameters |= {3: operator.stride[1], 13: operator.stride[0], 4: left, 15: right, 14: top, 16: bottom}
        parameters |= {5: 1, 6: operator.weight_OIHW.size}
        kind = "Convolution"
        if operator.groups > 1:
            kind, parameters[7] = "ConvolutionDepthWise", operator.groups
        made = self._layer(
            kind, [self._read_map(operator.input)], operator.output, {**parameters, **FUSED[operator.activation]}
        )
        self._weigh(operator.weight_OIHW, operator.bias_O)
        return made

    def _linear(self, operator: Linear | Convolution, weight: np.ndarray) -> str:
        parameters = {0: len(operator.bias_O), 1: 1, 2: weight.size, **FUSED[operator.activation]}
        made = self._layer("InnerProduct", [self._read(operator.input)], operator.output, parameters)
        self._weigh(weight, operator.bias_O)
        return made

    def _binary(self, operator: Binary) -> str:
        inputs = [self._read(name) for name in operator.inputs]
        # A vector of C and a map (C, H, W) make a map.
        if self.flat.issuperset(operator.inputs):
            self.flat.add(operator.output)
        made = self._layer("BinaryOp", inputs, operator.output, {0: {"add": 0, "mul": 2}[operator.kind]})
        if operator.activation == "none":
            return made
        return self._unary(operator.activation, made, f"{operator.output}.{operator.activation}")

    def _unary(self, kind: str, blob: str, name: str) -> str:
        layer, parameters = ALONE[kind]
        return self._layer(layer, [blob], name, parameters)

    def _average_pool(self, operator: AveragePool) -> str:
        top, bottom, left, right = operator.padding
        parameters = {0: AVERAGE, 1: operator.kernel[1], 11: operator.kernel[0], 5: VALID, 6: int(operator.counted)}
        parameters |= {2: operator.stride[1], 12: operator.stride[0], 3: left, 14: right, 13: top, 15: bottom}
        return self._layer("Pooling", [self._read_map(operator.input)], operator.output, parameters)

    def _read(self, tensor: str) -> str:
        return self.waiting[tensor].pop()

    def _read_map(self, tensor: str) -> str:
        blob = self._read(tensor)
        if tensor not in self.flat:
            return blob
        channels, high, wide = self.program.shapes[tensor]
        return self._layer("Reshape", [blob], f"{blob}.map", {0: wide, 1: high, 2: channels})

    def _layer(self, kind: str, inputs: Sequence[str], outputs: str | Sequence[str], parameters: Parameters) -> str:
        """Appends a layer; the first blob that it makes."""
        made = [outputs] if isinstance(outputs, str) else outputs
        self.blobs += len(made)
        words = [kind, f"layer{len(self.lines)}", len(inputs), len(made), *inputs, *made]
        self.lines.append(" ".join([*map(str, words), *(_parameter(*entry) for entry in sorted(parameters.items()))]))
        return made[0]

    def _weigh(self, weight: np.ndarray, bias_O: np.ndarray) -> None:
        self.weights += [RAW_FLOAT32, _bytes(weight), _bytes(bias_O)]


def _parameter(number: int, value: int | float | Sequence[float]) -> str:
    if isinstance(value, int | float):
        return f"{number}={value}"
    return f"{ARRAY - number}={len(value)},{','.join(map(str, value))}"


def _bytes(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, dtype="<f4").tobytes()
