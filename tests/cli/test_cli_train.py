"""`nasfit train`: what its arguments mean, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nasfit.cli.training import asked, asked_network
from nasfit.errors import NasfitError

Run = Callable[..., tuple[int, str, str]]
TINY = "in3@24 stem8s2 | mbconv3 k3 s2 se0.25 none f8 n1 | head16 out3 relu"


def given(**options: Any) -> dict[str, Any]:
    usual = dict.fromkeys(("pick", "width", "recipe", "epochs", "budget", "batch", "accumulate", "lr", "resolution"))
    usual |= dict.fromkeys(("pictures", "stream", "device", "precision", "weights", "log"))
    fixed = {"source": "mnasnet-a1", "data": "./photos", "compile_": False, "balance": False, "seed": 0}
    fixed |= {"strides": "late"}
    return {**usual, **fixed, "checkpoint_every": "60s", **options}


def test_options_become_settings() -> None:
    wanted = asked(given(recipe="modern", budget="30m", lr=0.1, checkpoint_every="5m", weights=Path("w"), balance=True))
    settings = wanted.settings
    assert (settings.budget_s, settings.rate, settings.saved_every_s) == (1800, 0.1, 300)
    assert (settings.weights, settings.balanced, settings.is_fixed) == ("w", True, False)
    assert settings.network.startswith("in3@224 stem32s2 | ")
    assert wanted.directory == Path("runs/train-mnasnet-a1-photos-modern-seed0")


def test_networks_have_names_and_sizes() -> None:
    assert asked_network("mnasnet-a1", None, 0.5)[0] == "mnasnet-a1-x0.5"
    assert asked_network(TINY, None, None) == ("network", TINY, True)
    assert asked_network("r1_k3_s22_e3_i32_o16", None, None)[2] is False
    with pytest.raises(NasfitError, match="unknown network 'mnasnet-a2'"):
        asked_network("mnasnet-a2", None, None)
    with pytest.raises(NasfitError, match="--network picks one of a study"):
        asked_network("mnasnet-a1", "found-2", None)


def test_a_study_gives_its_winner_or_the_network_named(finished: tuple[Path, dict[str, Any], str]) -> None:
    path, document, _ = finished
    contenders = document["result"]["contenders"]
    name, text, is_fixed = asked_network(str(path), None, None)
    assert text == contenders[document["result"]["best"] or 0]["architecture"] and is_fixed
    assert name == f"{path.name}-found-1"
    picked = contenders[-1]
    assert asked_network(str(path), picked["name"], None)[1] == picked["architecture"]
    with pytest.raises(NasfitError, match=r"unknown network of study .*'found-9'; did you mean 'found-1'"):
        asked_network(str(path), "found-9", None)
    with pytest.raises(NasfitError, match="--width goes with published networks"):
        asked_network(str(path), None, 0.5)


def test_no_study_and_no_network(run: Run, tmp_path: Path) -> None:
    code, _, err = run("train", tmp_path, tmp_path)
    assert code == 2 and err.startswith("error: ") and "Traceback" not in err


def test_a_training_is_planned_run_and_told(run: Run, pictures: Path, tmp_path: Path) -> None:
    line = ["train", TINY, pictures, "--recipe", "quick", "--epochs", "3", "--device", "cpu", "--out", tmp_path / "out"]
    code, out, _ = run(*line, "--dry-run")
    assert code == 0 and "recipe quick: 3 epochs, 3 steps of 64 pictures" in out and "; about " in out
    code, out, err = run(*line, "--json")
    document = json.loads(out)
    assert code == 0 and document["result"]["files"]["onnx"] == "model.onnx"
    assert "epoch 3 of 3: loss" in err
    code, out, _ = run(*line)
    assert "was finished before; nothing to do" in out
    assert "test accuracy" in out and "nasfit measure" in out
