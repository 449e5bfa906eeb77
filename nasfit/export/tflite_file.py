"""A TFLite file while it is put together: constants, tensors and operators of one graph, then bytes.

The format is a flatbuffer (schema version 3) whose tables are written here with the schema module that
`ai-edge-litert` ships. Weights go into it as whole arrays, so that 15 MB take milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

VERSION = 3
IDENTIFIER = b"TFL3"
# The schema asks for 16; it lets engines read weights in place with vector instructions.
ALIGNMENT = 16
TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int8): schema.TensorType.INT8,
}


@dataclass(frozen=True)
class Scale:
    """real = scale * (stored - zero_point): one of each for a tensor, or one a channel along `axis`."""

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int = 0


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    buffer: int
    scale: Scale | None


@dataclass(frozen=True)
class _Node:
    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: str
    values: Mapping[str, int]


@dataclass
class TfliteFile:
    """Tensors and operators are numbered in the order they are added."""

    _buffers: list[bytes | np.ndarray] = field(default_factory=lambda: [b""])
    _tensors: list[_Tensor] = field(default_factory=list)
    _codes: list[tuple[str, int]] = field(default_factory=list)
    _nodes: list[_Node] = field(default_factory=list)
    _metadata: dict[str, int] = field(default_factory=dict)

    def tensor(
        self, name: str, shape: Sequence[int], dtype: type[np.generic] = np.float32, scale: Scale | None = None
    ) -> int:
        """A tensor that an operator or the caller fills; its number. shape: NHWC, the batch included."""
        return self._add_tensor(_Tensor(name, tuple(shape), np.dtype(dtype), 0, scale))

    def constant(self, name: str, value: np.ndarray, scale: Scale | None = None) -> int:
        """A tensor with its content (float32, int32 or int8); its number."""
        return self._add_tensor(_Tensor(name, value.shape, value.dtype, self._add_buffer(value), scale))

    def metadata(self, name: str, text: str) -> None:
        """A named text, UTF-8."""
        self._metadata[name] = self._add_buffer(text.encode())

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], *, version: int = 1, **options: int
    ) -> None:
        """Append an operator, such as CONV_2D. options: fields of its table in the schema, in the schema's spelling."""
        if (kind, version) not in self._codes:
            self._codes.append((kind, version))
        code = self._codes.index((kind, version))
        self._nodes.append(_Node(code, tuple(inputs), tuple(outputs), OPTIONS[kind], options))

    def written(self, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> bytes:
        """The file. inputs, outputs: tensors by the name that the signature `serving_default` gives them."""
        size = sum(len(buffer) if isinstance(buffer, bytes) else buffer.nbytes for buffer in self._buffers)
        builder = flatbuffers.Builder(size + 64 * len(self._buffers) + 65536)
        model = _table(
            builder,
            "Model",
            Version=VERSION,
            OperatorCodes=_tables(builder, [_code(builder, *code) for code in self._codes]),
            Subgraphs=_tables(builder, [self._graph(builder, inputs, outputs)]),
            Description=builder.CreateString("nasfit"),
            Buffers=_tables(builder, [_buffer(builder, buffer) for buffer in self._buffers]),
            Metadata=_tables(
                builder,
                [
                    _table(builder, "Metadata", Name=builder.CreateString(name), Buffer=number)
                    for name, number in self._metadata.items()
                ],
            ),
            SignatureDefs=_tables(builder, [_signature(builder, inputs, outputs)]),
        )
        builder.Finish(model, IDENTIFIER)
        return bytes(builder.Output())

    def _add_tensor(self, tensor: _Tensor) -> int:
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _add_buffer(self, content: bytes | np.ndarray) -> int:
        self._buffers.append(content)
        return len(self._buffers) - 1

    def _graph(self, builder: flatbuffers.Builder, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> int:
        return _table(
            builder,
            "SubGraph",
            Tensors=_tables(builder, [_tensor(builder, tensor) for tensor in self._tensors]),
            Inputs=_numbers(builder, list(inputs.values())),
            Outputs=_numbers(builder, list(outputs.values())),
            Operators=_tables(builder, [_node(builder, node) for node in self._nodes]),
            Name=builder.CreateString("main"),
        )


OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "ADD": "AddOptions",
    "MUL": "MulOptions",
    "PAD": "PadOptions",
    "RESHAPE": "ReshapeOptions",
    "TRANSPOSE": "TransposeOptions",
    "RELU": "",
    "RELU6": "",
    "LOGISTIC": "",
    "HARD_SWISH": "HardSwishOptions",
    "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SLICE": "SliceOptions",
    "SOFTMAX": "SoftmaxOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "EXP": "ExpOptions",
    "SUB": "SubOptions",
}


def _table(builder: flatbuffers.Builder, kind: str, **values: int) -> int:
    """A table of the schema; its offset. Tables, texts and vectors inside it are given by theirs."""
    getattr(schema, f"{kind}Start")(builder)
    for name, value in values.items():
        getattr(schema, f"{kind}Add{name}")(builder, value)
    offset: int = getattr(schema, f"{kind}End")(builder)
    return offset


def _tables(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    return _vector(builder, offsets, builder.PrependUOffsetTRelative)


def _vector(builder: flatbuffers.Builder, values: Sequence[int], prepend: Callable[[int], None]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        prepend(value)
    offset: int = builder.EndVector()
    return offset


def _numbers(builder: flatbuffers.Builder, values: Sequence[int]) -> int:
    offset: int = builder.CreateNumpyVector(np.array(values, np.int32))
    return offset


def _buffer(builder: flatbuffers.Builder, content: bytes | np.ndarray) -> int:
    if isinstance(content, np.ndarray):
        content = content.tobytes()
    if not content:
        return _table(builder, "Buffer")
    builder.Prep(ALIGNMENT, len(content))
    return _table(builder, "Buffer", Data=builder.CreateByteVector(content))


def _tensor(builder: flatbuffers.Builder, tensor: _Tensor) -> int:
    values = {
        "Shape": _numbers(builder, tensor.shape),
        "Type": TYPES[tensor.dtype],
        "Buffer": tensor.buffer,
        "Name": builder.CreateString(tensor.name),
    }
    if tensor.scale is not None:
        values["Quantization"] = _table(
            builder,
            "QuantizationParameters",
            Scale=builder.CreateNumpyVector(np.atleast_1d(tensor.scale.scale).astype(np.float32)),
            ZeroPoint=builder.CreateNumpyVector(np.atleast_1d(tensor.scale.zero_point).astype(np.int64)),
            QuantizedDimension=tensor.scale.axis,
        )
    return _table(builder, "Tensor", **values)


def _node(builder: flatbuffers.Builder, node: _Node) -> int:
    values = {
        "OpcodeIndex": node.code,
        "Inputs": _numbers(builder, node.inputs),
        "Outputs": _numbers(builder, node.outputs),
    }
    if node.options:
        values["BuiltinOptionsType"] = getattr(schema.BuiltinOptions, node.options)
        values["BuiltinOptions"] = _table(builder, node.options, **node.values)
    return _table(builder, "Operator", **values)


def _code(builder: flatbuffers.Builder, kind: str, version: int) -> int:
    code = getattr(schema.BuiltinOperator, kind)
    # Runtimes before 2.4 read the first of the two fields alone; all codes here fit into its 7 bits.
    return _table(builder, "OperatorCode", DeprecatedBuiltinCode=code, Version=version, BuiltinCode=code)


def _signature(builder: flatbuffers.Builder, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> int:
    def maps(ends: Mapping[str, int]) -> int:
        return _tables(
            builder,
            [
                _table(builder, "TensorMap", Name=builder.CreateString(name), TensorIndex=number)
                for name, number in ends.items()
            ],
        )

    return _table(
        builder,
        "SignatureDef",
        Inputs=maps(inputs),
        Outputs=maps(outputs),
        SignatureKey=builder.CreateString("serving_default"),
        SubgraphIndex=0,
    )
