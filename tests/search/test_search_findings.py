"""A study from Python: asked for, read, its network loaded with the weights and the pictures it was tested with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import nasfit
from nasfit.errors import DataError, StudyError, UnknownNameError, UsageError
from nasfit.search import Findings, Finished, Settings, open_study
from nasfit.search.asking import settings_of
from nasfit.study import Study
from nasfit.training import as_images

Finish = tuple[Path, dict[str, Any], str]


@pytest.fixture
def found(finished: Finish) -> Findings:
    return open_study(finished[0])


def test_options_are_those_of_the_command_line() -> None:
    assert settings_of({"data": "d", "target_ms": 5, "budget": "20m", "max_size": "2MB", "predictor": Path("p")}) == (
        Settings("d", 5, budget_s=1200.0, max_size=2.0, predictor="p")
    )
    assert settings_of({"data": "d", "front": (1, 5), "budget": 90}) == (
        Settings("d", 5, front_from_ms=1, budget_s=90.0)
    )
    assert settings_of({"data": "d", "target_ms": 5}) == Settings("d", 5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target_ms": 5, "budgt": "1m"}, "unknown option of a search 'budgt'; did you mean 'budget'"),
        ({"target_ms": 5, "budget_s": 60}, "unknown option of a search 'budget_s'; did you mean 'budget'"),
        ({"target_ms": 5, "is_new": False}, "unknown option of a search 'is_new'"),
        ({"target_ms": 5, "budget": "soon"}, "write it as 90s, 20m"),
        ({}, "give either --target-ms"),
        ({"target_ms": 5, "front": (1, 5)}, "give either --target-ms"),
        ({"target_ms": 5, "strategy": "guded"}, "did you mean 'guided'"),
    ],
)
def test_wrong_options_are_told_before_anything_is_done(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        nasfit.search("nowhere", **options)


def test_a_finished_study_is_returned_at_once_and_nothing_is_printed(
    finished: Finish, pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, events = tmp_path / "study", list[object]()
    shutil.copytree(finished[0], path)
    options = {"width": 0.35, "strides": "early", "proxy_images": 64, "max_trials": 4, "budget": "12s", "workers": 2}
    study = nasfit.search(pictures, target_ms=0.5, study=path, listen=events.append, **options)
    assert study.result == open_study(finished[0]).result and study.path == path
    assert isinstance(events[-1], Finished)
    assert capfd.readouterr() == ("", "")


def test_the_front_is_that_of_the_command_line(found: Findings, finished: Finish) -> None:
    front = found.front()
    latencies = [trial.latency_ms or 0.0 for trial in front]
    assert latencies == sorted(latencies) and len(front) >= 1
    assert found.settings.target_ms == 0.5 and len(found.trials) >= 1
    assert [network.name for network in found.networks] == [c["name"] for c in finished[1]["result"]["contenders"]]


def test_the_best_is_chosen_before_the_test_and_within_the_limit(found: Findings) -> None:
    assert found.result is not None
    first, second = (replace(found.networks[0], name=name, origin="found") for name in ("found-1", "found-2"))
    others = replace(first, name="published", origin="baseline", latency_ms=0.1, accuracy=1.0)
    slow, fast = replace(first, latency_ms=0.4, accuracy=0.8), replace(second, latency_ms=0.2, accuracy=0.9)
    study = replace(found, result=replace(found.result, contenders=(slow, fast, others)))
    assert study.best().name == "found-1" and study.best(max_ms=0.3).name == "found-2"
    with pytest.raises(StudyError, match=r"meets 0.1 ms, the fastest is 'published' at 0.1 ms; name the one to take"):
        study.best(max_ms=0.1)
    too_large = replace(study, result=replace(found.result, contenders=(replace(slow, over_bounds="5 MB"), fast)))
    assert too_large.best().name == "found-2"


def test_a_loaded_network_is_the_one_that_was_tested(found: Findings) -> None:
    network = found.networks[0]
    model, data = found.load(network), found.pictures()
    assert isinstance(model, torch.nn.Module) and not model.training and not model.network.training
    assert model.classes == data.classes == ("blue", "green", "red") and str(model.architecture) == network.architecture
    images_BCHW = as_images(np.array(data.test.images_NHWC))
    with torch.no_grad():
        chosen = model(model.preparation.inputs(images_BCHW)).argmax(1).numpy()
    assert (chosen == data.test.labels_N).mean() == pytest.approx(network.accuracy, abs=1e-9)


def test_a_picture_is_prepared_as_those_of_the_training(found: Findings, pictures: Path, tmp_path: Path) -> None:
    model, data = found.load(found.networks[0].name), found.pictures()
    image_HWC = np.array(data.test.images_NHWC[0])
    file = tmp_path / "picture.png"
    Image.fromarray(image_HWC).save(file)
    expected = model.preparation.inputs(as_images(image_HWC[None]))
    for picture in (file, str(file), Image.open(file)):
        torch.testing.assert_close(model.prepare(picture), expected, rtol=0, atol=0)
    assert model.prepare(file, file).shape == (2, 3, 24, 24)
    (told,) = model.classify(next((pictures / "red").iterdir()))
    assert sorted(told) == ["blue", "green", "red"] and sum(told.values()) == pytest.approx(1)
    assert list(told.values()) == sorted(told.values(), reverse=True)
    file.write_text("no picture")
    with pytest.raises(DataError, match="is no picture to classify: not a JPEG"):
        model.prepare(file)


def test_files_are_those_on_the_disk(found: Findings) -> None:
    files = found.files(found.networks[0])
    assert sorted(files) == ["card", "measured", "onnx", "weights"]
    assert [files[what].suffix for what in sorted(files)] == [".md", ".tflite", ".onnx", ".safetensors"]


def test_a_trial_is_loaded_where_its_network_was_trained_finally(found: Findings) -> None:
    known = {network.architecture: network.name for network in found.networks}
    (trial, *_) = (trial for trial in found.trials if trial.architecture in known)
    assert found.files(trial) == found.files(known[trial.architecture])
    with pytest.raises(StudyError, match=f"trial {trial.number} .* train it fully with: nasfit train 'other' "):
        found.load(replace(trial, architecture="other"))
    with pytest.raises(UnknownNameError, match="did you mean 'found-1'"):
        found.load("fund-1")


def test_missing_files_are_told(finished: Finish, tmp_path: Path) -> None:
    shutil.copytree(finished[0], tmp_path / "study")
    study = open_study(tmp_path / "study")
    study.files(study.networks[0])["onnx"].unlink()
    with pytest.raises(StudyError, match=r"cannot read .*\.onnx': No such file or directory; put the file back"):
        study.load(study.networks[0])


def test_a_study_that_has_not_ended_has_a_front_and_no_network(finished: Finish, tmp_path: Path) -> None:
    path = tmp_path / "study"
    shutil.copytree(finished[0], path)
    with Study.open(path) as opened:
        opened.put_document("result", None)
    study = open_study(path)
    assert study.front() and study.result is None
    with pytest.raises(StudyError, match="has not ended, so no network is trained"):
        study.load()


def test_a_study_of_something_else_is_told(tmp_path: Path) -> None:
    with Study.create(tmp_path / "s", {"option_counts": [2, 3]}):
        pass
    with pytest.raises(StudyError, match="is not of `nasfit search`, or of another version"):
        open_study(tmp_path / "s")


@pytest.mark.parametrize(
    "first",
    [
        "import nasfit",
        pytest.param("import nasfit.search", marks=pytest.mark.slow),
        pytest.param("from nasfit.search import Settings", marks=pytest.mark.slow),
    ],
)
def test_search_is_called_and_imported_from_alike(first: str) -> None:
    code = (
        f"{first}\nimport nasfit\nassert 'torch' not in __import__('sys').modules or {first!r} != 'import nasfit'\n"
        "from nasfit import search\nassert nasfit.search is search and search.Settings\n"
        "try:\n    nasfit.search('nowhere', target_ms=1)\nexcept nasfit.NasfitError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert "neither a known data set nor a folder" in done.stdout, done.stderr
