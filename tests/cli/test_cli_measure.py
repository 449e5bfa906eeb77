"""`nasfit measure`: what is asked for, how it is told, and what is refused."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from nasfit.architecture import adapted, published
from nasfit.devices import worker
from nasfit.errors import DeviceError, DeviceGone
from nasfit.export import to_onnx, to_tflite
from nasfit.latency import Measurement, Timing
from nasfit.models import build

Run = Callable[..., tuple[int, str, str]]

SMALL = ("--resolution", 24, "--classes", 10)
BLOCKS = "r1_k3_s22_e1_i8_o8_noskip | r1_k3_s22_e3_i8_o16"
CRASHING_WORKER = """
import os, sys
sys.path.insert(0, {directory!r})
import worker
sample = worker.Worker.sample
def changed(self, model, warm, runs):
    if "killer" in model:
        os.abort()
    return sample(self, model, warm, runs)
worker.Worker.sample = changed
worker.serve()
"""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few samples as there may be: these tests are about words, not about figures."""
    module = importlib.import_module("nasfit.cli.measuring")
    quickest = Timing(min_rounds=11, max_rounds=11, span_s=0.0, sample_ms=0.1)
    monkeypatch.setattr(module, "Timing", lambda: quickest)
    monkeypatch.setattr(module, "THOROUGH", Timing(min_rounds=11, max_rounds=11, span_s=0.0, processes=2))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    network = adapted(published("mnasnet-small", 0.35), resolution=24, channels=3, classes=10)
    module = build(network).eval()
    (folder / "net.tflite").write_bytes(to_tflite(module, (3, 24, 24)))
    (folder / "net.onnx").write_bytes(to_onnx(module, (3, 24, 24)))
    (folder / "bad.tflite").write_bytes(b"no network")
    (folder / "notes.txt").write_text("no network")
    (folder / "other").mkdir()
    shutil.copy(folder / "net.tflite", folder / "other")
    shutil.copy(folder / "net.tflite", folder / "killer.tflite")
    return folder


def test_one_network_as_json(run: Run) -> None:
    code, out, err = run("measure", "mnasnet-small", *SMALL, "--json")
    document = json.loads(out)
    told = document["networks"]["mnasnet-small"]
    assert code == 0
    assert set(told) == {field.name for field in fields(Measurement)}
    assert Measurement.from_dict(told).processes == 2
    assert document["latency_ms"] == told["latency_ms"] > 0
    assert document["device"] == document["conditions"]["device"] == told["device"]
    assert told["difference"] < 1e-4, "the output was compared with torch's"
    assert told["peak_memory_mb"] > 0
    assert "measuring 1 network on local" in err


def test_every_way_to_name_a_network(run: Run, files: Path) -> None:
    text = str(adapted(published("mnasnet-small", 0.5), resolution=32, channels=1, classes=3))
    code, out, _ = run("measure", "mnasnet-a1", BLOCKS, "--width", 0.35, *SMALL, "--json")
    assert code == 2 and out == "", "a block string has filters of its own"
    code, out, _ = run("measure", "mnasnet-a1", BLOCKS, *SMALL, "--quick", "--json")
    document = json.loads(out)
    assert code == 0
    assert list(document["networks"]) == ["mnasnet-a1", BLOCKS], "in the order given"
    assert "latency_ms" not in document
    sizes = {name: told["size_bytes"] for name, told in document["networks"].items()}
    assert sizes["mnasnet-a1"] > 10 * sizes[BLOCKS]
    code, out, _ = run("measure", text, files / "net.tflite", "--quick")
    assert code == 0
    assert f"network 1: {text}" in out
    assert out.count("net.tflite") >= 1


def test_the_table_tells_ties_failures_and_conditions(run: Run, files: Path) -> None:
    names = [files / "net.tflite", files / "other" / "net.tflite", files / "bad.tflite"]
    code, out, _ = run("measure", *names, "--quick")
    lines = out.splitlines()
    assert code == 0, "two of three were measured"
    assert all(head in lines[0] for head in ("latency ms", "95 % interval", "wall median", "clean", "memory MB"))
    assert "from torch" not in lines[0], "files are not compared with torch"
    assert sum(line.startswith((str(names[0]), str(names[1]))) for line in lines[1:3]) == 2
    assert lines[3].startswith("bad.tflite") and "failed: " in lines[3]
    assert any(line.startswith("ties") for line in lines)
    assert any(line.startswith("engine    litert") for line in lines)


