"""`torch.nn.Module` -> the file that ships and is timed, with a check that both give the same numbers.

`trace_program` turns the module into a list of operators, batch norm folded; the writers put it into each format in
hundredths of a second, so that every trial of a search can be exported. `export_model` is the door to all formats;
`check_parity` runs a file beside its module. Detectors are in `detector_onnx`, `detector_tflite` and `detector_parity`,
which load torchvision (a second more).
"""

from nasfit.export.executorch_writer import to_executorch, write_executorch
from nasfit.export.metadata import model_metadata, read_metadata
from nasfit.export.model_card import CardFile, CardLatency, ModelCard, model_card
from nasfit.export.ncnn_writer import ncnn_files, to_ncnn, write_ncnn
from nasfit.export.onnx_writer import OPSET, to_onnx, write_onnx
from nasfit.export.parity import FP32_TOLERANCE, RMS_TOLERANCE, check_parity, run_file
from nasfit.export.preprocessing import with_preprocessing
from nasfit.export.program import Program
from nasfit.export.tflite_writer import to_tflite, write_tflite
from nasfit.export.tracing import INPUT_NAME, OUTPUT_NAME, output_names, trace_program
from nasfit.export.writing import MODEL_FORMATS, PRECISIONS, export_model

__all__ = [
    "FP32_TOLERANCE",
    "INPUT_NAME",
    "MODEL_FORMATS",
    "OPSET",
    "OUTPUT_NAME",
    "PRECISIONS",
    "RMS_TOLERANCE",
    "CardFile",
    "CardLatency",
    "ModelCard",
    "Program",
    "check_parity",
    "export_model",
    "model_card",
    "model_metadata",
    "ncnn_files",
    "output_names",
    "read_metadata",
    "run_file",
    "to_executorch",
    "to_ncnn",
    "to_onnx",
    "to_tflite",
    "trace_program",
    "with_preprocessing",
    "write_executorch",
    "write_ncnn",
    "write_onnx",
    "write_tflite",
]
