"""The ONNX graph while it is written."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx


@dataclass
class Graph:
    """Nodes in order and the weights they read."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> None:
        """Append one operator of the default ONNX domain."""
        self.nodes.append(onnx.helper.make_node(op, inputs, [output], name=output, **attributes))

    def weight(self, name: str, value: np.ndarray) -> str:
        """Store a constant under `name`; gives the name back."""
        self.weights.append(onnx.numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name
