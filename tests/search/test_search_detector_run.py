"""A detector from a folder to files, and again from where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest

from nasfit.architecture import Detector
from nasfit.devices import open_device
from nasfit.errors import MissingExtraError, TrainingError, UsageError
from nasfit.export import read_metadata
from nasfit.search.detector_run import DetectorReady, DetectorResult, train_detector
from nasfit.search.detector_settings import DetectorSettings
from nasfit.training.training_events import Began, EpochEnded

TINY = (
    "in3@32 stem8s1 | sepconv k3 s1 se0 none f8 n1 | mbconv3 k3 s1 se0 none f16 n1 | mbconv3 k3 s2 se0 none f16 n1 | "
    "mbconv3 k3 s2 se0.25 none f24 n1 | sepconv k3 s1 se0 none f24 n1 | mbconv3 k3 s2 se0 none f24 n1 | "
    "head32 out10 relu"
)


@pytest.fixture
def pictures(marked: Callable[..., Path], tmp_path: Path) -> Path:
    return marked(tmp_path / "pictures", 14, size=(60, 80), white=(20, 10, 60, 40), told=(20, 10, 60, 40))


def settings(pictures: Path, **options: object) -> DetectorSettings:
    asked = DetectorSettings(architecture=TINY, data=str(pictures), resolution=64, epochs=2, batch=5)
    return replace(asked, **options)


def test_a_folder_becomes_files(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    events = list(train_detector(settings(pictures), out, cache=tmp_path / "cache", device=open_device("local")))
    ready, result = events[0], events[-1]
    assert isinstance(ready, DetectorReady) and isinstance(result, DetectorResult)
    assert (ready.steps, ready.detector.resolution) == (4, 64)
    assert sum(isinstance(event, EpochEnded) for event in events) == 2
    kept = json.loads((out / "result.json").read_text())
    assert kept["classes"] == ["card"] and set(kept["test"]["per_class"]) == {"card"}
    assert kept["latency"]["latency_ms"] > 0 and kept["untold"] is None
    assert Detector.parse(kept["detector"]).backbone.stem_stride == 2
    for file in kept["files"].values():
        assert (out / file).stat().st_size > 0
    content = (out / "detector.onnx").read_bytes()
    assert read_metadata(content)["classes"] == '["card"]'
    assert onnxruntime.InferenceSession(content).get_outputs()[0].name == "boxes"
    again = list(train_detector(settings(pictures), out, cache=tmp_path / "cache", device=None))
    assert [event.step for event in again if isinstance(event, Began)] == [4]
    assert again[-1].test == result.test
    assert again[-1].untold == "no measurement was asked for"


def test_a_budget_becomes_epochs_once(pictures: Path, tmp_path: Path) -> None:
    asked = settings(pictures, epochs=None, budget_s=3.0)
    runs = [train_detector(asked, tmp_path / "out", cache=tmp_path / "cache", device=None) for _ in range(2)]
    first = next(runs[0])
    second = next(runs[1])
    assert isinstance(first, DetectorReady) and isinstance(second, DetectorReady)
    assert first.epochs >= 1
    assert (first.epochs, first.steps) == (second.epochs, second.steps)


def test_a_directory_keeps_to_its_training(pictures: Path, tmp_path: Path) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    next(train_detector(settings(pictures), out, cache=cache, device=None))
    with pytest.raises(
        UsageError, match=r"another pictures a step: 5, now 6; give the same options to go on, or another --out"
    ):
        next(train_detector(settings(pictures, batch=6), out, cache=cache, device=None))
    (pictures / "00.xml").write_text("<annotation></annotation>")
    with pytest.raises(TrainingError, match="changed since the training"):
        next(train_detector(settings(pictures), out, cache=cache, device=None))
    (out / "plan.json").write_text("{")
    with pytest.raises(TrainingError, match="does not read"):
        next(train_detector(settings(pictures), out, cache=cache, device=None))


def test_either_epochs_or_a_budget(pictures: Path) -> None:
    for options in ({"epochs": None}, {"budget_s": 9.0}):
        with pytest.raises(UsageError, match="either --epochs N or --budget TIME"):
            settings(pictures, **options)
    with pytest.raises(UsageError, match="--batch is 0; it must be above 0"):
        settings(pictures, batch=0)


def test_without_the_extra_nothing_is_trained(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faster_coco_eval", None)
    with pytest.raises(MissingExtraError, match=r"nasfit\[detection\]"):
        next(train_detector(settings(pictures), tmp_path / "out", cache=tmp_path / "cache", device=None))
