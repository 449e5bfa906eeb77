"""`nasfit export`: studies, files of weights and named networks as files that ship, each with its card."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nasfit.architecture import Architecture, adapted, published
from nasfit.export import model_metadata, read_metadata, run_file
from nasfit.models import build, load_network, save_network

Run = Callable[..., tuple[int, str, str]]
Finished = tuple[Path, dict[str, Any], str]
SMALL = ("--width", 0.35, "--resolution", 32, "--classes", 3)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and decoded pictures land in the test's own directory."""
    monkeypatch.chdir(tmp_path)


def exported(run: Run, *arguments: object) -> dict[str, Any]:
    code, out, err = run("export", *arguments, "--json")
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def test_a_study_s_winner_with_its_accuracy(run: Run, finished: Finished) -> None:
    study, printed, _ = finished
    contenders = printed["result"]["contenders"]
    wanted = contenders[-1]
    document = exported(run, study, "--network", wanted["name"], "--format", "onnx", "--precision", "int8")
    name = Path(wanted["weights"]).stem
    assert document["file"] == f"{name}.int8.onnx"
    before, after = document["accuracy"].values()
    # What the search tested of the same weights on the same pictures.
    assert before == pytest.approx(wanted["accuracy"], abs=1e-9)
    assert abs(after - before) < 0.35
    assert document["checked_on"] == "pictures"
    card = Path(document["card"]).read_text()
    assert "float32 before int8" in card
    assert "red" in card
    told = read_metadata(Path(document["file"]).read_bytes())
    assert json.loads(told["classes"]) == ["blue", "green", "red"]


def test_a_search_leaves_a_card_beside_each_network(finished: Finished) -> None:
    study, printed, _ = finished
    for contender in printed["result"]["contenders"]:
        card = (study / contender["weights"]).with_suffix(".md").read_text()
        assert f"| parameters | {contender['parameters']:,} |" in card
        assert f"{100 * contender['accuracy']:.2f} %" in card
        assert f"{contender['latency_ms']:.3g} ms for one picture with `{Path(contender['file']).name}`" in card
        assert "* engine: " in card
        assert Path(contender["onnx"]).name in card


def test_weights_of_a_search_say_how_pictures_are_prepared(run: Run, finished: Finished) -> None:
    study, printed, _ = finished
    weights = study / printed["result"]["contenders"][0]["weights"]
    document = exported(run, weights, "--out", "one.tflite")
    assert (document["file"], document["card"], document["accuracy"]) == ("one.tflite", "one.md", {})
    own = (study / printed["result"]["contenders"][0]["file"]).read_bytes()
    images = torch.randn(2, 3, 24, 24)
    for content in (own, Path("one.tflite").read_bytes()):
        assert {"mean", "std", "classes"} <= set(read_metadata(content))
    first, second = (run_file(c, images, model_format="tflite") for c in (own, Path("one.tflite").read_bytes()))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("form", ["onnx", "tflite"])
