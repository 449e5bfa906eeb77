"""The ONNX graph while it is written, and the traced call that a part of it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from torch import Tensor, fx

from nasfit.errors import TrialFailure


@dataclass
class Graph:
    """Nodes in order and the weights they read."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> None:
        """Append one operator of the default ONNX domain."""
        self.nodes.append(onnx.helper.make_node(op, inputs, [output], name=output, **attributes))

    def weight(self, name: str, value: Tensor | np.ndarray) -> str:
        """Store a constant under `name`, floats as float32; gives the name back."""
        array = value.detach().float().cpu().numpy() if isinstance(value, Tensor) else value
        self.weights.append(onnx.numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name


@dataclass(frozen=True)
class Source:
    """One call of the trace, and the ONNX names of the tensors made before it."""

    node: fx.Node
    names: dict[fx.Node, str]

    def read(self, position: int = 0) -> str:
        """ONNX name of the tensor at this argument. Raises TrialFailure where it is a plain number."""
        argument = self.node.args[position]
        if not isinstance(argument, fx.Node):
            raise TrialFailure(f"cannot export {self.node.format_node()}: {argument!r} is not a tensor of the network")
        return self.names[argument]

    def argument(self, position: int, keyword: str, default: object) -> object:
        """A plain argument given by position or keyword."""
        if len(self.node.args) > position:
            return self.node.args[position]
        return self.node.kwargs.get(keyword, default)

    def output(self) -> str:
        """ONNX name of what this call makes."""
        self.names[self.node] = self.node.name
        return self.node.name

    def same(self) -> None:
        """The call changes nothing in evaluation mode: its output is its input."""
        self.names[self.node] = self.read()

    def unsupported(self, why: str) -> TrialFailure:
        """The failure to raise for a setting that has no ONNX form here."""
        return TrialFailure(f"cannot export {self.node.target!s} ({self.node.op}): {why}")
