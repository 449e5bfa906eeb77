"""The shipped spaces around MobileNetV2."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nasfit.architecture import scaled
from nasfit.errors import UnknownNameError
from nasfit.space import SPACES, named_space, rounded_filters


@pytest.mark.parametrize(
    ("filters", "rounded"),
    [
        (12, 16),
        (18, 16),
        (20, 24),
        (30, 32),
        (40, 40),
        (48, 48),
        (72, 64),
        (80, 80),
        (120, 112),
        (200, 192),
        (400, 400),
    ],
)
def test_filters_round_as_the_published_networks_need(filters, rounded):
    assert rounded_filters(filters) == rounded


def test_the_searched_blocks_of_mnasnet():
    searched = named_space("mnasnet").searched
    assert [block.filters for block in searched] == [
        (16, 24, 32),
        (24, 32, 40),
        (48, 64, 80),
        (64, 96, 112),
        (112, 160, 192),
    ]
    assert [block.layers for block in searched] == [(1, 2, 3), (2, 3, 4), (3, 4, 5), (2, 3, 4), (2, 3, 4)]
    assert [block.stride for block in searched] == [2, 2, 2, 1, 2]


def test_mnasnet_7_searches_all_blocks_around_the_same_middle():
    seven = named_space("mnasnet-7")
    assert seven.searched[1:6] == named_space("mnasnet").searched
    assert len(seven.option_counts) == 42
    # Rounding and "at least one layer" leave two sizes and two depths to the first block, two depths to the last.
    assert (seven.searched[0].filters, seven.searched[0].layers) == ((16, 24), (1, 2))
    assert (seven.searched[6].filters, seven.searched[6].layers) == ((240, 320, 400), (1, 2))
    assert seven.size == 432**5 * (48 * 2 * 2) * (48 * 3 * 2)


def test_the_lean_space_searches_the_same_blocks_and_ends_in_the_sixths_expansion():
    lean, published = named_space("mnasnet-lean"), named_space("mnasnet")
    assert lean.searched == published.searched
    point = [0] * len(lean.option_counts)
    network = lean.decode(point)
    assert network.blocks == published.decode(point).blocks[:-1]
    assert (network.head_filters, network.hidden_filters) == (960, 0)


@pytest.mark.parametrize(("name", "head"), [("mnasnet", 1280), ("mnasnet-7", 1280), ("mnasnet-lean", 336)])
def test_a_width_narrows_all_but_the_published_head(name, head):
    space = named_space(name)
    point = [0] * len(space.option_counts)
    assert space.decode(point, 0.35) == replace(scaled(space.decode(point), 0.35), head_filters=head)
    assert space.decode(point, 1.0) == space.decode(point)


@pytest.mark.parametrize("name", SPACES)
def test_a_space_bears_its_name(name):
    assert named_space(name).name == name


def test_an_unknown_space_suggests_the_right_one():
    with pytest.raises(UnknownNameError, match="did you mean 'mnasnet'"):
        named_space("mnasnett")
