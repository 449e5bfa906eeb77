"""The analytic counts against modules that run."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from nasfit.architecture import STRIDE_RULES, Architecture, adapted, count, published, scaled
from nasfit.models import build, madds_count, parameter_count


def assert_counted(network: Architecture) -> None:
    module, counts = build(network), count(network)
    assert parameter_count(module) == counts.parameters, str(network)
    assert madds_count(module, network.channels, network.resolution) == counts.madds, str(network)


def test_points_at_small_size(points):
    draw = random.Random(0)
    for network in points(100, seed=10, space="mnasnet-7"):
        small = adapted(
            scaled(network, draw.choice((0.1, 0.2, 0.3))),
            resolution=draw.randint(24, 33),
            channels=draw.choice((1, 3)),
            classes=draw.randint(2, 20),
            strides=draw.choice(STRIDE_RULES),
        )
        assert_counted(replace(small, head_filters=64))


def test_points_at_full_size(points):
    with torch.device("meta"):
        for network in points(8, seed=11):
            assert_counted(network)


def test_any_architecture(any_architectures):
    for network in any_architectures(200, seed=12):
        assert_counted(network)


def test_frozen_parameters_are_not_counted():
    network = replace(published("mnasnet-small", width=0.35), resolution=32)
    module = build(network)
    before = parameter_count(module)
    module.stem[0].weight.requires_grad = False
    assert before - parameter_count(module) == 9 * 3 * network.stem_filters


@pytest.mark.parametrize("resolution", [24, 33])
def test_counting_a_module_leaves_no_hooks(resolution):
    module = build(published("mnasnet-small", width=0.35))
    madds_count(module, 3, resolution)
    assert not any(part._forward_hooks for part in module.modules())
