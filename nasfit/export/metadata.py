"""What an exported file says about itself: how to prepare a picture and what the logits mean."""

from __future__ import annotations

import json
from collections.abc import Sequence

import onnx
from ai_edge_litert import schema_py_generated as schema

from nasfit.errors import UsageError
from nasfit.export import executorch_writer
from nasfit.export.ncnn_writer import ncnn_head
from nasfit.export.tflite_file import IDENTIFIER


def model_metadata(
    *, architecture: str, mean: Sequence[float], std: Sequence[float], classes: Sequence[str]
) -> dict[str, str]:
    """Metadata for `export_model`; lists are JSON texts.

    architecture: its one-line text. mean, std: per channel, of pixels scaled to 0..1. classes: names in logit order.
    """
    return {
        "architecture": architecture,
        "mean": json.dumps([float(value) for value in mean]),
        "std": json.dumps([float(value) for value in std]),
        "classes": json.dumps(list(classes), ensure_ascii=False),
    }


def read_metadata(content: bytes) -> dict[str, str]:
    """The metadata stored in a file that nasfit wrote, as texts.

    Raises UsageError for anything else, MissingExtraError for a .pte where ExecuTorch is not installed.
    """
    if content[4:8] == IDENTIFIER:
        return _tflite_metadata(content)
    if content[4:8] == executorch_writer.IDENTIFIER:
        return executorch_writer.executorch_metadata(content)
    if content[:1] == b"{":
        return dict(ncnn_head(content)["metadata"])
    try:
        model = onnx.load_from_string(content)
    except Exception:  # protobuf's decoding error is a class of its C++ or its Python part, whichever is in use
        model = onnx.ModelProto()
    if not model.HasField("graph"):
        raise UsageError(
            f"{len(content)} bytes that are neither an ONNX nor a TFLite, ncnn or ExecuTorch file; give one that "
            "nasfit wrote"
        )
    return {entry.key: entry.value for entry in model.metadata_props}


def _tflite_metadata(content: bytes) -> dict[str, str]:
    model = schema.Model.GetRootAs(content, 0)
    entries = [model.Metadata(index) for index in range(model.MetadataLength())]
    texts = {entry.Name().decode(): model.Buffers(entry.Buffer()) for entry in entries}
    return {
        name: buffer.DataAsNumpy().tobytes().decode() if buffer.DataLength() else "" for name, buffer in texts.items()
    }
