"""Curves of a training in TensorBoard's files, MLflow and Weights & Biases, each by the real package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from nasfit.errors import MissingExtraError
from nasfit.search.training_log import TrainingLog
from nasfit.training import EpochEnded, Stepped

STEPPED = Stepped(7, 1.5, 0.1, 300.0, 60.0)
ENDED = EpochEnded({"epoch": 1, "step": 8, "loss": 1.25, "rate": 0.1, "accuracy": 0.5}, is_best=True)


def write(folder: Path, *names: str) -> None:
    with TrainingLog(folder, 0, names, {"recipe": "quick", "seed": 0}) as log:
        log.write(STEPPED)
        log.write(ENDED)


def test_tensorboards_files_hold_the_curves(tmp_path: Path) -> None:
    write(tmp_path)
    found = {}
    (file,) = (tmp_path / "tensorboard").iterdir()
    content = file.read_bytes()
    while content:
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        content = content[16 + length :]
    assert found["loss", 7] == 1.5 and found["speed", 7] == 300
    assert found["epoch/accuracy", 8] == 0.5 and ("epoch/epoch", 8) not in found


def test_mlflow_continues_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    try:
        write(tmp_path, "mlflow")
        write(tmp_path, "mlflow")
        (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
        assert run.data.metrics["epoch/accuracy"] == 0.5 and run.data.params["recipe"] == "quick"
    finally:
        mlflow.set_tracking_uri(None)


@pytest.mark.slow
def test_weights_and_biases_writes_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    write(tmp_path, "wandb")
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    assert (tmp_path / "wandb-run.txt").read_text().strip()


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_without_the_package_the_extra_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"--log {name} needs .*nasfit\[{name}\]"):
        TrainingLog(tmp_path, 0, [name])
