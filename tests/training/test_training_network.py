from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from nasfit.architecture import Architecture, Block
from nasfit.errors import TrialFailure
from nasfit.models import build
from nasfit.tasks import ClassificationData, Split, from_arrays, save
from nasfit.training import Recipe, TrainingJob, accuracy, predict, run_training, train, training_speed

NETWORK = Architecture(8, 2, (Block("sepconv", 3, 2, 0.0, "none", 16, 1),), 32, classes=3, resolution=24, channels=1)
RECIPE = Recipe(images=1600, batch=32)
SCALE = {"mean": (0.5,), "std": (0.25,)}


def stripes(number: int, seed: int) -> Split:
    """Pictures of three classes: horizontal stripes, vertical stripes, noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(number, dtype=np.int64) % 3
    images = random.integers(0, 60, size=(number, 24, 24, 1), dtype=np.uint8)
    images[labels == 0, ::4] += 150
    images[labels == 1, :, ::4] += 150
    return Split(images, labels)


def data() -> ClassificationData:
    return from_arrays("stripes", ("across", "down", "noise"), stripes(300, 0), stripes(60, 1), stripes(90, 2))


def trained(seed: int = 0, recipe: Recipe = RECIPE) -> nn.Module:
    torch.manual_seed(seed)
    network = build(NETWORK, bn_momentum=0.1)
    train(network, stripes(300, 0), recipe, seed=seed, **SCALE)
    return network


def test_it_learns_what_can_be_learned() -> None:
    network = trained()
    assert accuracy(network, stripes(90, 9), **SCALE) > 0.95
    torch.manual_seed(0)
    assert accuracy(build(NETWORK), stripes(90, 9), **SCALE) < 0.6


def test_same_seed_same_weights_and_another_seed_others() -> None:
    short = RECIPE.lasting(160)
    first, again, other = (trained(seed, short).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_curve_counts_pictures_and_its_loss_falls() -> None:
    torch.manual_seed(0)
    found = train(build(NETWORK, bn_momentum=0.1), stripes(300, 0), RECIPE, seed=0, **SCALE)
    assert found.curve[-1][0] == RECIPE.steps * RECIPE.batch
    assert found.curve[-1][1] < 0.7 * found.curve[0][1]
    assert found.images_per_second == pytest.approx(found.curve[-1][0] / found.seconds)


def test_a_loss_that_is_no_number_fails_the_trial_with_the_step() -> None:
    with pytest.raises(TrialFailure, match=r"loss is (nan|inf) at step \d+"):
        trained(recipe=Recipe(images=3200, batch=32, peak_rate=1e9))


def test_batch_norm_and_biases_are_spared_from_decay() -> None:
    from nasfit.training.network_training import sgd

    decayed, spared = sgd(build(NETWORK), RECIPE).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (RECIPE.weight_decay, 0.0)
    assert {p.ndim for p in spared["params"]} == {1}
    assert min(p.ndim for p in decayed["params"]) == 2


def test_a_job_reports_validation_accuracy_and_a_final_job_that_of_the_test_set(tmp_path: Path) -> None:
    saved = save(data(), tmp_path / "data")
    weights = tmp_path / "weights.safetensors"
    proxy = run_training(TrainingJob(str(NETWORK), str(saved.directory), RECIPE, seed=0))
    final = run_training(
        TrainingJob(str(NETWORK), str(saved.directory), RECIPE, seed=0, final=True, weights=str(weights))
    )
    assert proxy.accuracy > 0.9
    assert final.accuracy > 0.9
    assert final.accuracy * 90 == pytest.approx(round(final.accuracy * 90)), "tested on the 90 test pictures"
    network = build(NETWORK)
    with safe_open(weights, "pt") as stored:
        assert stored.metadata()["architecture"] == str(NETWORK)
        network.load_state_dict({name: stored.get_tensor(name) for name in stored.keys()})  # noqa: SIM118
    assert accuracy(network, saved.test, mean=saved.mean, std=saved.std) == final.accuracy
    # The one use of the test set also tells what is wrong with which picture.
    assert proxy.mistakes is None and final.mistakes is not None
    assert len(final.mistakes) == round(90 * (1 - final.accuracy))
    said = predict(network, saved.test, mean=saved.mean, std=saved.std)
    assert final.mistakes == said.mistakes(saved.test.labels_N)


def test_a_final_job_trains_on_validation_pictures_too(tmp_path: Path) -> None:
    # The training split lacks class 2 but for one picture; only the validation split shows it.
    train_split = stripes(300, 0)
    kept = (train_split.labels_N != 2) | (np.arange(300) == 2)
    lacking = Split(train_split.images_NHWC[kept], train_split.labels_N[kept])
    validation = stripes(300, 1)
    saved = save(
        from_arrays("lacking", ("across", "down", "noise"), lacking, validation, stripes(90, 2)), tmp_path / "data"
    )
    job = TrainingJob(str(NETWORK), str(saved.directory), RECIPE, seed=0)
    assert run_training(job).accuracy < 0.8
    assert run_training(TrainingJob(job.architecture, job.data, RECIPE, seed=0, final=True)).accuracy > 0.9


def test_training_speed_is_positive(tmp_path: Path) -> None:
    saved = save(data(), tmp_path / "data")
    assert training_speed(TrainingJob(str(NETWORK), str(saved.directory), Recipe(images=0), seed=0)) > 0
