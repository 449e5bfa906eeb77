"""The one door to every format and precision that a network is written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from nasfit.errors import UnknownNameError, UsageError
from nasfit.export.executorch_writer import write_executorch
from nasfit.export.ncnn_writer import write_ncnn
from nasfit.export.onnx_int8 import write_onnx_int8
from nasfit.export.onnx_writer import write_onnx
from nasfit.export.program import Program
from nasfit.export.quantization import calibrated, quantizable
from nasfit.export.tflite_int8 import write_tflite_int8
from nasfit.export.tflite_writer import write_tflite
from nasfit.export.tracing import trace_program

Metadata = Mapping[str, str] | None

PRECISIONS = ("fp32", "int8")


@dataclass(frozen=True)
class _Format:
    """How a program is written in a format; int8 is None where the format has none."""

    fp32: Callable[[Program, Metadata], bytes]
    int8: Callable[[Program, Metadata, Tensor], bytes] | None


def export_model(
    module: nn.Module,
    input_shape: tuple[int, int, int],
    *,
    model_format: str,
    precision: str = "fp32",
    metadata: Mapping[str, str] | None = None,
    calibration_BCHW: Tensor | None = None,
) -> bytes:
    """The module in evaluation mode as a file.

    module: (B, C, H, W) -> (B, K). input_shape: (C, H, W). model_format: one of MODEL_FORMATS. precision: `fp32`, or
    `int8` for weights and activations of 8 bits between a float32 input and output. metadata: stored as texts.
    calibration_BCHW: normalised float32 pictures that show how large activations get, for int8 alone; some hundred. The
    module is not changed. Raises UnknownNameError for an unknown format or precision, UsageError where a format has no
    int8 or pictures are missing, TrialFailure for what cannot be written, MissingExtraError where only an extra can
    write the format (pte).
    """
    if model_format not in _FORMATS:
        raise UnknownNameError("model format", model_format, _FORMATS)
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    form = _FORMATS[model_format]
    if precision == "fp32":
        return form.fp32(trace_program(module, input_shape), metadata)
    if form.int8 is None:
        having = ", ".join(name for name, other in _FORMATS.items() if other.int8)
        raise UsageError(f"{model_format} files are not written in int8; use one of {having}, or fp32")
    if calibration_BCHW is None:
        raise UsageError(
            "int8 needs pictures to see how large activations get; pass calibration_BCHW, some hundred normalised ones"
        )
    return form.int8(quantizable(trace_program(module, input_shape)), metadata, calibration_BCHW)


def _onnx_int8(program: Program, metadata: Metadata, pictures_BCHW: Tensor) -> bytes:
    return write_onnx_int8(program, calibrated(program, pictures_BCHW), metadata)


def _tflite_int8(program: Program, metadata: Metadata, pictures_BCHW: Tensor) -> bytes:
    return write_tflite_int8(program, calibrated(program, pictures_BCHW), metadata)


# A further format is a row here.
_FORMATS = {
    "onnx": _Format(write_onnx, _onnx_int8),
    "tflite": _Format(write_tflite, _tflite_int8),
    "ncnn": _Format(write_ncnn, None),
    "pte": _Format(write_executorch, None),
}
MODEL_FORMATS = tuple(_FORMATS)
