"""A program with fewer operators and the same numbers: what an operator can take in, it takes in.

Each pass goes over the operators once, in order. O output channels of a weight.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from nasfit.export.operators import NO_PADDING
from nasfit.export.program import Binary, Convolution, Linear, Operator, Unary


def folded(operators: Sequence[Operator], outputs: Sequence[str]) -> list[Operator]:
    """The operators after all passes; none is left that no output needs. `outputs` keep their names."""
    operators = _needed(operators, outputs)
    for fold in (_scales_into_convolutions, _pads_into_convolutions, _activations_into_operators):
        operators = fold(operators, _readers(operators, outputs))
    return operators


def _needed(operators: Sequence[Operator], outputs: Sequence[str]) -> list[Operator]:
    read, kept = set(outputs), []
    for operator in reversed(operators):
        if operator.output in read:
            read.update(operator.inputs)
            kept.append(operator)
    return kept[::-1]


def _readers(operators: Sequence[Operator], outputs: Sequence[str]) -> Counter[str]:
    return Counter([*outputs, *(name for operator in operators for name in operator.inputs)])


def _scales_into_convolutions(operators: Sequence[Operator], readers: Counter[str]) -> list[Operator]:
    """Batch norm: w' = w * scale, b' = b * scale + shift."""
    kept: dict[str, Operator] = {}
    for operator in operators:
        before = kept.get(operator.inputs[0])
        if _is_scale(operator) and isinstance(before, Convolution) and readers[before.output] == 1:
            assert isinstance(operator, Convolution)
            scale_O = operator.weight_OIHW.reshape(-1)
            operator = replace(
                before,
                output=operator.output,
                weight_OIHW=before.weight_OIHW * scale_O[:, None, None, None],
                bias_O=before.bias_O * scale_O + operator.bias_O,
            )
            del kept[before.output]
        kept[operator.output] = operator
    return list(kept.values())


def _pads_into_convolutions(operators: Sequence[Operator], readers: Counter[str]) -> list[Operator]:
    """Zero padding, which the trace gives as a convolution that changes nothing else."""
    taken = Counter(name for operator in operators if isinstance(operator, Convolution) for name in operator.inputs)
    pads: dict[str, Convolution] = {}
    kept: list[Operator] = []
    for operator in operators:
        if isinstance(operator, Convolution):
            if operator.input in pads:
                pad = pads[operator.input]
                top, bottom, left, right = (a + b for a, b in zip(pad.padding, operator.padding, strict=True))
                operator = replace(operator, input=pad.input, padding=(top, bottom, left, right))
            if _is_pad(operator) and taken[operator.output] == readers[operator.output]:
                pads[operator.output] = operator
                continue
        kept.append(operator)
    return kept


def _activations_into_operators(operators: Sequence[Operator], readers: Counter[str]) -> list[Operator]:
    kept: dict[str, Operator] = {}
    for operator in operators:
        if isinstance(operator, Unary) and operator.kind in ("relu", "relu6") and readers[operator.input] == 1:
            before = kept.get(operator.input)
            if isinstance(before, Convolution | Linear | Binary) and before.activation == "none":
                del kept[before.output]
                operator = replace(before, output=operator.output, activation=operator.kind)
        kept[operator.output] = operator
    return list(kept.values())


def _is_scale(operator: Operator) -> bool:
    return _is_pointwise(operator) and isinstance(operator, Convolution) and operator.padding == NO_PADDING


def _is_pad(operator: Convolution) -> bool:
    return _is_pointwise(operator) and bool((operator.weight_OIHW == 1).all() and not operator.bias_O.any())


def _is_pointwise(operator: Operator) -> bool:
    """One number a channel, at every pixel."""
    return (
        isinstance(operator, Convolution)
        and operator.weight_OIHW.shape[1:] == (1, 1, 1)
        and operator.groups == len(operator.weight_OIHW)
        and operator.stride == (1, 1)
    )
