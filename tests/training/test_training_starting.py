"""Trainings that start from the weights of another network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nasfit.architecture import Architecture, Block
from nasfit.errors import UsageError
from nasfit.models import build
from nasfit.tasks import Split, from_arrays, save
from nasfit.training import Recipe, TrainingJob, run_training
from nasfit.training.starting import start_from

PARENT = Architecture(
    8, 2, (Block("mbconv3", 3, 2, 0.0, "none", 16, 1),), 32, classes=3, resolution=24, channels=1, activation="relu"
)
CHILD = replace(PARENT, blocks=(Block("mbconv6", 5, 2, 0.25, "none", 24, 1),))


@pytest.fixture
def job(tmp_path: Path) -> TrainingJob:
    """A training that leaves its weights: horizontal stripes, vertical stripes, noise."""

    def stripes(number: int, seed: int) -> Split:
        labels = np.arange(number, dtype=np.int64) % 3
        images = np.random.default_rng(seed).integers(0, 60, size=(number, 24, 24, 1), dtype=np.uint8)
        images[labels == 0, ::4] += 150
        images[labels == 1, :, ::4] += 150
        return Split(images, labels)

    data = from_arrays("stripes", ("across", "down", "noise"), stripes(300, 0), stripes(60, 1), stripes(60, 2))
    saved = save(data, tmp_path / "data")
    return TrainingJob(
        str(PARENT), str(saved.directory), Recipe(images=1600), seed=0, weights=str(tmp_path / "parent.safetensors")
    )


def test_a_child_begins_where_its_parent_ended(job: TrainingJob) -> None:
    parent = run_training(job)
    assert parent.accuracy > 0.9
    assert parent.inherited == 0
    short = replace(job, architecture=str(CHILD), recipe=Recipe(images=32, peak_rate=1e-4), weights=None, seed=1)
    fresh, child = run_training(short), run_training(replace(short, start=job.weights))
    assert child.accuracy > 0.9 > 0.7 > fresh.accuracy
    assert (fresh.inherited, 0.2 < child.inherited < 1) == (0, True)


def test_the_same_start_and_seed_give_the_same_weights(job: TrainingJob, tmp_path: Path) -> None:
    run_training(job)
    files = [tmp_path / f"{name}.safetensors" for name in "ab"]
    for file in files:
        short = replace(job, architecture=str(CHILD), recipe=Recipe(images=96), start=job.weights, weights=str(file))
        run_training(short)
    first, again = map(load_file, files)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_weights_are_written_whole_or_not_at_all(job: TrainingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(state: object, file: Path, metadata: object) -> None:
        Path(file).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("nasfit.models.weights_file.save_file", cut)
    with pytest.raises(OSError, match="disk full"):
        run_training(replace(job, recipe=Recipe(images=32)))
    assert job.weights is not None
    assert not Path(job.weights).exists()


def test_a_file_that_cannot_be_inherited_from_says_why(tmp_path: Path) -> None:
    network, file = build(PARENT), tmp_path / "weights.safetensors"
    with pytest.raises(UsageError, match=r"there is no file '.*none.safetensors'"):
        start_from(network, tmp_path / "none.safetensors")
    file.write_bytes(b"no weights")
    with pytest.raises(UsageError, match="cannot read weights"):
        start_from(network, file)
    state = network.state_dict()
    save_file(state, file)
    with pytest.raises(UsageError, match="does not say of which architecture"):
        start_from(network, file)
    save_file(state, file, metadata={"architecture": "nonsense"})
    with pytest.raises(UsageError, match="no architecture: 'nonsense'"):
        start_from(network, file)
    save_file(state, file, metadata={"architecture": str(CHILD)})
    with pytest.raises(UsageError, match=r"cannot start from '.*weights.safetensors': these weights are not those of"):
        start_from(network, file)
    save_file(state, file, metadata={"architecture": str(PARENT)})
    assert start_from(network, file) == 1
