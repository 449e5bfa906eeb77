"""Program -> TFLite file, float32.

Maps are NHWC inside. Operators are of the versions of 2019, so that every runtime still in use reads the file.
Shapes: C channels, H and W pixels, K classes; O output and I input channels of a weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from torch import nn

from nasfit import __version__
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
from nasfit.export.tflite_file import TfliteFile
from nasfit.export.tflite_windows import correction_HW, rule
from nasfit.export.tracing import output_names, trace_program

ACTIVATIONS: dict[Activation, int] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
UNARY = {"relu": "RELU", "relu6": "RELU6", "sigmoid": "LOGISTIC", "hswish": "HARD_SWISH"}


def to_tflite(module: nn.Module, input_shape: tuple[int, int, int], metadata: Mapping[str, str] | None = None) -> bytes:
    """A TFLite file of the module in evaluation mode: `image` (1, H, W, C) float32 -> `logits` (1, K).

    input_shape: (C, H, W), as torch has it. metadata: stored as texts beside `nasfit_version`. A module that returns
    several tensors has outputs `output_0`, `output_1`, ... instead, maps as (1, H, W, C). The names are those of the
    signature `serving_default`. The module is not changed. Raises TrialFailure naming what cannot be written.
    """
    return write_tflite(trace_program(module, input_shape), metadata)


def write_tflite(program: Program, metadata: Mapping[str, str] | None = None) -> bytes:
    """As `to_tflite`, from a program."""
    return TfliteWriter(program).written(metadata)


class TfliteWriter:
    """Writes one program. `activation` and `weights` decide the form of numbers; here float32.

    file: what is written into. numbers: the file's tensor for each tensor of the program made so far.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.file = TfliteFile()
        self.numbers: dict[str, int] = {}
        # Axes and shapes recur: one constant serves all readers.
        self._lists: dict[tuple[int, ...], int] = {}

    def activation(self, name: str, shape: Sequence[int], like: str) -> int:
        """A new tensor of the file that holds values as the program's tensor `like` does; its number.

        Of a hard sigmoid's output there is also the tensor before its division by 6, `<output>.raised`.
        """
        return self.file.tensor(name, shape)

    def weights(self, operator: Convolution | Linear, order: tuple[int, ...]) -> list[int]:
        """The operator's weight, its dimensions in TFLite's order, and its bias, as constants of the file."""
        weight = operator.weight_OIHW if isinstance(operator, Convolution) else operator.weight_OI
        return [
            self.file.constant(f"{operator.output}.weight", weight.transpose(order)),
            self.file.constant(f"{operator.output}.bias", operator.bias_O),
        ]

    def scalar(self, value: float) -> int:
        """A positive number as a constant of the file, in the form of activations."""
        return self.file.constant(f"scalar{value:.3g}", np.array([value], np.float32))

    def written(self, metadata: Mapping[str, str] | None) -> bytes:
        """The file's bytes; called once."""
        image = self.begin()
        for operator in self.program.operators:
            self.emit(operator)
        outputs = self.end(image)
        for key, text in {**(metadata or {}), "nasfit_version": __version__}.items():
            self.file.metadata(key, text)
        return self.file.written({self.program.input: image}, outputs)

    def begin(self) -> int:
        """Makes the picture's tensor; the number of the one that callers fill."""
        return self._made(self.program.input)

    def end(self, image: int) -> dict[str, int]:
        """The tensors that callers read, by their names."""
        outputs: dict[str, int] = {}
        for name, tensor in zip(output_names(self.program), self.program.outputs, strict=True):
            number = self.numbers[tensor]
            # LiteRT's CompiledModel hands out wrong numbers where outputs share a tensor, or have the picture's.
            outputs[name] = self._copied(tensor, name) if number in [image, *outputs.values()] else number
        return outputs

    def emit(self, operator: Operator) -> None:
        """Appends what the operator is in TFLite."""
        match operator:
            case Convolution():
                self._convolution(operator)
            case Linear():
                weights = self.weights(operator, (0, 1))
                self._add("FULLY_CONNECTED", operator, weights, FusedActivationFunction=_fused(operator))
            case Binary():
                kind = {"add": "ADD", "mul": "MUL"}[operator.kind]
                self._add(kind, operator, FusedActivationFunction=_fused(operator))
            case Unary(kind="hsigmoid"):
                self._hard_sigmoid(operator)
            case Unary():
                self._add(UNARY[operator.kind], operator)
            case AveragePool():
                self._average_pool(operator)
            case GlobalMean():
                self._add("MEAN", operator, [self._list((1, 2))], KeepDims=int(operator.keep))
            case Flatten():
                self._flatten(operator)

    def _convolution(self, operator: Convolution) -> None:
        outputs, inputs, high, wide = operator.weight_OIHW.shape
        step_high, step_wide = operator.dilation
        spans = (step_high * (high - 1) + 1, step_wide * (wide - 1) + 1)
        image, options = self._windowed(operator, spans)
        options["DilationWFactor"], options["DilationHFactor"] = step_wide, step_high
        options["FusedActivationFunction"] = _fused(operator)
        channels = self.program.shapes[operator.input][0]
        if inputs == 1 and operator.groups == channels > 1:
            weights = self.weights(operator, (1, 2, 3, 0))
            options["DepthMultiplier"] = outputs // channels
            version = 1 if operator.dilation == (1, 1) else 2
            self._node("DEPTHWISE_CONV_2D", [image, *weights], operator.output, version, options)
        else:
            weights = self.weights(operator, (0, 2, 3, 1))
            self._node("CONV_2D", [image, *weights], operator.output, 1 if operator.groups == 1 else 6, options)

    def _hard_sigmoid(self, operator: Unary) -> None:
        """relu6(x + 3) / 6."""
        name = f"{operator.output}.raised"
        raised = self.activation(name, self._shape(operator.input), name)
        terms = [self.numbers[operator.input], self.scalar(3.0)]
        self.file.operator("ADD", terms, [raised], FusedActivationFunction=ACTIVATIONS["relu6"])
        self._node("MUL", [raised, self.scalar(1 / 6)], operator.output, 1, {})

    def _average_pool(self, operator: AveragePool) -> None:
        # SAME leaves padding out of the mean; where torch counts it, the zeros have to be there.
        image, options = self._windowed(operator, operator.kernel, explicit=operator.counted)
        options["FilterWidth"], options["FilterHeight"] = operator.kernel[1], operator.kernel[0]
        if operator.counted or image == self.numbers[operator.input]:
            self._node("AVERAGE_POOL_2D", [image], operator.output, 1, options)
            return
        shape = self._shape(operator.output)
        counted = self.activation(f"{operator.output}.counted", shape, operator.input)
        self.file.operator("AVERAGE_POOL_2D", [image], [counted], **options)
        factors_HW = correction_HW(operator, self.program.shapes[operator.input][1:])
        self.correct(counted, factors_HW, operator)

    def correct(self, counted: int, factors_HW: np.ndarray, operator: AveragePool) -> None:
        """Multiplies a mean over padded windows by a factor a pixel."""
        factors = self.file.constant(f"{operator.output}.factors", factors_HW[None, :, :, None])
        self._node("MUL", [counted, factors], operator.output, 1, {})

    def _windowed(
        self, operator: Convolution | AveragePool, spans: Sequence[int], explicit: bool = False
    ) -> tuple[int, dict[str, int]]:
        """The tensor that windows slide over, with zeros put around it where they must be, and the way they slide."""
        channels, *sides = self.program.shapes[operator.input]
        number = self.numbers[operator.input]
        how = rule(sides, spans, operator.stride, operator.padding)
        same = how == "SAME" and not explicit
        if how != "VALID" and not same:
            top, bottom, left, right = operator.padding
            shape = (1, sides[0] + top + bottom, sides[1] + left + right, channels)
            padded = self.activation(f"{operator.output}.padded", shape, operator.input)
            amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
            self.file.operator("PAD", [number, self.file.constant(f"{operator.output}.pads", amounts)], [padded])
            number = padded
        padding = schema.Padding.SAME if same else schema.Padding.VALID
        return number, {"Padding": padding, "StrideW": operator.stride[1], "StrideH": operator.stride[0]}

    def _flatten(self, operator: Flatten) -> None:
        shape = self.program.shapes[operator.input]
        number = self.numbers[operator.input]
        if len(shape) == 3 and shape[0] > 1 and shape[1:] != (1, 1):
            # The features follow one another as torch lays them out, channels slowest.
            turned = self.activation(f"{operator.output}.channels_first", (1, *shape), operator.input)
            self.file.operator("TRANSPOSE", [number, self._list((0, 3, 1, 2))], [turned])
            number = turned
        self._node("RESHAPE", [number, self._list(self._shape(operator.output))], operator.output, 1, {})

    def _copied(self, tensor: str, name: str) -> int:
        shape = self._shape(tensor)
        copy = self.activation(name, shape, tensor)
        self.file.operator("RESHAPE", [self.numbers[tensor], self._list(shape)], [copy])
        return copy

    def _add(self, kind: str, operator: Operator, constants: Sequence[int] = (), **options: int) -> None:
        inputs = [self.numbers[name] for name in operator.inputs]
        self._node(kind, [*inputs, *constants], operator.output, 1, options)

    def _node(self, kind: str, inputs: Sequence[int], output: str, version: int, options: Mapping[str, int]) -> None:
        self.file.operator(kind, inputs, [self._made(output)], version=version, **options)

    def _made(self, name: str) -> int:
        self.numbers[name] = self.activation(name, self._shape(name), name)
        return self.numbers[name]

    def _shape(self, name: str) -> tuple[int, ...]:
        """(C, H, W) -> (1, H, W, C); (K,) -> (1, K)."""
        shape = self.program.shapes[name]
        return (1, *shape[1:], shape[0])

    def _list(self, values: tuple[int, ...]) -> int:
        if values not in self._lists:
            self._lists[values] = self.file.constant(f"list{len(self._lists)}", np.array(values, np.int32))
        return self._lists[values]


def _fused(operator: Convolution | Linear | Binary) -> int:
    return ACTIVATIONS[operator.activation]
