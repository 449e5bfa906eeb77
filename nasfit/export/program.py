"""A network as a list of operators, batch norm folded and activations fused: what every file format is written from.

Shapes leave out the batch: (C, H, W) for maps, (K,) for vectors. O output and I input channels of a weight.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Activation = Literal["none", "relu", "relu6"]
UnaryKind = Literal["relu", "relu6", "sigmoid", "hswish", "hsigmoid"]


@dataclass(frozen=True)
class Convolution:
    """Any 2-d convolution. padding: top, bottom, left, right, of zeros. weight_OIHW: I is per group."""

    input: str
    output: str
    weight_OIHW: np.ndarray
    bias_O: np.ndarray
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int
    activation: Activation = "none"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors it reads."""
        return (self.input,)

    @property
    def depthwise(self) -> bool:
        """One filter a channel, as in every mobile layer."""
        return self.groups > 1 and self.groups == self.weight_OIHW.shape[0] and self.weight_OIHW.shape[1] == 1


@dataclass(frozen=True)
class Linear:
    """(I,) -> (O,)."""

    input: str
    output: str
    weight_OI: np.ndarray
    bias_O: np.ndarray
    activation: Activation = "none"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors it reads."""
        return (self.input,)


@dataclass(frozen=True)
class Binary:
    """Sum or product of two tensors; the second may be (C, 1, 1) against (C, H, W)."""

    kind: Literal["add", "mul"]
    inputs: tuple[str, str]
    output: str
    activation: Activation = "none"


@dataclass(frozen=True)
class Unary:
    """An activation that no operator before it could take in.

    hsigmoid: x / 6 + 1 / 2, from 0 to 1. hswish: x * hsigmoid(x) (Howard et al. 2019, section 5.2).
    """

    kind: UnaryKind
    input: str
    output: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors it reads."""
        return (self.input,)


@dataclass(frozen=True)
class AveragePool:
    """Mean of a window. padding: as in `Convolution`; counted: whether padding counts as zeros or not at all."""

    input: str
    output: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    counted: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors it reads."""
        return (self.input,)


@dataclass(frozen=True)
class GlobalMean:
    """(C, H, W) -> (C, 1, 1) where `keep`, else (C,)."""

    input: str
    output: str
    keep: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors it reads."""
        return (self.input,)


@dataclass(frozen=True)
class Flatten:
    """(C, H, W) -> (C * H * W,), channels slowest."""

    input: str
    output: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors it reads."""
        return (self.input,)


Operator = Convolution | Linear | Binary | Unary | AveragePool | GlobalMean | Flatten


@dataclass(frozen=True)
class Program:
    """Operators in an order that can be run; every tensor is written once.

    input: name of the picture's tensor. outputs: names of the tensors handed out, in order. shapes: of every tensor.
    """

    input: str
    outputs: tuple[str, ...]
    operators: tuple[Operator, ...]
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
