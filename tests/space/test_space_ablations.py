"""The spaces that leave out one idea each."""

from __future__ import annotations

import random

import pytest

from nasfit.architecture import count, published
from nasfit.errors import ArchitectureError
from nasfit.space import ABLATIONS, SPACES, named_space


@pytest.mark.parametrize("name", ABLATIONS)
def test_points_read_back(name: str) -> None:
    space, draw = named_space(name), random.Random(0)
    assert space.name == name
    for _ in range(30):
        network = space.decode([draw.randrange(options) for options in space.option_counts])
        assert count(space.decode(space.encode(network))) == count(network)


def test_names_are_apart() -> None:
    assert not set(ABLATIONS) & set(SPACES)


def test_sizes() -> None:
    assert named_space("mnasnet-no-se").size == 216**5
    assert named_space("mnasnet-mbconv3-k5").size == 9**5
    # The paper's 432^15 counts the number of layers as a choice of each layer, which a flat space does not have.
    assert named_space("mnasnet-flat").size == 144**15


def test_b1_needs_no_squeeze_and_a1_does() -> None:
    space = named_space("mnasnet-no-se")
    space.encode(published("mnasnet-b1"))
    with pytest.raises(ArchitectureError, match=r"SE ratio 0\.25 is not in the space"):
        space.encode(published("mnasnet-a1"))


def test_flat_halves_where_the_blocks_did() -> None:
    space = named_space("mnasnet-flat")
    network = space.decode([0] * len(space.option_counts))
    assert [block.stride for block in network.blocks] == [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]