def test_a_network_that_kills_the_engine_fails_alone(
    run: Run, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in worker.FILES:
        shutil.copy(Path(worker.__file__).parent / name, tmp_path)
    (tmp_path / "crashing.py").write_text(CRASHING_WORKER.format(directory=str(tmp_path)))
    monkeypatch.setattr(worker, "__file__", str(tmp_path / "crashing.py"))
    code, out, _ = run("measure", files / "net.tflite", files / "killer.tflite", "--quick", "--json")
    networks = json.loads(out)["networks"]
    assert code == 0
    assert networks[str(files / "net.tflite")]["latency_ms"] > 0
    assert "signal" in networks[str(files / "killer.tflite")]["failed"]


def test_nothing_measured_is_an_error(run: Run, files: Path) -> None:
    code, out, _ = run("measure", files / "bad.tflite", "--quick", "--json")
    assert code == 2
    assert list(json.loads(out)["networks"][str(files / "bad.tflite")]) == ["failed"]
    code, out, _ = run("measure", files / "bad.tflite", "--quick")
    assert code == 2
    assert out.startswith("bad.tflite") and "failed" in out


def test_int8_is_another_file(run: Run) -> None:
    code, out, err = run("measure", BLOCKS, *SMALL, "--precision", "int8", "--quick", "--json")
    told = json.loads(out)["networks"][BLOCKS]
    assert code == 0, err
    assert told["size_bytes"] < 100_000, "fp32 takes 147 kB"
    assert 1e-4 < told["difference"] < 0.3, "steps of a 256th are seen, and no more"


def test_memory_that_is_not_told_costs_a_warning(run: Run, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> None:
        raise DeviceError("this system does not tell")

    monkeypatch.setattr("nasfit.devices.local.LocalDevice.resources", silent)
    code, out, _ = run("measure", files / "net.tflite", "--quick", "--json")
    told = json.loads(out)["networks"][str(files / "net.tflite")]
    assert code == 0
    assert told["peak_memory_mb"] is None
    assert "memory and energy are not known: this system does not tell" in told["warnings"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "no network is named"),
        ("mnasnet-a2", "did you mean 'mnasnet-a1'"),
        ("mnasnet-a1 mnasnet-a1", "named twice"),
        ("mnasnet-a1 --device locl", "did you mean 'local'"),
        ("mnasnet-a1 --engine litrt", "did you mean 'litert'"),
        ("mnasnet-a1 --precision int4", "--precision"),
        ("mnasnet-a1 --width 0", "width"),
        ("mnasnet-a1 --resolution 8", "24 px or more"),
        ("mnasnet-a1 --classes 0", "classes"),
        ("mnasnet-a1 --core 9999", "core is 9999"),
        ("mnasnet-a1 --threads 0", "threads is 0"),
        ("{files}/missing.tflite", "cannot read"),
        ("{files}/notes.txt", "no model file that an engine reads"),
        ("{files}/net.onnx", "try --engine onnxruntime"),
        ("{files}/net.tflite --engine onnxruntime", "try --engine litert"),
        ("{files}/net.tflite --width 0.5", "measured as it is"),
        ("{files}/net.tflite --precision int8", "measured as it is"),
        ("{files}", "unknown network"),
    ],
)
def test_measure_refuses_with_one_message(run: Run, files: Path, arguments: str, words: str) -> None:
    refused(run("measure", *arguments.format(files=files).split()), words)


def test_a_text_form_is_not_changed(run: Run) -> None:
    text = str(published("mnasnet-a1"))
    refused(run("measure", text, "--resolution", 96), "change them in the text")
    refused(run("measure", "in3@224 stem32s2 | nonsense", "--quick"), "nonsense")
    refused(run("measure", "r1_k3", "--quick"), "no field 's'")


def test_an_engine_without_int8_says_what_it_has(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from nasfit.devices import ENGINES

    monkeypatch.setitem(ENGINES, "onnxruntime", replace(ENGINES["onnxruntime"], precisions=("fp32",)))
    refused(run("measure", "mnasnet-a1", "--engine", "onnxruntime", "--precision", "int8"), "known: fp32")


def test_an_engine_that_is_not_installed_names_the_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from nasfit.devices import ENGINES
    from nasfit.devices.engines import not_installed

    def absent(device: Any) -> None:
        raise not_installed(replace(ENGINES["litert"]), device.name)

    monkeypatch.setattr("nasfit.devices.local.LocalDevice.describe", absent)
    refused(run("measure", "mnasnet-a1"), "pip install ai-edge-litert")


@pytest.mark.parametrize("kind", [DeviceError, DeviceGone])
def test_a_device_out_of_reach_is_one_message(run: Run, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]) -> None:
    def away(_: Any) -> None:
        raise kind("ssh://pi@pi5 does not answer: switched off, rebooting, or in another network")

    monkeypatch.setattr("nasfit.devices.ssh.SshDevice.describe", away)
    refused(run("measure", "mnasnet-a1", "--device", "ssh://pi@pi5"), "does not answer")


def refused(ended: tuple[int, str, str], words: str) -> None:
    code, out, err = ended
    assert code == 2, err
    assert out == ""
    assert words in err
    assert "Traceback" not in err
    assert err.lower().count("error: ") == 1
