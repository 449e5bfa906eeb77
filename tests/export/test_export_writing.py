"""The one door to all formats."""

from __future__ import annotations

import pytest
from export_networks import images
from torch import nn

from nasfit.devices import ENGINES
from nasfit.errors import UnknownNameError, UsageError
from nasfit.export import MODEL_FORMATS, PRECISIONS, check_parity, export_model, read_metadata, writing

NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))


# What extras read, by the package that has to be there.
EXTRAS = {"ncnn": "ncnn", "pte": "executorch"}
CASES = [
    (model_format, precision)
    for model_format in MODEL_FORMATS
    for precision in PRECISIONS
    if precision == "fp32" or model_format not in EXTRAS
]


@pytest.mark.parametrize(("model_format", "precision"), CASES)
def test_every_format_in_every_precision(model_format: str, precision: str) -> None:
    if model_format in EXTRAS:
        pytest.importorskip(EXTRAS[model_format], reason=f"{EXTRAS[model_format]} is not installed")
    pictures = images(8, 3, 6, 6)
    content = export_model(
        NETWORK,
        (3, 6, 6),
        model_format=model_format,
        precision=precision,
        metadata={"made": "here"},
        calibration_BCHW=pictures,
    )
    assert read_metadata(content)["made"] == "here"
    difference = check_parity(NETWORK, content, pictures, model_format=model_format, precision=precision)
    assert difference < (1e-5 if precision == "fp32" else 0.05)
    assert precision == "fp32" or difference > 1e-4


def test_the_formats() -> None:
    assert MODEL_FORMATS == ("onnx", "tflite", "ncnn", "pte")
    assert {engine.model_format for engine in ENGINES.values()} == set(MODEL_FORMATS)


def test_int8_asks_for_pictures() -> None:
    with pytest.raises(UsageError, match="pass calibration_BCHW"):
        export_model(NETWORK, (3, 6, 6), model_format="tflite", precision="int8")


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="unknown model format 'onix'; did you mean 'onnx'"):
        export_model(NETWORK, (3, 6, 6), model_format="onix")
    with pytest.raises(UnknownNameError, match="unknown precision 'fp16'"):
        export_model(NETWORK, (3, 6, 6), model_format="onnx", precision="fp16")


def test_a_format_without_int8_names_those_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(writing._FORMATS, "pte", writing._Format(writing._FORMATS["onnx"].fp32, None))
    with pytest.raises(UsageError, match="pte files are not written in int8; use one of onnx, tflite, or fp32"):
        export_model(NETWORK, (3, 6, 6), model_format="pte", precision="int8", calibration_BCHW=images(1, 3, 6, 6))
