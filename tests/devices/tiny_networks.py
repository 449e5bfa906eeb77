"""Small networks written by hand, so that the tests of devices load no torch."""

from __future__ import annotations

import json
from typing import Any

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper


def doubling_onnx(shape: tuple[int, ...] = (1, 3, 8, 8), kind: str = "Mul") -> bytes:
    """image -> 2 * image; another kind of operator makes another network."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)
    two = numpy_helper.from_array(np.array(2.0, np.float32), "two")
    graph = helper.make_graph([helper.make_node(kind, ["image", "two"], ["logits"])], "g", [image], [logits], [two])
    return _file(graph)


def endless_onnx() -> bytes:
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


def two_inputs_onnx() -> bytes:
    """a + b."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("a", "b", "sum")]
    return _file(helper.make_graph([helper.make_node("Add", ["a", "b"], ["sum"])], "g", ports[:2], ports[2:]))


def doubling_tflite(shape: tuple[int, ...] = (1, 8, 8, 3), custom: str | None = None) -> bytes:
    """image (N, H, W, C) -> 2 * image; with `custom`, by an operator of that name, which no engine has."""
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.CUSTOM if custom else schema.BuiltinOperator.MUL
    code.deprecatedBuiltinCode, code.customCode, code.version = code.builtinCode, custom, 1
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [2]
    if not custom:
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.MulOptions, schema.MulOptionsT()
    graph = schema.SubGraphT()
    graph.tensors = [_tensor("image", shape, 0), _tensor("two", (1,), 1), _tensor("logits", shape, 0)]
    graph.inputs, graph.outputs, graph.operators = [0], [2], [operator]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.frombuffer(np.array([2.0], np.float32).tobytes(), np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def doubling_ncnn(shape: tuple[int, ...] = (1, 3, 8, 8), kind: str = "BinaryOp") -> bytes:
    """image -> 2 * image; another kind of layer makes another network."""
    _, channels, high, wide = shape
    param = (
        f"7767517\n2 2\nInput in 0 1 image 0={wide} 1={high} 2={channels}\n{kind} x 1 1 image logits 0=2 1=1 2=2.0\n"
    )
    head = {"param_bytes": len(param), "bin_bytes": 0, "input": {"image": shape}, "outputs": {"logits": shape}}
    return json.dumps({**head, "metadata": {}}).encode() + b"\n" + param.encode()


def _tensor(name: str, shape: tuple[int, ...], buffer: int) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer, tensor.type = name, list(shape), buffer, schema.TensorType.FLOAT32
    return tensor


def _file(graph: onnx.GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
