"""A .tflite network written by hand, so that these tests load no torch."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

SHAPE_BCHW = (1, 3, 5, 4)


def doubling() -> bytes:
    """image (1, 5, 4, 3), channels last -> logits (1, 60): 2 * image, flattened. Height and width differ on purpose."""
    model = schema.ModelT()
    model.version = 3
    model.buffers = [_buffer(b""), _buffer(np.float32(2).tobytes()), _buffer(np.array([1, 60], np.int32).tobytes())]
    floats, integers = schema.TensorType.FLOAT32, schema.TensorType.INT32
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor("image", [1, 5, 4, 3], floats, 0),
        _tensor("two", [], floats, 1),
        _tensor("doubled", [1, 5, 4, 3], floats, 0),
        _tensor("shape", [2], integers, 2),
        _tensor("logits", [1, 60], floats, 0),
    ]
    graph.operators = [
        _operator(0, [0, 1], [2], schema.BuiltinOptions.MulOptions, schema.MulOptionsT()),
        _operator(1, [2, 3], [4], schema.BuiltinOptions.NONE, None),
    ]
    graph.inputs, graph.outputs = [0], [4]
    model.subgraphs = [graph]
    model.operatorCodes = [_code(schema.BuiltinOperator.MUL), _code(schema.BuiltinOperator.RESHAPE)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def image_BCHW() -> np.ndarray:
    return np.random.default_rng(5).standard_normal(SHAPE_BCHW).astype(np.float32)


def expected_BK() -> np.ndarray:
    return 2 * image_BCHW().transpose(0, 2, 3, 1).reshape(1, -1)


def _buffer(content: bytes) -> schema.BufferT:
    buffer = schema.BufferT()
    if content:
        buffer.data = np.frombuffer(content, np.uint8)
    return buffer


def _tensor(name: str, shape: list[int], kind: int, buffer: int) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), np.array(shape, np.int32), kind, buffer
    return tensor


def _operator(code: int, inputs: list[int], outputs: list[int], kind: int, options: object) -> schema.OperatorT:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, inputs, outputs
    operator.builtinOptionsType, operator.builtinOptions = kind, options
    return operator


def _code(builtin: int) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    return code
