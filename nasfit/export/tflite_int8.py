"""Program -> TFLite file in full integers: QUANTIZE at the picture, int8 kernels between, DEQUANTIZE at the outputs.

Operators, windows and shapes are those of the float32 file; here are the forms of the numbers. XNNPACK, LiteRT's engine
on CPUs, takes all of these operators but AVERAGE_POOL_2D, which is therefore written as a convolution.
Shapes: C channels, H and W pixels, O output channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeGuard, TypeVar

import numpy as np

from nasfit.export.program import AveragePool, Convolution, Linear, Operator, Program, Unary
from nasfit.export.quantization import HIGHEST, LOWEST, Parameters, Quantization, quantized_weight
from nasfit.export.tflite_file import Scale, TfliteFile
from nasfit.export.tflite_windows import correction_HW
from nasfit.export.tflite_writer import TfliteWriter
from nasfit.export.tracing import output_names

T = TypeVar("T")

# The first versions that take int8 activations and weights with one scale an output channel.
VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 12,
    "MEAN": 2,
    "ADD": 2,
    "MUL": 2,
    "PAD": 2,
    "TRANSPOSE": 2,
    "RELU": 2,
    "RELU6": 2,
    "LOGISTIC": 2,
    "DEQUANTIZE": 2,
}


# Of relu6(x + 3): steps that its sixth, from 0 to 1, takes over as they are.
RAISED_PARAMETERS = Parameters(float(np.float32(6 / 255)), LOWEST)


def write_tflite_int8(program: Program, quantization: Quantization, metadata: Mapping[str, str] | None = None) -> bytes:
    """As `to_tflite`, from a program and a quantization of it; input and outputs are float32."""
    return _Int8Writer(program, quantization).written(metadata)


class _Int8File(TfliteFile):
    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], *, version: int = 1, **options: int
    ) -> None:
        super().operator(kind, inputs, outputs, version=max(version, VERSIONS.get(kind, 1)), **options)


class _Int8Writer(TfliteWriter):
    def __init__(self, program: Program, quantization: Quantization) -> None:
        counted = {_counted(operator): operator.output for operator in program.operators if _corrected(operator)}
        super().__init__(replace(program, shapes=program.shapes | _renamed(program.shapes, counted)))
        self.file = _Int8File()
        # Means that count the padding are never larger than those that do not.
        self.parameters = quantization.tensors | _renamed(quantization.tensors, counted)
        hard = [one for one in program.operators if isinstance(one, Unary) and one.kind == "hsigmoid"]
        self.parameters |= {f"{one.output}.raised": RAISED_PARAMETERS for one in hard}

    def activation(self, name: str, shape: Sequence[int], like: str) -> int:
        return self.file.tensor(name, shape, np.int8, _scale(self.parameters[like]))

    def scalar(self, value: float) -> int:
        scale = Scale(np.array(value / HIGHEST), np.array(0))
        return self.file.constant(f"scalar{value:.3g}", np.array([HIGHEST], np.int8), scale)

    def weights(self, operator: Convolution | Linear, order: tuple[int, ...]) -> list[int]:
        input_scale = self.parameters[operator.input].scale
        found = quantized_weight(operator, input_scale)
        zeros_O = np.zeros(len(found.scale_O), np.int64)
        scale = Scale(found.scale_O, zeros_O, order.index(0))
        bias_scale = Scale(found.scale_O * np.float32(input_scale), zeros_O)
        return [
            self.file.constant(f"{operator.output}.weight", found.values.transpose(order), scale),
            self.file.constant(f"{operator.output}.bias", found.bias_O, bias_scale),
        ]

    def _average_pool(self, operator: AveragePool) -> None:
        # XNNPACK has no average pool of int8: one left to the interpreter would cut the network in two for it.
        channels, *sides = self.program.shapes[operator.input]
        if not _corrected(operator):
            self._convolution(_as_convolution(operator, channels, operator.output))
            return
        counted = _counted(operator)
        self._convolution(_as_convolution(operator, channels, counted))
        self.correct(self.numbers[counted], correction_HW(operator, sides), operator)

    def correct(self, counted: int, factors_HW: np.ndarray, operator: AveragePool) -> None:
        parameters = _factor_parameters(factors_HW)
        stored_1HW1 = parameters.stored(factors_HW[None, :, :, None])
        factors = self.file.constant(f"{operator.output}.factors", stored_1HW1, _scale(parameters))
        self._node("MUL", [counted, factors], operator.output, 1, {})

    def begin(self) -> int:
        image = self.program.input
        given = self.file.tensor(image, self._shape(image))
        self.numbers[image] = self.activation(f"{image}.int8", self._shape(image), image)
        self.file.operator("QUANTIZE", [given], [self.numbers[image]])
        return given

    def end(self, image: int) -> dict[str, int]:
        outputs: dict[str, int] = {}
        for name, tensor in zip(output_names(self.program), self.program.outputs, strict=True):
            outputs[name] = self.file.tensor(name, self._shape(tensor))
            self.file.operator("DEQUANTIZE", [self.numbers[tensor]], [outputs[name]])
        return outputs


def _corrected(operator: Operator) -> TypeGuard[AveragePool]:
    return isinstance(operator, AveragePool) and not operator.counted and any(operator.padding)


def _counted(operator: AveragePool) -> str:
    return f"{operator.output}.counted"


def _as_convolution(pool: AveragePool, channels: int, output: str) -> Convolution:
    """The mean over windows, padding counted, with a filter of equal weights a channel: exact in int8."""
    weight_OIHW = np.full((channels, 1, *pool.kernel), 1 / (pool.kernel[0] * pool.kernel[1]), np.float32)
    bias_O = np.zeros(channels, np.float32)
    return Convolution(pool.input, output, weight_OIHW, bias_O, pool.stride, pool.padding, (1, 1), channels)


def _factor_parameters(factors_HW: np.ndarray) -> Parameters:
    """Steps of 1 / n, so that the factor 1 of all inner pixels is exact, with the n that suits the others best."""
    most = int((HIGHEST - LOWEST) / factors_HW.max())
    steps = min(range(most, most // 2, -1), key=lambda n: float(np.abs(np.rint(factors_HW * n) / n - factors_HW).max()))
    return Parameters(float(np.float32(1 / steps)), LOWEST)


def _renamed(values: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    return {new: values[old] for new, old in names.items()}


def _scale(parameters: Parameters) -> Scale:
    return Scale(np.array(parameters.scale), np.array(parameters.zero_point))
