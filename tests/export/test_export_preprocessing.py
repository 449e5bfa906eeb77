"""Normalisation inside the graph, in every format and precision."""

from __future__ import annotations

import pytest
import torch
from export_networks import clothes, settled

from nasfit.architecture import Architecture
from nasfit.export import check_parity, export_model, run_file, with_preprocessing
from nasfit.models import build

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
TINY = "in3@32 stem8s2 | mbconv3 k3 s2 se0.25 none f16 n1 | head32 out5 relu"


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_give_what_normalised_pictures_give(channels: int) -> None:
    network = settled(build(Architecture.parse(TINY.replace("in3", f"in{channels}"))).eval())
    inside = with_preprocessing(network, MEAN[:channels], STD[:channels])
    pixels = torch.randint(0, 256, (4, channels, 32, 32)).float()
    mean, std = (torch.tensor(values[:channels]).reshape(-1, 1, 1) for values in (MEAN, STD))
    with torch.no_grad():
        assert torch.allclose(inside(pixels), network((pixels / 255 - mean) / std), atol=1e-4)
    assert not inside.training


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("model_format", ["onnx", "tflite"])
def test_files_take_pixels(model_format: str, precision: str) -> None:
    network = settled(build(Architecture.parse(TINY)).eval())
    inside = with_preprocessing(network, MEAN, STD)
    pixels = (clothes(32, 3, 32) * 0.353 + 0.286).clamp(0, 1).mul(255).round()
    content = export_model(inside, (3, 32, 32), model_format=model_format, precision=precision, calibration_BCHW=pixels)
    check_parity(inside, content, pixels, model_format=model_format, precision=precision)
    logits = run_file(content, pixels, model_format=model_format)
    assert abs(logits[0] - logits[1]).max() > 1e-3
