"""Program -> ExecuTorch file (.pte), float32, for XNNPACK, by ExecuTorch's own exporter, which the extra brings.

It takes seconds where the other writers take hundredths of one. Shapes: B batch, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nasfit import __version__
from nasfit.errors import MissingExtraError, TrialFailure
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
from nasfit.export.tracing import trace_program

EXTRA = "executorch"
# Bytes 4 to 8 of a file.
IDENTIFIER = b"ET12"
# The method that hands out the metadata, as the bytes of a JSON text.
METADATA_METHOD = "nasfit_metadata"
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda value: value,
    "relu": torch.relu,
    "relu6": functional.relu6,
    "sigmoid": torch.sigmoid,
    "hswish": functional.hardswish,
    "hsigmoid": functional.hardsigmoid,
}


def to_executorch(
    module: nn.Module, input_shape: tuple[int, int, int], metadata: Mapping[str, str] | None = None
) -> bytes:
    """An ExecuTorch file of the module in evaluation mode: (1, C, H, W) float32 -> (1, K), or a tuple of tensors.

    input_shape: (C, H, W). metadata: stored as texts beside `nasfit_version`. The module is not changed. Raises
    MissingExtraError without ExecuTorch, TrialFailure naming what cannot be written.
    """
    return write_executorch(trace_program(module, input_shape), metadata)


def write_executorch(program: Program, metadata: Mapping[str, str] | None = None) -> bytes:
    """As `to_executorch`, from a program."""
    require_executorch("writing an ExecuTorch file")
    text = json.dumps({**(metadata or {}), "nasfit_version": __version__})
    told = torch.from_numpy(np.frombuffer(text.encode(), np.uint8).copy())
    with _quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        try:
            exported = torch.export.export(
                _Runnable(program).eval(), (torch.zeros(1, *program.shapes[program.input]),), strict=False
            )
            lowered = to_edge_transform_and_lower(
                exported, partitioner=[XnnpackPartitioner()], constant_methods={METADATA_METHOD: told}
            )
            return bytes(lowered.to_executorch().buffer)
        except Exception as error:  # the exporter lets errors of any kind out
            raise TrialFailure(f"ExecuTorch cannot export the network: {error}") from error


def executorch_metadata(content: bytes) -> dict[str, str]:
    """The metadata in a file. Raises MissingExtraError without ExecuTorch, which alone can read it."""
    require_executorch("reading an ExecuTorch file's metadata")
    runtime: Any = importlib.import_module("executorch.runtime")
    program = runtime.Runtime.get().load_program(content)
    if METADATA_METHOD not in program.method_names:
        return {}
    (told,) = program.load_method(METADATA_METHOD).execute([])
    return dict(json.loads(told.numpy().tobytes()))


def require_executorch(what: str) -> None:
    """Raises MissingExtraError where ExecuTorch is not installed."""
    if importlib.util.find_spec("executorch") is None:
        raise MissingExtraError(what, EXTRA)


class _Runnable(nn.Module):
    """A program as a module that ExecuTorch can export: batch norm is folded already."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        for number, operator in enumerate(program.operators):
            if isinstance(operator, Convolution | Linear):
                weight = operator.weight_OIHW if isinstance(operator, Convolution) else operator.weight_OI
                # Parameters, for XNNPACK packs those alone.
                self.register_parameter(f"weight{number}", _frozen(weight))
                self.register_parameter(f"bias{number}", _frozen(operator.bias_O))

    def forward(self, image_BCHW: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The program's outputs."""
        tensors = {self.program.input: image_BCHW}
        for number, operator in enumerate(self.program.operators):
            tensors[operator.output] = self._run(number, operator, *(tensors[name] for name in operator.inputs))
        # An input or a tensor handed out twice would be dropped or shared.
        outputs = [tensors[name] for name in self.program.outputs]
        whole = len({id(output) for output in (image_BCHW, *outputs)}) == 1 + len(outputs)
        outputs = outputs if whole else [output.clone() for output in outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _run(self, number: int, operator: Operator, first: Tensor, *rest: Tensor) -> Tensor:
        match operator:
            case Convolution():
                padded, padding = _padding(first, operator.padding)
                made = functional.conv2d(
                    padded, *self._weights(number), operator.stride, padding, operator.dilation, operator.groups
                )
                return ACTIVATIONS[operator.activation](made)
            case Linear():
                return ACTIVATIONS[operator.activation](functional.linear(first, *self._weights(number)))
            case Binary():
                made = first + rest[0] if operator.kind == "add" else first * rest[0]
                return ACTIVATIONS[operator.activation](made)
            case Unary():
                return ACTIVATIONS[operator.kind](first)
            case AveragePool():
                padding = (operator.padding[0], operator.padding[2])
                return functional.avg_pool2d(
                    first, operator.kernel, operator.stride, padding, count_include_pad=operator.counted
                )
            case GlobalMean():
                return first.mean((2, 3), keepdim=operator.keep)
            case Flatten():
                return first.flatten(1)

    def _weights(self, number: int) -> tuple[Tensor, Tensor]:
        return self.get_parameter(f"weight{number}"), self.get_parameter(f"bias{number}")


def _frozen(values: np.ndarray) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.ascontiguousarray(values, np.float32)), requires_grad=False)


def _padding(maps_BCHW: Tensor, padding: tuple[int, int, int, int]) -> tuple[Tensor, tuple[int, int]]:
    """The maps, with zeros put around them where a convolution cannot do it evenly, and what it does itself."""
    top, bottom, left, right = padding
    if (top, left) == (bottom, right):
        return maps_BCHW, (top, left)
    return functional.pad(maps_BCHW, (left, right, top, bottom)), (0, 0)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's warnings and logs, which are about itself, kept from the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
