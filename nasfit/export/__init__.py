"""`torch.nn.Module` -> the file that ships and is timed, with a check that both give the same numbers.

`to_onnx` writes ONNX directly from a torch.fx trace with batch norm folded, in hundredths of a second, so that every
trial of a search can be exported. `check_parity` runs the file in ONNX Runtime beside the module.
"""

from nasfit.export.metadata import model_metadata, read_metadata
from nasfit.export.onnx_writer import INPUT_NAME, OPSET, OUTPUT_NAME, to_onnx
from nasfit.export.parity import check_parity

__all__ = ["INPUT_NAME", "OPSET", "OUTPUT_NAME", "check_parity", "model_metadata", "read_metadata", "to_onnx"]
