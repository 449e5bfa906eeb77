"""Post-training static int8 quantization: ranges of activations from calibration pictures, weights from themselves.

real = scale * (stored - zero_point), after Jacob et al. 2018 (arXiv 1712.05877), in the form of TensorFlow Lite's
quantization specification: activations int8 with one scale and zero point a tensor, weights int8 with one scale an
output channel and zero point 0, biases int32 with scale input_scale * weight_scale.

Shapes: B batch, C channels, H and W pixels, O output channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasfit.errors import TrialFailure, UsageError
from nasfit.export.program import Binary, Convolution, Flatten, Linear, Operator, Program, Unary
from nasfit.export.program_running import run_program

LOWEST, HIGHEST = -128, 127
# Weights leave out -128, so that a product of two of them can be added in pairs in 16 bits: the specification asks it.
WEIGHT_LIMIT = 127
# Room for the sum of products that a bias of int32 is added to.
_BIAS_LIMIT = 2**30
# Pixels run at a time: bounds memory to some hundred MB at 224 px.
_PIXELS_AT_ONCE = 16 * 224 * 224


@dataclass(frozen=True)
class Parameters:
    """Of one activation tensor. scale > 0, a float32 value; zero_point -128 to 127: the stored form of 0.0."""

    scale: float
    zero_point: int

    def stored(self, value: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
        """Nearest int8 of each value; what lies outside the range is clipped."""
        steps = np.rint(np.asarray(value, np.float32) / np.float32(self.scale)) + self.zero_point
        stored: npt.NDArray[np.int8] = np.clip(steps, LOWEST, HIGHEST).astype(np.int8)
        return stored


# The outputs of sigmoids are known before they are seen. Of the smooth one both engines have kernels for these
# parameters alone; the hard one reaches 1.
SIGMOID_PARAMETERS = {
    "sigmoid": Parameters(1 / 256, LOWEST),
    "hsigmoid": Parameters(float(np.float32(1 / 255)), LOWEST),
}


@dataclass(frozen=True)
class Quantization:
    """Parameters of every activation tensor of one Program, by name."""

    tensors: dict[str, Parameters]

    def __getitem__(self, name: str) -> Parameters:
        return self.tensors[name]


@dataclass(frozen=True)
class QuantizedWeight:
    """values: int8 in the weight's shape, -127 to 127. scale_O: float32. bias_O: int32, scale input_scale * scale_O."""

    values: npt.NDArray[np.int8]
    scale_O: npt.NDArray[np.float32]
    bias_O: npt.NDArray[np.int32]


def quantized_weight(operator: Convolution | Linear, input_scale: float) -> QuantizedWeight:
    """Weight and bias of an operator whose input has `input_scale`; output channels are the weight's first dimension.

    The scale of a channel maps its largest |weight| to 127, or is larger where its bias would not fit int32: folding a
    batch norm into a channel that training has silenced leaves weights near 0 beside a bias that is not.
    """
    weight = operator.weight_OIHW if isinstance(operator, Convolution) else operator.weight_OI
    largest_O = np.abs(weight.reshape(len(weight), -1)).max(axis=1).astype(np.float64)
    least_O = np.abs(operator.bias_O) / (input_scale * _BIAS_LIMIT)
    scale_O = np.maximum(largest_O / WEIGHT_LIMIT, least_O)
    scale_O = np.where(scale_O > 0, scale_O, 1.0).astype(np.float32)
    steps = np.rint(weight / scale_O.reshape(-1, *[1] * (weight.ndim - 1)))
    bias_O = np.rint(operator.bias_O / (np.float64(input_scale) * scale_O))
    return QuantizedWeight(
        np.clip(steps, -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int8), scale_O, bias_O.astype(np.int32)
    )


def quantizable(program: Program) -> Program:
    """The same program, each hswish as the product x * hsigmoid(x): no engine here has an integer kernel for it.

    XNNPACK leaves LiteRT's own HARD_SWISH in int8 to LiteRT, where it takes fifteen times as long as the product.
    """
    operators: list[Operator] = []
    shapes = dict(program.shapes)
    for operator in program.operators:
        if isinstance(operator, Unary) and operator.kind == "hswish":
            gate = f"{operator.output}.gate"
            shapes[gate] = shapes[operator.input]
            operators.append(Unary("hsigmoid", operator.input, gate))
            operators.append(Binary("mul", (operator.input, gate), operator.output))
        else:
            operators.append(operator)
    return replace(program, operators=tuple(operators), shapes=shapes)


def calibrated(program: Program, images_BCHW: Tensor) -> Quantization:
    """Parameters for every tensor, from its smallest and largest value in float32 over the calibration pictures.

    images_BCHW: normalised as for training; some hundred, at least one. Min and max are taken as they are: clipping
    them, at percentiles or where the squared error is least, was tried on trained networks and gained nothing.
    Raises UsageError for pictures of another shape, TrialFailure where the network gives values that are not finite.
    """
    _check_pictures(program, images_BCHW)
    ranges = _ranges(program, images_BCHW)
    tensors = {program.input: parameters_for(*ranges[program.input])}
    for operator in program.operators:
        tensors[operator.output] = _parameters(operator, tensors, ranges)
    return Quantization(tensors)


def parameters_for(low: float, high: float) -> Parameters:
    """Parameters whose 256 steps cover low to high, and 0.0 exactly: padding and what ReLU cuts off are zeros."""
    low, high = min(low, 0.0), max(high, 0.0)
    spread = high - low
    # A tensor that is zero all through, as a layer is that adds nothing yet, takes any scale.
    scale = float(np.float32(spread / (HIGHEST - LOWEST))) or 1 / (HIGHEST - LOWEST)
    return Parameters(scale, int(np.clip(np.rint(LOWEST - low / scale), LOWEST, HIGHEST)))


def _parameters(
    operator: Operator, tensors: dict[str, Parameters], ranges: dict[str, tuple[float, float]]
) -> Parameters:
    if isinstance(operator, Unary) and operator.kind in SIGMOID_PARAMETERS:
        return SIGMOID_PARAMETERS[operator.kind]
    if isinstance(operator, Flatten):
        return tensors[operator.input]
    return parameters_for(*ranges[operator.output])


def _ranges(program: Program, images_BCHW: Tensor) -> dict[str, tuple[float, float]]:
    ranges: dict[str, tuple[float, float]] = {}

    def see(name: str, value: Tensor) -> Tensor:
        low, high = (float(end) for end in torch.aminmax(value))
        if not math.isfinite(low) or not math.isfinite(high):
            raise TrialFailure(f"tensor {name!r} of the network is not finite; train it with a lower learning rate")
        before = ranges.get(name, (low, high))
        ranges[name] = (min(low, before[0]), max(high, before[1]))
        return value

    _, _, height, width = images_BCHW.shape
    for pictures_BCHW in torch.split(images_BCHW, max(1, _PIXELS_AT_ONCE // (height * width))):
        run_program(program, pictures_BCHW, see)
    return ranges


def _check_pictures(program: Program, images_BCHW: Tensor) -> None:
    wanted = program.shapes[program.input]
    if images_BCHW.ndim != 4 or not len(images_BCHW) or tuple(images_BCHW.shape[1:]) != wanted:
        raise UsageError(
            f"calibration pictures have shape {tuple(images_BCHW.shape)}, the network takes {wanted}; "
            "give at least one picture of that shape, normalised as for training"
        )
