"""What the engines' own tools make of the float32 files: int8 by ai-edge-quantizer and onnxruntime.quantization."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor


def by_ai_edge_quantizer(tflite: bytes, pictures_BCHW: Tensor) -> bytes:
    """Static int8 with one scale an output channel, as its shipped recipe has it; float32 at the ends."""
    pytest.importorskip("ai_edge_quantizer", reason="pip install ai-edge-quantizer")
    from ai_edge_quantizer import qtyping, quantizer, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.tflite"
        path.write_bytes(tflite)
        tool = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
        for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
            tool.update_quantization_recipe(".*", end, algorithm_key=AlgorithmName.NO_QUANTIZE)
        images = [{"image": np.ascontiguousarray(one.transpose(1, 2, 0)[None])} for one in pictures_BCHW.numpy()]
        return bytes(tool.quantize(tool.calibrate({"serving_default": images})).quantized_model)


def by_onnxruntime(onnx: bytes, pictures_BCHW: Tensor) -> bytes:
    """Static QDQ, uint8 activations between min and max, int8 weights with one scale an output channel."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pictures(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(pictures_BCHW.numpy())

        def get_next(self) -> dict[str, Any] | None:
            picture = next(self.left, None)
            return None if picture is None else {"image": picture[None]}

    with tempfile.TemporaryDirectory() as folder:
        given, prepared, made = (Path(folder) / name for name in ("float.onnx", "prepared.onnx", "int8.onnx"))
        given.write_bytes(onnx)
        quant_pre_process(str(given), str(prepared))
        quantize_static(
            str(prepared),
            str(made),
            Pictures(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return made.read_bytes()
