"""The shape that each operator of a program makes, without the batch: (C, H, W) for maps, (K,) for vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nasfit.errors import TrialFailure
from nasfit.export.program import AveragePool, Binary, Convolution, Flatten, GlobalMean, Linear, Operator, Unary

Shape = tuple[int, ...]


def output_shape(operator: Operator, shapes: Mapping[str, Shape]) -> Shape:
    """Shape of the operator's output, given those of its inputs. Raises TrialFailure where they do not fit it."""
    first = shapes[operator.inputs[0]]
    match operator:
        case Convolution():
            return _convolution(operator, first)
        case AveragePool():
            channels, *sides = _map(operator, first)
            return (channels, *_sides(operator, tuple(sides), operator.kernel))
        case GlobalMean():
            channels, *_ = _map(operator, first)
            return (channels, 1, 1) if operator.keep else (channels,)
        case Linear():
            outputs, inputs = operator.weight_OI.shape
            if first != (inputs,):
                raise _misfit(operator, first, f"a vector of {inputs}")
            return (outputs,)
        case Flatten():
            return (math.prod(first),)
        case Binary():
            second = shapes[operator.inputs[1]]
            fits = len(second) == len(first) and all(b in (a, 1) for a, b in zip(first, second, strict=True))
            if not fits:
                raise _misfit(operator, second, f"{first} or one that spreads over it")
            return first
        case Unary():
            return first


def _convolution(operator: Convolution, shape: Shape) -> Shape:
    channels, *sides = _map(operator, shape)
    outputs, inputs, *kernel = operator.weight_OIHW.shape
    if channels != inputs * operator.groups:
        raise _misfit(operator, shape, f"a map of {inputs * operator.groups} channels")
    spans = [step * (size - 1) + 1 for size, step in zip(kernel, operator.dilation, strict=True)]
    return (outputs, *_sides(operator, tuple(sides), tuple(spans)))


def _sides(operator: Convolution | AveragePool, sides: Shape, spans: Shape) -> Shape:
    top, bottom, left, right = operator.padding
    padded = (sides[0] + top + bottom, sides[1] + left + right)
    if padded[0] < spans[0] or padded[1] < spans[1]:
        raise _misfit(operator, sides, f"a map of {spans} px and more, padding included")
    return tuple((side - span) // stride + 1 for side, span, stride in zip(padded, spans, operator.stride, strict=True))


def _map(operator: Operator, shape: Shape) -> Shape:
    if len(shape) != 3:
        raise _misfit(operator, shape, "a map (C, H, W)")
    return shape


def _misfit(operator: Operator, shape: Shape, wanted: str) -> TrialFailure:
    kind = type(operator).__name__
    return TrialFailure(f"cannot export {operator.output!r}: {kind} reads {wanted}, but its input is of shape {shape}")
