"""Tokens <-> architectures, and what is refused."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from nasfit.architecture import Architecture, Block, layers, published
from nasfit.errors import ArchitectureError, UsageError
from nasfit.space import SPACES, BlockChoices, SearchSpace, named_space

FIXED = Block("sepconv", 3, 1, 0.0, "identity", 16, 2)
CHOICES = BlockChoices(filters=(16, 24), layers=(1, 2, 3), stride=2)
SMALL = SearchSpace("small", (FIXED, CHOICES), stem_filters=16, head_filters=64)


@pytest.mark.parametrize("name", SPACES)
def test_encode_undoes_decode(name):
    space, draw = named_space(name), random.Random(0)
    for _ in range(500):
        tokens = tuple(draw.randrange(options) for options in space.option_counts)
        assert space.encode(space.decode(tokens)) == tokens


def test_every_point_is_another_text():
    texts = {str(SMALL.decode(tokens)) for tokens in all_tokens(SMALL.option_counts)}
    assert len(texts) == SMALL.size == 4 * 2 * 2 * 3 * 2 * 3


def all_tokens(counts: tuple[int, ...]) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = [()]
    for options in counts:
        found = [(*tokens, token) for tokens in found for token in range(options)]
    return found


def test_tokens_stand_in_reading_order():
    network = SMALL.decode((3, 1, 1, 0, 1, 2))
    assert network == Architecture(16, 2, (FIXED, Block("mbconv6", 5, 2, 0.25, "pool", 24, 3)), 64)
    assert SMALL.option_counts == (4, 2, 2, 3, 2, 3)
    assert SMALL.searched == (CHOICES,)


@pytest.mark.parametrize("tokens", [(), (0,) * 5, (0,) * 7])
def test_a_wrong_number_of_tokens_is_refused(tokens):
    with pytest.raises(ArchitectureError, match=f"got {len(tokens)} tokens; space 'small' has 6 decisions"):
        SMALL.decode(tokens)


@pytest.mark.parametrize(("place", "token"), [(0, 4), (1, 2), (3, -1), (5, 3)])
def test_a_token_out_of_range_is_named(place, token):
    tokens = [0] * 6
    tokens[place] = token
    with pytest.raises(ArchitectureError, match=f"token {place} is {token}"):
        SMALL.decode(tokens)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"op": "mbconv4"}, "op 'mbconv4' is not in the space"),
        ({"kernel": 7}, "kernel 7 is not"),
        ({"se_ratio": 0.5}, "SE ratio 0.5 is not"),
        ({"filters": 20}, "filters 20 is not"),
        ({"layers": 4}, "layers 4 is not"),
        ({"stride": 1}, "block 2 is"),
    ],
)
def test_a_block_outside_its_choices_is_named(change, named):
    network = SMALL.decode((0,) * 6)
    network = replace(network, blocks=(FIXED, replace(network.blocks[1], **change)))
    with pytest.raises(ArchitectureError, match=named):
        SMALL.encode(network)


@pytest.mark.parametrize("change", [{"layers": 1}, {"layers": 3}, {"kernel": 5}, {"filters": 24}, {"skip": "none"}])
def test_another_fixed_block_is_named(change):
    network = SMALL.decode((0,) * 6)
    network = replace(network, blocks=(replace(FIXED, **change), network.blocks[1]))
    with pytest.raises(ArchitectureError) as caught:
        SMALL.encode(network)
    message = str(caught.value)
    assert message.startswith(f"block 1 is '{network.blocks[0]}'")
    assert str(FIXED) in message, "the message shows what the space has"


def test_a_last_fixed_block_of_other_depth_is_named():
    space = SearchSpace("ends", (CHOICES, FIXED))
    network = space.decode((0,) * 6)
    longer = replace(network, blocks=(network.blocks[0], replace(FIXED, layers=3)))
    with pytest.raises(ArchitectureError, match="block 2 is"):
        space.encode(longer)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"stem_filters": 8}, "stem_filters is 8"),
        ({"stem_stride": 1}, "stem_stride is 1"),
        ({"head_filters": 128}, "head_filters is 128"),
        ({"resolution": 32}, "resolution is 32"),
        ({"channels": 1}, "channels is 1"),
        ({"classes": 10}, "classes is 10"),
        ({"activation": "relu6"}, "activation is 'relu6'"),
    ],
)
def test_other_ends_are_named(change, named):
    with pytest.raises(ArchitectureError, match=named):
        SMALL.encode(replace(SMALL.decode((0,) * 6), **change))


def test_another_number_of_blocks_is_refused():
    network = SMALL.decode((0,) * 6)
    with pytest.raises(ArchitectureError, match="the network has 1 blocks; space 'small' has 2"):
        SMALL.encode(replace(network, blocks=network.blocks[:1]))


def test_a_skip_that_is_never_built_may_be_written_either_way():
    space = named_space("mnasnet")
    network = published("mnasnet-a1")
    last = replace(network.blocks[-1], skip="none")
    assert network.blocks[-1].skip == "identity"
    assert space.encode(replace(network, blocks=(*network.blocks[:-1], last))) == space.encode(network)


@pytest.mark.parametrize("choice", ["ops", "kernels", "se_ratios", "skips", "filters", "layers"])
def test_a_choice_needs_options_each_once(choice):
    options = getattr(CHOICES, choice)
    with pytest.raises(UsageError, match=f"'{choice}' has no options"):
        replace(CHOICES, **{choice: ()})
    with pytest.raises(UsageError, match=f"'{choice}' repeats an option"):
        replace(CHOICES, **{choice: (*options, options[0])})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ops": ("conv", "mbconv")}, "op is 'mbconv'"),
        ({"kernels": (3, 4)}, "kernel is 4"),
        ({"se_ratios": (0.0, 4.0)}, "SE ratio is 4.0"),
        ({"skips": ("identity", "pooled")}, "skip op is 'pooled'"),
        ({"filters": (16, 0)}, "filters is 0"),
        ({"layers": (1, 0)}, "layers is 0"),
        ({"stride": 3}, "stride is 3"),
    ],
)
def test_an_option_that_is_no_block_is_named_at_once(change, named):
    with pytest.raises(ArchitectureError, match=named):
        replace(CHOICES, **change)


def test_points_cover_every_option_as_it_is_built():
    space = named_space("mnasnet")
    draw = random.Random(1)
    drawn = [space.decode([draw.randrange(n) for n in space.option_counts]) for _ in range(200)]
    assert {layer.skip for network in drawn for layer in layers(network)} == {"identity", "pool", "none"}
    for index, choices in enumerate(space.searched, start=1):
        assert {network.blocks[index].op for network in drawn} == set(choices.ops)
        assert {network.blocks[index].filters for network in drawn} == set(choices.filters)
        assert {network.blocks[index].layers for network in drawn} == set(choices.layers)
