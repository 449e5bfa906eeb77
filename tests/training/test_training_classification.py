"""Pictures, loss and evaluation of a full training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from nasfit.architecture import Architecture, Block
from nasfit.models import build
from nasfit.tasks import ClassificationData, Gathered, Split, bringing, centred, from_arrays
from nasfit.training.classification_training import (
    balancing,
    fresh_network,
    metrics,
    mixed_loss,
    seen_in_evaluation,
)
from nasfit.training.full_recipe import MNASNET, MODERN, QUICK
from nasfit.training.picture_batches import PictureBatch, Shares, picture_batches
from nasfit.training.ranks import Ranks
from nasfit.training.starting import start_from


def split(number: int, side: int = 24, seed: int = 0) -> Split:
    images = np.random.default_rng(seed).integers(0, 256, (number, side, side, 3), dtype=np.uint8)
    return Split(images, np.arange(number, dtype=np.int64) % 4)


def shown(recipe: object = QUICK, *, epoch: int = 0, first: int = 0, **shares: object) -> list[PictureBatch]:
    dealt = Shares(**{"batch": 8, "steps": 5, **shares})  # type: ignore[arg-type]
    return list(picture_batches(split(40), recipe, 24, dealt, epoch, first))  # type: ignore[arg-type]


def test_an_epoch_shows_every_picture_once_and_the_next_in_another_order() -> None:
    rows = Shares(8, 5).rows(0, 40)
    assert sorted(rows.ravel()) == list(range(40))
    assert not np.array_equal(rows, Shares(8, 5).rows(1, 40))
    assert not np.array_equal(rows, Shares(8, 5, seed=1).rows(0, 40))


def test_processes_share_what_one_would_be_shown() -> None:
    whole = Shares(8, 5).rows(0, 40).reshape(5, 2, 4)
    for rank in range(2):
        assert np.array_equal(Shares(4, 5, ranks=Ranks(rank, 2)).rows(0, 40), whole[:, rank])


def test_batches_from_the_middle_of_an_epoch_are_those_of_the_whole() -> None:
    whole, rest = shown(MODERN, accumulate=1), shown(MODERN, first=3)
    assert len(whole) == 5 and len(rest) == 2
    for one, other in zip(whole[3:], rest, strict=True):
        assert torch.equal(one.images_BCSS, other.images_BCSS)
        assert torch.equal(one.labels_B, other.labels_B) and one.share == other.share
    halves = shown(MODERN, batch=4, accumulate=2, first=3)
    assert len(halves) == 4


def test_mixtures_are_of_a_batch_and_its_reverse() -> None:
    for batch in shown(MODERN):
        assert 0.5 <= batch.share <= 1
        assert torch.equal(batch.others_B, batch.labels_B.flip(0))
    assert all(batch.share == 1 for batch in shown(MNASNET))


def test_the_loss_of_a_mixture_is_that_of_mixed_labels() -> None:
    logits, labels = torch.randn(6, 4), torch.arange(6) % 4
    batch = PictureBatch(torch.empty(0), labels, labels.flip(0), 0.7)
    mixed = 0.7 * functional.one_hot(labels, 4) + 0.3 * functional.one_hot(labels.flip(0), 4)
    expected = functional.cross_entropy(logits, mixed, label_smoothing=0.1)
    assert torch.allclose(mixed_loss(logits, batch, 0.1, None), expected, atol=1e-6)


def data(side: int = 24) -> ClassificationData:
    train = Split(split(40, side).images_NHWC, np.array([0] * 30 + [1] * 6 + [2] * 3 + [3], np.int64))
    return from_arrays("noise", ("a", "b", "c", "d"), train, split(8, side, 1), split(8, side, 2))


def test_balanced_classes_weigh_the_same_in_all() -> None:
    weights = balancing(data())
    counts = np.bincount(data().train.labels_N)
    assert torch.allclose(weights * torch.from_numpy(counts).float(), torch.tensor(10.0))


def test_the_mean_of_classes_does_not_follow_the_frequent() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(24 * 24 * 3, 4))
    nn.init.zeros_(module[1].weight)
    with torch.no_grad():
        module[1].bias.copy_(torch.tensor([1.0, 0, 0, 0]))
    assert metrics(module, data().train, data(), torch.device("cpu")) == {
        "accuracy": 0.75,
        "mean_class_accuracy": 0.25,
    }


def test_evaluation_sees_the_centre() -> None:
    kept = data(32)
    seen = seen_in_evaluation(kept, 28)
    assert seen.resolution == 28
    assert np.array_equal(seen.test.images_NHWC, kept.test.images_NHWC[:, 2:30, 2:30])
    whole = kept.test.images_NHWC
    brought = centred(Gathered(whole.shape, lambda rows: whole[rows]), 28)
    assert np.array_equal(brought[:3], seen.test.images_NHWC[:3])


def test_single_pictures_are_brought_from_arrays() -> None:
    images = split(3, 32).images_NHWC
    assert np.array_equal(bringing(images)(1, None, None), images[1])
    assert bringing(images)(1, np.full(4, 0.5), 20).shape == (20, 20, 3)


PARENT = Architecture(
    8, 2, (Block("mbconv3", 3, 2, 0.0, "none", 16, 1),), 32, classes=7, resolution=24, channels=3, activation="relu"
)


def test_weights_of_other_classes_give_all_but_the_last_layer(tmp_path: Path) -> None:
    file = tmp_path / "parent.safetensors"
    parent = build(PARENT)
    save_file(parent.state_dict(), file, metadata={"architecture": str(PARENT)})
    child = fresh_network(replace(PARENT, classes=3), MNASNET, 0)
    share = start_from(child, file)
    assert torch.equal(child.head[0].weight, parent.head[0].weight)
    assert child.classifier[-1].weight.shape == (3, 32)
    assert share == pytest.approx(1.0)


def test_recipes_set_what_the_network_starts_with() -> None:
    residual = replace(PARENT, blocks=(Block("mbconv3", 3, 1, 0.0, "identity", 8, 1),))
    plain, calm = fresh_network(residual, MNASNET, 0), fresh_network(residual, QUICK, 0)
    norms = [[part for part in network.modules() if isinstance(part, nn.BatchNorm2d)] for network in (plain, calm)]
    assert [found[0].momentum for found in norms] == [0.01, 0.1]
    assert any(bool((norm.weight == 0).all()) for norm in norms[1])
    assert not any(bool((norm.weight == 0).all()) for norm in norms[0])
    dropouts = [part.p for network in (plain, calm) for part in network.modules() if isinstance(part, nn.Dropout)]
    assert dropouts == [0.2, 0.0]
