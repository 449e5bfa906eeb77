"""Small ONNX networks written by hand, so that these tests load no torch."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


def doubling() -> bytes:
    """image (1, 3, 8, 8) -> 2 * image."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3, 8, 8])
    two = numpy_helper.from_array(np.array(2.0, np.float32), "two")
    graph = helper.make_graph([helper.make_node("Mul", ["image", "two"], ["logits"])], "g", [image], [logits], [two])
    return _file(graph)


def endless() -> bytes:
    """A network that is valid and does not end in this century: a loop of 10^15 turns."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    turn = helper.make_tensor_value_info("turn", TensorProto.INT64, [])
    go = helper.make_tensor_value_info("go", TensorProto.BOOL, [])
    go_on = helper.make_tensor_value_info("go_on", TensorProto.BOOL, [])
    before = helper.make_tensor_value_info("before", TensorProto.FLOAT, None)
    after = helper.make_tensor_value_info("after", TensorProto.FLOAT, None)
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Sin", ["before"], ["after"])],
        "body",
        [turn, go, before],
        [go_on, after],
    )
    turns = numpy_helper.from_array(np.array(10**15, np.int64), "turns")
    yes = numpy_helper.from_array(np.array(True), "yes")
    loop = helper.make_node("Loop", ["turns", "yes", "image"], ["logits"], body=body)
    return _file(helper.make_graph([loop], "g", [image], [logits], [turns, yes]))


def _file(graph: onnx.GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.fixture
def doubling_bytes() -> bytes:
    return doubling()


@pytest.fixture
def endless_bytes() -> bytes:
    return endless()


@pytest.fixture
def image_BCHW() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((1, 3, 8, 8), dtype=np.float32)
