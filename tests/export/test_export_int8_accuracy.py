"""What int8 costs a network that has been trained, beside what the engines' own quantizers cost it."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from other_quantizers import by_ai_edge_quantizer, by_onnxruntime
from torch import Tensor, nn

from nasfit.architecture import adapted, published
from nasfit.export import check_parity, export_model, run_file
from nasfit.models import build, calm
from nasfit.tasks import ClassificationData, load
from nasfit.training import as_images, calibration_pictures, normalised, recipe_for, train

OTHERS: dict[str, Callable[[bytes, Tensor], bytes]] = {"tflite": by_ai_edge_quantizer, "onnx": by_onnxruntime}
Trained = tuple[nn.Module, ClassificationData]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """mnasnet-small, squeeze-and-excitation and all, at 28 px: half a minute on an idle core."""
    data = load("fashion-mnist-small", cache=tmp_path_factory.mktemp("data"))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = build(adapted(published("mnasnet-small"), resolution=28, channels=1, classes=10), bn_momentum=0.1)
    calm(network)
    recipe = recipe_for(20000, len(data.train))
    train(network, data.train, recipe, mean=data.mean, std=data.std, seed=0, device=torch.device("cpu"))
    return network.eval(), data


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model_format", OTHERS)
def test_int8_costs_less_than_a_point(trained: Trained, model_format: str) -> None:
    network, data = trained
    pictures, calibration = held_out_pictures(data), calibration_pictures(data)
    with torch.no_grad():
        float_NK = np.concatenate([network(part).numpy() for part in pictures.split(500)])
    plain = export_model(network, (1, 28, 28), model_format=model_format)
    int8 = export_model(network, (1, 28, 28), model_format=model_format, precision="int8", calibration_BCHW=calibration)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = OTHERS[model_format](plain, calibration)
    ours_NK, theirs_NK = (run_file(content, pictures, model_format=model_format) for content in (int8, other))
    float_top1, ours_top1, theirs_top1 = (top1(logits, data) for logits in (float_NK, ours_NK, theirs_NK))
    ours_rms, theirs_rms = relative_rms(ours_NK, float_NK), relative_rms(theirs_NK, float_NK)
    print(f"{model_format}: top-1 float {float_top1:.4f} ours {ours_top1:.4f} theirs {theirs_top1:.4f}; ", end="")
    print(f"relative RMS ours {ours_rms:.3f} theirs {theirs_rms:.3f}; size {len(int8)} {len(other)} {len(plain)}")
    assert float_top1 > 0.75
    assert ours_top1 > float_top1 - 0.01
    assert ours_top1 > theirs_top1 - 0.01
    assert ours_rms < 1.2 * theirs_rms
    check_parity(network, int8, pictures[:64], model_format=model_format, precision="int8")


def held_out_pictures(data: ClassificationData) -> Tensor:
    return normalised(as_images(np.array(data.test.images_NHWC)), data.mean, data.std)


def top1(logits_NK: np.ndarray, data: ClassificationData) -> float:
    return float((logits_NK.argmax(1) == np.asarray(data.test.labels_N)).mean())


def relative_rms(got_NK: np.ndarray, expected_NK: np.ndarray) -> float:
    return float(np.sqrt(np.mean((got_NK - expected_NK) ** 2) / np.mean(expected_NK**2)))
