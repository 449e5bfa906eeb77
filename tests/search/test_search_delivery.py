"""The files that ship: checked, measured together; what fails is left out with its reason."""

from __future__ import annotations

from collections.abc import Callable

import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from nasfit.architecture import published
from nasfit.export import read_metadata
from nasfit.latency import Measurement
from nasfit.models import build
from nasfit.search.delivery import LATENCIES, compared
from nasfit.search.entrants import Entrant
from nasfit.search.setup import Setup


def trained(setup: Setup, name: str) -> Entrant:
    """An entrant whose weights lie in the study."""
    network = setup.fitted(published("mobilenet-v2", 0.25))
    entrant = Entrant(name, "found", str(network))
    (setup.study.path / "models").mkdir(exist_ok=True)
    torch.manual_seed(0)
    save_file(build(network).state_dict(), setup.study.path / entrant.weights)
    return entrant


def test_files_are_checked_and_measured_and_the_damaged_is_left_out(opened: Callable[..., Setup]) -> None:
    setup = opened()
    good, cut, other, untrained = (trained(setup, name) for name in ("good", "cut off", "other", "untrained"))
    whole = (setup.study.path / cut.weights).read_bytes()
    (setup.study.path / cut.weights).write_bytes(whole[: len(whole) // 2])
    save_file({"stem.0.weight": torch.zeros(1)}, setup.study.path / other.weights)
    finals = {entrant.name: {"accuracy": 0.5} for entrant in (good, cut, other)}
    setup.study.put_document("finals", {**finals, "untrained": {"failed": "loss is nan"}})

    found = compared(setup, [good, cut, other, untrained])

    (contender,) = found.contenders
    assert (contender.name, contender.accuracy, contender.parity < 1e-4) == ("good", 0.5, True)
    assert contender.low_ms <= contender.latency_ms <= contender.high_ms
    assert found.conditions["device"]
    (kept,) = setup.study.document(LATENCIES).items()
    assert kept[0] == "good" and Measurement.from_dict(kept[1]).latency_ms == contender.latency_ms
    assert len(kept[1]["wall_samples_ms"]) >= 11
    assert set(found.failures) == {"cut off", "other", "untrained"}
    assert found.failures["untrained"] == "loss is nan"
    assert "models/cut-off.safetensors do not read" in found.failures["cut off"]
    assert "\n" not in found.failures["other"]
    assert (contender.file, contender.onnx) == ("models/good.tflite", "models/good.onnx")
    assert contender.size_bytes == (setup.study.path / contender.file).stat().st_size
    assert contender.peak_memory_mb is not None and contender.peak_memory_mb > 0
    for name in (contender.file, contender.onnx):
        assert read_metadata((setup.study.path / name).read_bytes())["architecture"] == good.architecture
    content = (setup.study.path / contender.onnx).read_bytes()
    assert [value.name for value in onnxruntime.InferenceSession(content).get_outputs()] == ["logits"]


def test_a_file_that_differs_from_its_module_is_not_handed_over(
    opened: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = opened()
    entrant = trained(setup, "good")
    setup.study.put_document("finals", {"good": {"accuracy": 0.5}})
    other = build(setup.fitted(published("mobilenet-v2", 0.25)))
    from nasfit.export import export_model

    monkeypatch.setattr(
        "nasfit.training.shipping.export_model", lambda _, *rest, **more: export_model(other, *rest, **more)
    )
    found = compared(setup, [entrant])
    assert not found.contenders
    assert "good" in found.failures


def test_int8_ships_the_file_whose_accuracy_and_latency_count(opened: Callable[..., Setup]) -> None:
    setup = opened(precision="int8", max_size=0.01)
    entrant = trained(setup, "good")
    setup.study.put_document("finals", {"good": {"accuracy": 0.5, "fp32_accuracy": 0.6}})
    (contender,) = compared(setup, [entrant]).contenders
    assert (contender.file, contender.onnx) == ("models/good.int8.tflite", "models/good.onnx")
    assert contender.size_bytes < 0.5 * (setup.study.path / "models/good.onnx").stat().st_size
    assert (contender.accuracy, contender.fp32_accuracy) == (0.5, 0.6)
    assert contender.over_bounds and "--max-size allows 0.01 MB" in contender.over_bounds


def test_onnx_is_not_written_twice(opened: Callable[..., Setup]) -> None:
    setup = opened(engine="onnxruntime")
    entrant = trained(setup, "good")
    setup.study.put_document("finals", {"good": {"accuracy": 0.5}})
    (contender,) = compared(setup, [entrant]).contenders
    assert (contender.file, contender.onnx) == ("models/good.onnx", None)
