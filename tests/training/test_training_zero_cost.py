"""Zero-cost scores against closed forms and brute force on networks small enough for either."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from test_training_network import NETWORK, SCALE, data, stripes
from torch import Tensor, nn
from torch.nn import functional

from nasfit.architecture import Architecture, Block, count
from nasfit.errors import TrialFailure, UsageError
from nasfit.models import build
from nasfit.tasks import save
from nasfit.training import SCORES, ZeroCostJob, as_images, normalised, run_zero_cost, zero_cost
from nasfit.training.zero_cost import (
    ZEN_BATCH,
    ZEN_DRAWS,
    ZEN_STEP,
    gradient_norm,
    naswot,
    snip,
    synflow,
    zen_score,
    zero_cost_scores,
)


def pictures() -> tuple[Tensor, Tensor]:
    split = stripes(12, 0)
    return normalised(as_images(split.images_NHWC), SCALE["mean"], SCALE["std"]), torch.from_numpy(split.labels_N)


def classifier(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), *layers)


def test_gradient_norm_and_snip_of_softmax_regression_in_closed_form() -> None:
    network = classifier(nn.Linear(4, 3))
    images_BCHW, labels_B = torch.randn(5, 1, 2, 2), torch.tensor([0, 1, 2, 1, 0])
    linear = network[1]  # type: ignore[index]
    # Of the mean cross entropy: (softmax - one hot) x features, over the batch.
    surprise_BK = functional.softmax(network(images_BCHW), dim=1) - functional.one_hot(labels_B, 3)
    gradient_KF = (surprise_BK.T @ images_BCHW.flatten(1)).detach() / 5
    assert gradient_norm(network, images_BCHW, labels_B) == pytest.approx(float(gradient_KF.norm()), rel=1e-5)
    expected = float((linear.weight.detach() * gradient_KF).abs().sum())
    assert snip(network, images_BCHW, labels_B) == pytest.approx(expected, rel=1e-5)


def test_gradient_norms_of_layers_are_added_and_not_squared() -> None:
    network, (images_BCHW, labels_B) = build(NETWORK), pictures()
    found = gradient_norm(network, images_BCHW, labels_B)
    functional.cross_entropy(network(images_BCHW), labels_B).backward()
    weights = [p for name, p in network.named_parameters() if p.ndim > 1]
    assert found == pytest.approx(sum(float(p.grad.norm()) for p in weights if p.grad is not None), rel=1e-4)


def test_synflow_is_the_sum_over_all_paths_once_a_layer() -> None:
    network = nn.Sequential(
        nn.Conv2d(2, 3, 2, bias=False), nn.BatchNorm2d(3), nn.ReLU6(), nn.Flatten(), nn.Linear(3, 2, bias=False)
    )
    conv, linear = network[0].weight.detach().double(), network[4].weight.detach().double()
    paths = sum(
        abs(float(conv[middle, source, row, column] * linear[out, middle]))
        for source, middle, out, row, column in product(range(2), range(3), range(2), range(2), range(2))
    )
    # Each of the two layers holds the whole flow (Tanaka et al., theorem 1).
    assert synflow(network, (2, 2, 2)) == pytest.approx(math.log(2 * paths), rel=1e-12)
    assert isinstance(network[1], nn.BatchNorm2d) and network[0].weight.dtype == torch.float32


def test_naswot_against_codes_compared_bit_by_bit() -> None:
    network = classifier(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU6(), nn.Linear(5, 2))
    images_BCHW = torch.randn(4, 1, 2, 2)
    first_BR = network[1](images_BCHW.flatten(1))  # type: ignore[index]
    second_BR = network[3](first_BR.relu())  # type: ignore[index]
    codes = (torch.cat([first_BR, second_BR], dim=1) > 0).tolist()
    kernel = [[sum(a == b for a, b in zip(one, other, strict=True)) for other in codes] for one in codes]
    assert kernel[0][0] == 11
    assert naswot(network, images_BCHW) == pytest.approx(math.log(np.linalg.det(np.array(kernel, dtype=float))))
    assert naswot(network, images_BCHW[[0, 0, 1]]) == -math.inf
    with pytest.raises(UsageError, match="has none"):
        naswot(classifier(nn.Linear(4, 2)), images_BCHW)


def test_zen_score_against_its_algorithm_written_out() -> None:
    block = Block("sepconv", 3, 1, 0.0, "identity", 8, 1)
    network = build(Architecture(8, 2, (block,), 16, classes=3, resolution=24, channels=1))
    assert network.layers[0].skip is not None
    generator = torch.Generator().manual_seed(5)

    def maps(images: Tensor, weights: list[Tensor], spread: list[float]) -> Tensor:
        stem, deep, point, head = weights
        for weight, stride, groups, rectified in ((stem, 2, 1, 1), (deep, 1, 8, 1), (point, 1, 1, 0), (head, 1, 1, 1)):
            images = functional.conv2d(images, weight, stride=stride, groups=groups, padding=weight.shape[-1] // 2)
            variance = images.var(dim=(0, 2, 3), unbiased=False)
            spread.append(math.log(math.sqrt(float(variance.mean()))))
            middle = images.mean(dim=(0, 2, 3), keepdim=True)
            images = (images - middle) / torch.sqrt(variance.reshape(1, -1, 1, 1) + 1e-3)
            images = images.clamp(min=0) if rectified else images
        return images

    changes, spreads = [], list[float]()
    shapes = [tuple(p.shape) for p in network.parameters() if p.ndim == 4]
    for _ in range(ZEN_DRAWS):
        weights = [torch.empty(shape).normal_(generator=generator) for shape in shapes]
        x, e = (torch.randn(ZEN_BATCH, 1, 24, 24, generator=generator) for _ in range(2))
        change = maps(x, weights, spreads) - maps(x + ZEN_STEP * e, weights, [])
        changes.append(float(change.flatten(1).norm(dim=1).mean()))
    expected = math.log(sum(changes) / ZEN_DRAWS) + sum(spreads) / ZEN_DRAWS
    assert zen_score(network, (1, 24, 24), 5) == pytest.approx(expected, abs=1e-3)
    assert network.layers[0].skip is not None


def test_scores_follow_from_the_seed_alone_and_leave_other_draws_alone() -> None:
    images_BCHW, labels_B = pictures()

    def scores(seed: int) -> dict[str, float]:
        return zero_cost_scores(NETWORK, images_BCHW, labels_B, seed=seed, names=SCORES)

    torch.manual_seed(7)
    untouched = torch.rand(1)
    torch.manual_seed(7)
    first = scores(0)
    assert torch.equal(torch.rand(1), untouched)
    assert scores(0) == first
    other = scores(1)
    counts = count(NETWORK)
    assert (first["parameters"], first["madds"]) == (counts.parameters, counts.madds)
    assert {name for name in SCORES if first[name] == other[name]} == {"parameters", "madds"}
    # One score asked for alone is what it is among others.
    assert zero_cost_scores(NETWORK, images_BCHW, labels_B, seed=0, names=("zen",)) == {"zen": first["zen"]}


def test_a_score_that_is_no_number_is_the_trials_failure() -> None:
    images_BCHW, labels_B = pictures()
    with pytest.raises(TrialFailure, match=r"score naswot of .* is -inf"):
        zero_cost_scores(NETWORK, images_BCHW[[0, 0]], labels_B[:2], seed=0, names=("naswot",))


def test_a_job_scores_on_pictures_of_the_data_that_are_all_different(tmp_path: Path) -> None:
    directory = save(data(), tmp_path / "data").directory
    job = ZeroCostJob(str(NETWORK), str(directory), seed=0)
    assert run_zero_cost(job) == run_zero_cost(job)
    assert set(run_zero_cost(job)) == set(SCORES)
    twice = stripes(60, 0)
    twice.images_NHWC[1::2] = twice.images_NHWC[::2]
    directory = save(replace(data(), train=twice), tmp_path / "twice").directory
    assert math.isfinite(run_zero_cost(ZeroCostJob(str(NETWORK), str(directory), 0, ("naswot",)))["naswot"])


def test_every_score_has_a_formula() -> None:
    assert set(zero_cost.COUNTED) | set(zero_cost._LOOKED_AT) == set(SCORES)
