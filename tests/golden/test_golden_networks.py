"""Published sizes of published networks, analytically and on the built module.

Sources: Tan et al. 2019, Sandler et al. 2018, Howard et al. 2019 and their authors' model code; multiply-adds in
millions.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nasfit.architecture import count, published
from nasfit.errors import ArchitectureError
from nasfit.models import build, madds_count, parameter_count
from nasfit.space import named_space

SIZES = [
    ("mnasnet-a1", 1.0, 3_887_038, 311.58),
    ("mnasnet-a1", 1.4, 6_105_992, 586.32),
    ("mnasnet-a1", 0.75, 2_912_278, 223.45),
    ("mnasnet-a1", 0.5, 2_082_006, 103.16),
    ("mnasnet-a1", 0.35, 1_747_018, 61.68),
    ("mnasnet-b1", 1.0, 4_383_312, 314.42),
    ("mnasnet-b1", 0.5, 2_218_512, 104.46),
    ("mnasnet-b1", 0.75, 3_170_208, 215.49),
    ("mnasnet-b1", 1.4, 7_115_728, 588.80),
    ("mnasnet-small", 1.0, 2_030_264, 68.34),
    ("mobilenet-v2", 1.0, 3_504_872, 300.77),
    ("mobilenet-v2", 0.35, 1_677_128, 59.29),
    ("mobilenet-v2", 1.4, 6_108_776, 582.20),
    ("mobilenet-v3-small", 1.0, 2_542_856, 56.51),
    ("mobilenet-v3-small", 0.75, 2_041_872, 43.40),
]


@pytest.mark.parametrize(("name", "width", "parameters", "madds_m"), SIZES)
def test_sizes(name, width, parameters, madds_m):
    network = published(name, width)
    counts = count(network)
    assert counts.parameters == parameters
    assert abs(counts.madds / 1e6 - madds_m) <= 0.01
    # On the meta device the module runs at full size without computing anything.
    with torch.device("meta"):
        module = build(network)
        assert parameter_count(module) == parameters
        assert madds_count(module, 3, 224) == counts.madds


def test_only_wide_mobilenets_widen_the_layer_before_the_classifier():
    assert published("mobilenet-v2", 1.4).head_filters == 1792
    assert published("mobilenet-v2", 0.35).head_filters == 1280
    assert published("mnasnet-a1", 1.4).head_filters == 1280
    assert published("mobilenet-v3-small", 1.25).hidden_filters == 1280
    assert published("mobilenet-v3-small", 0.75).hidden_filters == 1024


def test_the_space_has_the_papers_size():
    space = named_space("mnasnet")
    assert space.size == 432**5
    assert f"{space.size:.1e}" == "1.5e+13"
    assert len(space.option_counts) == 30


@pytest.mark.parametrize("space", ["mnasnet", "mnasnet-7"])
@pytest.mark.parametrize("name", ["mnasnet-a1", "mnasnet-b1"])
def test_a1_and_b1_are_points(name, space):
    network, found = published(name), named_space(space)
    tokens = found.encode(network)
    assert found.encode(found.decode(tokens)) == tokens
    assert count(found.decode(tokens)) == count(network)


@pytest.mark.parametrize("space", ["mnasnet", "mnasnet-7"])
def test_mobilenet_v2_with_relu_is_a_point(space):
    network, found = replace(published("mobilenet-v2"), activation="relu"), named_space(space)
    assert count(found.decode(found.encode(network))) == count(network)


@pytest.mark.parametrize("space", ["mnasnet", "mnasnet-7"])
def test_mobilenet_v2_itself_is_no_point_for_its_relu6(space):
    with pytest.raises(ArchitectureError, match="activation is 'relu6'"):
        named_space(space).encode(published("mobilenet-v2"))


def test_small_is_no_point_and_the_error_says_why():
    small = published("mnasnet-small")
    with pytest.raises(ArchitectureError, match=r"block 1 of the network: filters 8 is not in the space"):
        named_space("mnasnet-7").encode(small)
    # Block 1 is fixed there, and block 2 would fit.
    with pytest.raises(ArchitectureError, match=r"block 3 of the network: filters 16 is not in the space"):
        named_space("mnasnet").encode(small)