@pytest.mark.parametrize("preprocessing", ["inside", "outside"])
def test_the_card_s_code_runs_and_gives_what_the_network_gives(
    run: Run, form: str, preprocessing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    network = build(adapted(published("mnasnet-a1", 0.35), resolution=32, channels=3, classes=50)).eval()
    mean, std = [0.3, 0.5, 0.6], [0.2, 0.25, 0.3]
    told = model_metadata(architecture="", mean=mean, std=std, classes=[str(number) for number in range(50)])
    save_network(network, Path("net.safetensors"), told)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("picture.jpg", quality=100)
    exported(run, "net.safetensors", "--format", form, "--preprocessing", preprocessing, "--licence", "mit")
    card = Path("net.md").read_text()
    assert card.startswith("---\nlicense: mit\n")
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    seen = torch.from_numpy(np.array(Image.open("picture.jpg"))).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        wanted = network((seen - torch.tensor(mean).reshape(-1, 1, 1)) / torch.tensor(std).reshape(-1, 1, 1)).numpy()
    assert np.abs(names["logits"] - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert capsys.readouterr().out.split() == [str(wanted.argmax())]


def test_int8_with_preprocessing_inside_stays_accurate(run: Run, finished: Finished) -> None:
    document = exported(
        run, finished[0], "--network", _first(finished), "--precision", "int8", "--preprocessing", "inside"
    )
    before, after = document["accuracy"].values()
    assert abs(after - before) < 0.35
    assert "float32, pixel 0 to 255" in read_metadata(Path(document["file"]).read_bytes())["input"]


def _first(finished: Finished) -> str:
    name: str = finished[1]["result"]["contenders"][0]["name"]
    return name


def test_an_untrained_network_says_so_everywhere(run: Run) -> None:
    code, out, _ = run("export", "mnasnet-small", *SMALL)
    assert code == 0
    assert "weights are random" in out
    assert "seen on noise" in out
    assert "weights are random" in Path("mnasnet-small-x0.35.md").read_text()
    assert read_metadata(Path("mnasnet-small-x0.35.tflite").read_bytes())["weights"] == "random"


def test_weights_of_torchvision_with_other_classes(run: Run, pictures: Path) -> None:
    import torchvision

    torch.save(torchvision.models.mnasnet0_5().state_dict(), "half.pth")
    document = exported(
        *(run, "mnasnet-b1", "--width", 0.5, "--weights", "half.pth", "--resolution", 64),
        *("--classes", 3, "--new-classifier", "--data", pictures, "--format", "onnx"),
    )
    assert document["origin"] == "The published mnasnet-b1, weights of torchvision."
    assert document["remarks"] == ["The last layer is fresh and has to be trained."]
    assert Architecture.parse(document["architecture"]).classes == 3
    told = read_metadata(Path(document["file"]).read_bytes())
    assert told["crop"] == "centre, 0.875 of the shorter side"
    assert "Image.Resampling.BICUBIC, bleed=0.0625)" in Path(document["card"]).read_text()
    assert json.loads(told["mean"]) == [0.485, 0.456, 0.406]
    assert json.loads(told["classes"]) == ["blue", "green", "red"]


def test_tensorflow_s_padding_survives_the_file(run: Run) -> None:
    network = build(adapted(published("mnasnet-small", 0.35), resolution=32, channels=3, classes=3), same_padding=True)
    save_network(network, Path("same.safetensors"), {"mean": "[0.5, 0.5, 0.5]", "std": "[0.5, 0.5, 0.5]"})
    document = exported(run, "same.safetensors", "--format", "onnx")
    images = torch.randn(1, 3, 32, 32)
    wanted = load_network(Path("same.safetensors"))[0](images).detach().numpy()
    got = run_file(Path(document["file"]).read_bytes(), images, model_format="onnx")
    assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_a_finished_training_is_a_source(run: Run) -> None:
    network = build(adapted(published("mnasnet-small", 0.35), resolution=32, channels=3, classes=3)).eval()
    Path("full").mkdir()
    told = model_metadata(architecture=str(network.architecture), mean=[0.5] * 3, std=[0.2] * 3, classes="abc")
    save_network(network, Path("full/best.safetensors"))
    save_network(network, Path("net.safetensors"), told)
    exported(run, "net.safetensors", "--format", "onnx", "--out", "full/model.onnx")
    result: dict[str, Any] = {"weights": "best.safetensors", "files": {"onnx": "model.onnx"}, "recipe": "quick"}
    result |= {"epochs": 2.0, "test": {"accuracy": 0.625, "pictures": 80}}
    Path("full/result.json").write_text(json.dumps({**result, "pictures": 600}))
    facts = {"name": "letters", "pictures": 600, "fingerprint": "gone"}
    Path("full/training.json").write_text(json.dumps({"data": facts}))
    document = exported(run, "full")
    assert document["file"] == "full.tflite"
    assert json.loads(read_metadata(Path("full.tflite").read_bytes())["classes"]) == ["a", "b", "c"]
    assert "| recipe | quick, 2 epochs of 600 pictures |" in Path("full.md").read_text()
    assert "| letters, 80 test pictures | 62.50 % |" in Path("full.md").read_text()
    Path("full/result.json").write_text("{}")
    code, _, err = run("export", "full")
    assert code == 2
    assert "is no finished training that reads" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mnasnet-a2"], "did you mean 'mnasnet-a1'"),
        (["mnasnet-a1", "--format", "tflit"], "did you mean 'tflite'"),
        (["mnasnet-a1", "--precision", "int8"], "int8 is calibrated on pictures, and none are at hand; give --data"),
        (["mnasnet-a1", "--preprocessing", "in"], "did you mean 'inside'"),
        (["mnasnet-a1", "--network", "found-1"], "--network goes with a study"),
        (["mnasnet-a1", "--engine", "litert"], "give --device too"),
        (["mnasnet-a1", "--engine", "onnxruntime", "--device", "local"], "does not read tflite files"),
        (["mnasnet-a1", "--weights", "none.pth"], "there is no file 'none.pth'"),
        (["half.pth"], "does not say of which network it is; name that: nasfit export NAME --weights half.pth"),
        (["gone.safetensors"], "there is no file 'gone.safetensors'"),
        (["."], "neither a study nor a finished training"),
        (["bare.safetensors"], "does not say how its pictures are normalised; give --data"),
        (["bare.safetensors", "--width", "0.5"], "goes with the name of a published network"),
    ],
)
def test_one_message_for_what_is_wrong(run: Run, arguments: list[str], said: str) -> None:
    save_network(
        build(adapted(published("mnasnet-small", 0.35), resolution=32, channels=3, classes=3)), Path("bare.safetensors")
    )
    code, out, err = run("export", *arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert "Traceback" not in err


def test_pictures_of_another_number_of_classes(run: Run, pictures: Path) -> None:
    code, _, err = run("export", "mnasnet-small", "--width", 0.35, "--resolution", 32, "--data", pictures)
    assert code == 2
    assert "has 3 classes, the network 1000; give the pictures it was trained for" in err


def test_a_network_that_a_study_does_not_have(run: Run, finished: Finished) -> None:
    code, _, err = run("export", finished[0], "--network", "fond-1")
    assert code == 2
    assert "unknown network of the study 'fond-1'" in err


def test_the_file_is_measured_where_a_device_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from nasfit.latency import Timing

    monkeypatch.setattr("nasfit.cli.exporting.THOROUGH", Timing(min_rounds=11, max_rounds=11, span_s=0.0))
    document = exported(run, "mnasnet-small", *SMALL, "--device", "local")
    assert document["latency"]["latency_ms"] > 0
    card = Path(document["card"]).read_text()
    assert "* device: " in card
    assert "95 % interval" in card


@pytest.mark.slow
def test_a_training_as_it_is_has_its_own_pictures(run: Run, pictures: Path) -> None:
    code, _, err = run("train", "mnasnet-small", pictures, "--recipe", "quick", "--epochs", 1, "--out", "full")
    assert code == 0, err
    document = exported(run, "full", "--precision", "int8")
    before, after = document["accuracy"].values()
    assert before == json.loads(Path("full/result.json").read_text())["test"]["accuracy"]
    assert 0 <= after <= 1
    assert document["checked_on"] == "pictures"
