"""The accuracy of the file that ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasfit.architecture import adapted, published
from nasfit.tasks import ClassificationData, load
from nasfit.training import Recipe, TrainingJob, calibration_pictures, run_training


@pytest.fixture(scope="module")
def data(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> ClassificationData:
    return load(pictures, cache=tmp_path_factory.mktemp("decoded"))


@pytest.fixture(scope="module")
def job(data: ClassificationData) -> TrainingJob:
    network = adapted(published("mobilenet-v2", 0.25), resolution=24, channels=3, classes=3, strides="early")
    return TrainingJob(str(network), str(data.directory), Recipe(images=1600, batch=32), seed=0, precision="int8")


@pytest.mark.parametrize("model_format", ["tflite", "onnx"])
def test_int8_is_tested_as_the_file_that_ships(job: TrainingJob, model_format: str) -> None:
    result = run_training(replace(job, model_format=model_format))
    assert result.fp32_accuracy is not None
    assert result.accuracy == pytest.approx(result.fp32_accuracy, abs=0.15)
    assert result.accuracy > 0.6


def test_the_file_is_run_and_not_the_network(job: TrainingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(content: bytes, images: object, *, model_format: str) -> np.ndarray:
        return np.tile(np.array([[1.0, 0.0, 0.0]], np.float32), (len(images), 1))  # type: ignore[arg-type]

    monkeypatch.setattr("nasfit.training.shipping.run_file", blind)
    result = run_training(job)
    assert result.accuracy < 0.5 < (result.fp32_accuracy or 0.0)


def test_fp32_has_no_accuracy_before(job: TrainingJob) -> None:
    assert run_training(replace(job, precision="fp32")).fp32_accuracy is None


def test_calibration_pictures_are_normalised(data: ClassificationData) -> None:
    pictures_BCHW = calibration_pictures(data, 64)
    assert pictures_BCHW.shape[1:] == (3, 24, 24)
    assert abs(float(pictures_BCHW.mean())) < 0.3
