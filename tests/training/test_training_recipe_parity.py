"""The published recipe against its formulas in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from nasfit.errors import UnknownNameError
from nasfit.training.averaging import AveragedWeights, warmed_decay
from nasfit.training.full_recipe import FULL_RECIPES, MNASNET, fitting_recipe, full_recipe
from nasfit.training.optimizers import made_optimizer
from nasfit.training.schedules import Schedule


def test_the_mnasnet_recipe_is_the_published_one() -> None:
    assert (MNASNET.optimizer, MNASNET.rate, MNASNET.epochs) == ("rmsprop-tf", 0.016, 350)
    assert (MNASNET.warm_up_epochs, MNASNET.fall_epochs, MNASNET.schedule) == (5, 2.4, "staircase")
    assert (MNASNET.weight_decay, MNASNET.decay_biases, MNASNET.label_smoothing) == (1e-5, True, 0.1)
    assert (MNASNET.dropout, MNASNET.average, MNASNET.bn_momentum) == (0.2, 0.9999, 0.01)
    assert (MNASNET.crop, MNASNET.flip, MNASNET.augment, MNASNET.mixup) == ("inception", True, "none", 0.0)
    assert MNASNET.test_crop == 0.875


def test_the_learning_rate_of_350_epochs_of_imagenet() -> None:
    batch, per_epoch = 4096, 313
    schedule = MNASNET.schedule_of(350 * per_epoch, batch)
    found = np.array([schedule.rate(step) for step in range(schedule.steps)])
    steps = np.arange(schedule.steps, dtype=np.float64)
    peak = 0.016 * batch / 256
    assert peak == 0.256
    # 2.4 epochs as a fraction, so that no rounding decides where a fall lies.
    expected = peak * 0.97 ** (np.arange(schedule.steps) * 10 // (24 * per_epoch)).astype(np.float64)
    rising = steps < 5 * per_epoch
    expected[rising] = peak * steps[rising] / (5 * per_epoch)
    assert np.abs(found - expected).max() <= 1e-12
    # The falls count from step 0: after the warm-up two have passed already.
    assert found[5 * per_epoch] == pytest.approx(peak * 0.97**2, rel=1e-12)


def test_a_shorter_training_keeps_the_shape_of_the_curve() -> None:
    full, short = MNASNET.schedule_of(350_000, 256), MNASNET.schedule_of(3_500, 256)
    for step in range(0, 3_500, 7):
        assert short.rate(step) == pytest.approx(full.rate(100 * step), rel=1e-9)


def test_a_cosine_rises_to_its_peak_and_falls_to_nothing() -> None:
    schedule = Schedule("cosine", 0.4, 1000, warm_up=100)
    assert schedule.rate(0) == 0
    assert schedule.rate(50) == pytest.approx(0.2)
    assert schedule.rate(100) == pytest.approx(0.4)
    assert schedule.rate(550) == pytest.approx(0.2)
    assert schedule.rate(999) < 1e-5


def test_steps_of_rmsprop_follow_tensorflows_formula() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3)).double()
    named = dict(network.named_parameters())
    kept = {name: value.detach().numpy().copy() for name, value in named.items()}
    squares = {name: np.ones_like(value) for name, value in kept.items()}
    moments = {name: np.zeros_like(value) for name, value in kept.items()}
    optimizer = made_optimizer("rmsprop-tf", network, weight_decay=1e-5, decay_biases=True)
    for step in range(5):
        rate = 0.016 * (1 + step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        for name, value in named.items():
            value.grad = torch.randn_like(value)
            # l2_loss in the published code: half the square, so its gradient is the weight; batch norm is left out.
            decayed = 0.0 if name.startswith("1.") else 1e-5
            gradient = value.grad.numpy() + decayed * kept[name]
            squares[name] = 0.9 * squares[name] + 0.1 * gradient**2
            moments[name] = 0.9 * moments[name] + rate * gradient / np.sqrt(squares[name] + 1e-3)
            kept[name] = kept[name] - moments[name]
        optimizer.step()
        for name, value in named.items():
            assert np.abs(value.detach().numpy() - kept[name]).max() <= 1e-12


def test_biases_decay_only_where_a_recipe_says_so() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    for decay_biases, decayed in ((True, 2), (False, 1)):
        groups = made_optimizer("sgd", network, weight_decay=0.1, decay_biases=decay_biases).param_groups
        assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(decayed, 0.1), (4 - decayed, 0)]


def test_averaged_weights_follow_their_formula() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).double()
    average = AveragedWeights(network, 0.9999)
    kept = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    for step in range(1, 40):
        with torch.no_grad():
            for value in network.state_dict().values():
                value.add_(torch.ones_like(value))
        average.update(step)
        decay = min(0.9999, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            new = value.numpy()
            kept[name] = decay * kept[name] + (1 - decay) * new if value.is_floating_point() else new
    for name, value in average.network.state_dict().items():
        assert np.abs(value.numpy() - kept[name]).max() <= 1e-12, name


def test_the_average_reaches_its_decay_when_it_has_seen_enough() -> None:
    assert warmed_decay(1, 0.9999) == pytest.approx(2 / 11)
    assert math.isclose(warmed_decay(10**6, 0.9999), 0.9999)


def test_recipes_are_chosen_by_the_number_of_pictures() -> None:
    assert [fitting_recipe(pictures).name for pictures in (500, 60_000, 1_280_000)] == [
        "small-data",
        "modern",
        "mnasnet",
    ]
    assert set(FULL_RECIPES) == {"mnasnet", "modern", "small-data", "quick"}
    with pytest.raises(UnknownNameError, match="did you mean 'mnasnet'"):
        full_recipe("mnasnte")
