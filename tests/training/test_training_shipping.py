"""What ships: a file that says how it is used, compared with its network, and tested."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from nasfit.architecture import Architecture
from nasfit.errors import TrialFailure, UsageError
from nasfit.export import export_model, read_metadata
from nasfit.models import build
from nasfit.tasks import Split
from nasfit.training import Preparation, file_accuracy, shipped, shipping, told_preparation

TINY = "in3@24 stem8s2 | sepconv k3 s2 se0 none f8 n1 | head32 out4 relu"
PREPARATION = Preparation((0.4, 0.5, 0.6), (0.2, 0.25, 0.3), ("a", "b", "c", "d"), 0.875)


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build(Architecture.parse(TINY)).eval()


def test_a_file_tells_how_its_pictures_are_prepared(network: torch.nn.Module) -> None:
    made = shipped(network, TINY, PREPARATION, (3, 24, 24), model_format="onnx", told={"recipe": "none"})
    told = read_metadata(made.content)
    assert told_preparation(told) == PREPARATION
    assert (told["recipe"], told["architecture"]) == ("none", TINY)
    assert not made.on_pictures


@pytest.mark.parametrize("metadata", [{}, {"mean": "[0.5]"}, {"mean": "x", "std": "[1]"}])
def test_a_file_may_not_tell(metadata: dict[str, str]) -> None:
    assert told_preparation(metadata) is None


def test_a_number_of_classes_is_no_names() -> None:
    found = told_preparation({"mean": "[0.5]", "std": "[0.2]", "classes": json.dumps(10)})
    assert found == Preparation((0.5,), (0.2,))


@pytest.mark.parametrize("inside", [False, True])
def test_a_file_is_tested_on_pictures_as_it_takes_them(network: torch.nn.Module, inside: bool) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 24, 24, 3), dtype=np.uint8)
    preparation = Preparation(PREPARATION.mean, PREPARATION.std, inside=inside)
    with torch.no_grad():
        inputs = Preparation(PREPARATION.mean, PREPARATION.std).inputs(torch.from_numpy(images).permute(0, 3, 1, 2))
        labels = network(inputs).argmax(1).numpy()
    labels[:5] = (labels[:5] + 1) % 4
    made = shipped(network, TINY, preparation, (3, 24, 24), model_format="tflite")
    assert file_accuracy(made.content, Split(images, labels), preparation, model_format="tflite") == 0.75


def test_a_file_that_differs_is_not_shipped(network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    other = build(Architecture.parse(TINY)).eval()
    monkeypatch.setattr(shipping, "export_model", lambda _, *rest, **more: export_model(other, *rest, **more))
    with pytest.raises(TrialFailure, match="differs from the module"):
        shipped(network, TINY, PREPARATION, (3, 24, 24), model_format="onnx")


def test_int8_needs_pictures(network: torch.nn.Module) -> None:
    with pytest.raises(UsageError, match="none are at hand; give --data"):
        shipped(network, TINY, PREPARATION, (3, 24, 24), model_format="onnx", precision="int8")
