"""`nasfit train-detector`, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nasfit.architecture import adapted, published
from nasfit.cli.detector_training import backbone_of
from nasfit.errors import StudyError
from nasfit.search.result import Contender, RandomShare, Result
from nasfit.study import Study

Run = Callable[..., tuple[int, str, str]]
TINY = (
    "in3@64 stem8s2 | sepconv k3 s2 se0 none f8 n1 | mbconv3 k3 s2 se0 none f16 n1 | mbconv3 k3 s2 se0 none f16 n1 | "
    "mbconv3 k3 s2 se0 none f24 n1 | head32 out10 relu"
)


@pytest.fixture
def cards(marked: Callable[..., Path], tmp_path: Path) -> Path:
    return marked(tmp_path / "cards", 12, size=(40, 60), white=(20, 10, 50, 30), told=(20, 10, 50, 90))


def test_it_trains_and_tells(run: Run, cards: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "cards"
    asked = ["train-detector", TINY, cards, "--epochs", 1, "--resolution", 64, "--out", out, "--device", "none"]
    code, text, told = run(*asked)
    assert code == 0
    assert "12 boxes reach over the edge of their picture; cut there" in told
    assert "1 classes; pictures: 8 train, 2 validation, 2 test" in told
    assert "latency   not measured: no measurement was asked for" in text
    assert (tmp_path / "runs" / "data").is_dir()
    code, text, _ = run(*asked, "--json")
    document = json.loads(text)
    assert code == 0
    assert document["files"]["onnx"] == "detector.onnx" and (out / "detector.onnx").is_file()
    assert json.loads((out / "result.json").read_text())["test"] == document["test"]


def test_a_plan_is_told_and_nothing_kept(run: Run, cards: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "cards"
    code, text, told = run(
        "train-detector", TINY, cards, "--epochs", 3, "--resolution", 64, "--out", out, "--dry-run", "--json"
    )
    assert code == 0
    plan = json.loads(text)["plan"]
    assert (plan["epochs"], plan["steps"]) == (3, 3)
    assert plan["seconds"] > 0 and "3 epochs, 3 steps, about " in told
    assert not list(out.glob("*"))


@pytest.mark.slow
def test_a_search_with_a_budget_hands_over_a_trained_detector(run: Run, cards: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "study"
    options = "--target-ms 50 --trials 2 --budget 8s --proxy-epochs 1 --resolution 64 --width 0.25 --batch 4"
    asked = ["search-detector", cards, *options.split(), "--study", out]
    code, text, _ = run(*asked)
    assert code == 0
    assert " trained\n" in text and "test mAP by class: card" in text and "latency   " in text
    code, text, _ = run(*asked, "--json")
    document = json.loads(text)
    assert code == 0 and 1 <= document["trials"] <= 2
    assert document["winner"]["latency"]["latency_ms"] > 0
    assert (out / "winner" / document["winner"]["files"]["tflite"]).is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mnasnet-a1", "CARDS"], "give either --epochs N or --budget TIME"),
        (["mnasnet-a1", "CARDS", "--epochs", "1", "--budget", "5m"], "give either --epochs N or --budget TIME"),
        (["mnasnet-a9", "CARDS", "--epochs", "1"], "did you mean 'mnasnet-a1'"),
        (["mnasnet-a1", "nowhere", "--epochs", "1"], "nowhere is not there"),
        (["mnasnet-a1", "CARDS", "--epochs", "1", "--resolution", "32"], "64 px or more, got 32 px"),
        (["mnasnet-a1", "CARDS", "--epochs", "1", "--weights", "none.safetensors"], "no file 'none.safetensors'"),
        (["mnasnet-a1", "CARDS", "--epochs", "1", "--device", "toaster"], "toaster"),
    ],
)
def test_what_can_be_mended_is_told_in_one_line(
    run: Run, cards: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    given = [cards if argument == "CARDS" else argument for argument in arguments]
    code, out, told = run("train-detector", *given, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert words in told and "Traceback" not in told


def test_a_study_hands_over_its_network_and_weights(tmp_path: Path) -> None:
    path = tmp_path / "study"
    network = adapted(published("mnasnet-small"), resolution=32, channels=3, classes=10)
    with Study.create(path, settings={}):
        pass
    with pytest.raises(StudyError, match="has no result yet"):
        backbone_of(str(path), None)
    contender = Contender(
        "found-1", "found", str(network), 0.7, 1.0, 0.9, 1.1, 1, 1, 0.0, "models/a.tflite", "models/a.safetensors", 1
    )
    result = Result((contender,), 0, 100, RandomShare(1, 1, None, None, None), {}, {}, {})
    with Study.open(path) as study:
        study.put_document("result", result.as_json())
    assert backbone_of(str(path), None).weights is None
    (path / "models").mkdir(exist_ok=True)
    (path / "models" / "a.safetensors").write_bytes(b"")
    found = backbone_of(str(path), None)
    assert (found.architecture, found.weights) == (str(network), str(path / "models" / "a.safetensors"))
