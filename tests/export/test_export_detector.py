"""Detectors as files: what they find is what the module finds."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from nasfit.architecture import Architecture, detector_on, published
from nasfit.errors import TrialFailure
from nasfit.export import check_parity, export_model, read_metadata
from nasfit.export.detector_onnx import detector_to_onnx
from nasfit.export.detector_parity import check_detector_onnx, check_detector_tflite
from nasfit.export.detector_tflite import detector_to_tflite
from nasfit.models.detector_network import DetectorNetwork, as_ssd, build_detector, decoded, flattened

TINY = (
    "in3@224 stem8s2 | sepconv k3 s1 se0 none f8 n1 | mbconv3 k3 s2 se0 none f16 n1 | mbconv3 k3 s2 se0 none f16 n1 | "
    "mbconv3 k3 s2 se0.25 none f24 n1 | mbconv3 k3 s2 se0.25 pool f24 n2 | head32 out10 relu"
)


def sure(architecture: Architecture, seed: int = 0) -> tuple[DetectorNetwork, torch.Tensor]:
    """A detector of two classes with statistics of its own, whose predictions differ from place to place."""
    torch.manual_seed(seed)
    network = build_detector(detector_on(architecture, classes=2, resolution=96), bn_momentum=1.0)
    for name, part in network.named_modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.5, 0.5)
        if name.startswith("head") and isinstance(part, nn.Conv2d) and part.bias is not None:
            nn.init.normal_(part.weight, std=0.05 if "regression" in name else 0.25)
    images_BCHW = torch.randn(8, 3, 96, 96)
    with torch.no_grad():
        network.train()(images_BCHW)
    return network.eval(), images_BCHW


@pytest.mark.parametrize("architecture", [Architecture.parse(TINY), published("mobilenet-v3-small")])
def test_onnx_detects_what_torchvision_detects(architecture: Architecture) -> None:
    network, images_BCHW = sure(architecture)
    content = detector_to_onnx(network, {"classes": '["a", "b"]'})
    compared = [check_detector_onnx(network, content, image[None]) for image in images_BCHW]
    assert sum(compared) > 100
    assert read_metadata(content)["classes"] == '["a", "b"]'


def test_onnx_reports_the_best_first_and_no_more_than_asked() -> None:
    network, images_BCHW = sure(Architecture.parse(TINY))
    session = onnxruntime.InferenceSession(detector_to_onnx(network, most_boxes=7, least_score=0.0))
    boxes_D4, scores_D, labels_D = session.run(None, {"image": images_BCHW[:1].numpy()})
    assert (boxes_D4.shape, labels_D.shape, labels_D.dtype) == ((7, 4), (7,), np.int64)
    assert (np.diff(scores_D) <= 0).all()
    assert boxes_D4.min() >= 0 and boxes_D4.max() <= 1


def test_onnx_of_a_picture_of_nothing_is_empty() -> None:
    network, images_BCHW = sure(Architecture.parse(TINY))
    session = onnxruntime.InferenceSession(detector_to_onnx(network, least_score=1.0))
    boxes_D4, scores_D, labels_D = session.run(None, {"image": images_BCHW[:1].numpy()})
    assert (boxes_D4.shape, scores_D.shape, labels_D.shape) == ((0, 4), (0,), (0,))


@pytest.mark.parametrize("architecture", [Architecture.parse(TINY), published("mobilenet-v3-small")])
def test_tflite_decodes_as_the_module_does(architecture: Architecture) -> None:
    network, images_BCHW = sure(architecture)
    content = detector_to_tflite(network, {"classes": '["a", "b"]'})
    assert check_detector_tflite(network, content, images_BCHW[:1]) < 1e-4
    assert read_metadata(content)["classes"] == '["a", "b"]'


def test_what_decodes_is_what_torchvision_decodes() -> None:
    network, images_BCHW = sure(Architecture.parse(TINY))
    ssd = as_ssd(network, mean=(0, 0, 0), std=(1, 1, 1)).eval()
    with torch.no_grad():
        boxes_BA4, _ = decoded(network, images_BCHW[:1])
        offsets_BA4, _ = flattened(network(images_BCHW[:1]), 3)
        expected_A4 = ssd.box_coder.decode_single(offsets_BA4[0], ssd.anchor_generator.boxes_A4) / 96
    assert torch.allclose(boxes_BA4[0], expected_A4, atol=1e-5)


def test_files_of_other_weights_are_noticed() -> None:
    network, images_BCHW = sure(Architecture.parse(TINY))
    other, _ = sure(Architecture.parse(TINY), seed=1)
    with pytest.raises(TrialFailure, match="detects class"):
        check_detector_onnx(network, detector_to_onnx(other), images_BCHW[:1])
    with pytest.raises(TrialFailure, match="differs from the module"):
        check_detector_tflite(network, detector_to_tflite(other), images_BCHW[:1])


@pytest.mark.parametrize("model_format", ["onnx", "tflite"])
def test_the_maps_alone_export_as_any_network(model_format: str) -> None:
    network, images_BCHW = sure(Architecture.parse(TINY))
    content = export_model(network, (3, 96, 96), model_format=model_format)
    assert check_parity(network, content, images_BCHW[:2], model_format=model_format) < 1e-4
