"""The text form: a strict inverse, with errors that name the faulty part."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from nasfit.architecture import PUBLISHED, Architecture, Block, published
from nasfit.errors import ArchitectureError

BLOCK = "mbconv6 k3 s2 se0.25 identity f24 n2"
V3_BLOCK = "mbconv4.5 k3 s2 hse0.25 identity f24 n2 hswish"
START, END = "in3@224 stem32s2", "head1280 out1000 relu"
TEXT = f"{START} | {BLOCK} | {END}"


def test_text_spells_out_every_field():
    block = Block(op="mbconv6", kernel=3, stride=2, se_ratio=0.25, skip="identity", filters=24, layers=2)
    network = Architecture(32, 2, (block,), 1280, classes=1000, resolution=224, channels=3, activation="relu")
    assert str(block) == BLOCK
    assert str(network) == TEXT
    assert Architecture.parse(TEXT) == network


def test_text_spells_out_what_mobilenet_v3_adds():
    block = Block("mbconv4.5", 3, 2, 0.25, "identity", 24, 2, se_form="hse", activation="hswish")
    network = Architecture(32, 2, (block,), 1280, hidden_filters=64)
    assert str(network) == f"{START} | {V3_BLOCK} | head1280 hidden64 out1000 relu"
    assert Architecture.parse(str(network)) == network


@pytest.mark.parametrize("space", ["mnasnet", "mnasnet-7", "mnasnet-lean"])
def test_points_survive_the_trip_through_text(points, space):
    for network in points(250, seed=1, space=space):
        assert Architecture.parse(str(network)) == network


def test_any_architecture_survives_the_trip_through_text(any_architectures):
    for network in any_architectures(500, seed=2):
        text = str(network)
        assert "\n" not in text
        assert Architecture.parse(text) == network
        assert hash(Architecture.parse(text)) == hash(network)


def test_different_architectures_have_different_texts(any_architectures):
    networks = set(any_architectures(500, seed=3))
    assert len({str(network) for network in networks}) == len(networks)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_survive_the_trip_through_text(name):
    assert Architecture.parse(str(published(name))) == published(name)


def test_values_are_frozen():
    network = Architecture.parse(TEXT)
    with pytest.raises(FrozenInstanceError):
        network.classes = 10
    with pytest.raises(FrozenInstanceError):
        network.blocks[0].filters = 8


BAD_BLOCKS = [
    "mbconv k3 s2 se0.25 identity f24 n2",
    "mbconv0 k3 s2 se0.25 identity f24 n2",
    "mbconv06 k3 s2 se0.25 identity f24 n2",
    "Conv k3 s2 se0.25 identity f24 n2",
    "deconv k3 s2 se0.25 identity f24 n2",
    "mbconv6 s2 se0.25 identity f24 n2",
    "mbconv6 k3 se0.25 identity f24 n2",
    "mbconv6 k3 s2 identity f24 n2",
    "mbconv6 k3 s2 se0.25 f24 n2",
    "mbconv6 k3 s2 se0.25 identity n2",
    "mbconv6 k3 s2 se0.25 identity f24",
    "mbconv6 k3 k3 s2 se0.25 identity f24 n2",
    "mbconv6 k3 s2 se0.25 identity f24 n2 n2",
    "mbconv6 s2 k3 se0.25 identity f24 n2",
    "mbconv6 q3 s2 se0.25 identity f24 n2",
    "mbconv6 k3.5 s2 se0.25 identity f24 n2",
    "mbconv6 k-3 s2 se0.25 identity f24 n2",
    "mbconv6 k3 s2 se.25 identity f24 n2",
    "mbconv6 k3 s2 se2 identity f24 n2",
    "mbconv6 k3 s2 senan identity f24 n2",
    "mbconv6  k3 s2 se0.25 identity f24 n2",
    "mbconv4.50 k3 s2 se0.25 identity f24 n2",
    "mbconv4. k3 s2 se0.25 identity f24 n2",
    "mbconv0.5 k3 s2 se0.25 identity f24 n2",
    "mbconv6 k3 s2 sse0.25 identity f24 n2",
    "mbconv6 k3 s2 se0.25 identity f24 n2 relu relu",
    "mbconv6 k3 s2 se0.25 identity f24 n",
    "",
]


@pytest.mark.parametrize("bad", BAD_BLOCKS)
def test_a_malformed_block_is_named(bad):
    with pytest.raises(ArchitectureError) as caught:
        Architecture.parse(f"{START} | {bad} | {END}")
    assert f"no block: {bad!r}" in str(caught.value)
    assert BLOCK in str(caught.value), "the message shows a block as it should be"


BAD_ENDS = [
    ("in3x224 stem32s2", END, "no input and stem: 'in3x224 stem32s2'"),
    ("in3@224", END, "no input and stem: 'in3@224'"),
    ("in3@224 stem32", END, "no input and stem: 'in3@224 stem32'"),
    ("in3@224 in3@224 stem32s2", END, "no input and stem"),
    (START, "head1280 out1000", "no head: 'head1280 out1000'"),
    (START, "head1280 relu", "no head: 'head1280 relu'"),
    (START, "head out1000 relu", "no head: 'head out1000 relu'"),
    (START, "head1280 out1000 relu relu", "no head"),
    (START, "head1280 hidden0 out1000 relu", "no head"),
    (START, "head1280 out1000 hidden64 relu", "no head"),
]


@pytest.mark.parametrize(("first", "last", "named"), BAD_ENDS)
def test_malformed_ends_are_named(first, last, named):
    with pytest.raises(ArchitectureError) as caught:
        Architecture.parse(f"{first} | {BLOCK} | {last}")
    assert named in str(caught.value)


@pytest.mark.parametrize("text", ["", "mnasnet-a1", f"{START} | {END}", f"{START} {BLOCK} {END}"])
def test_a_text_without_the_three_parts_is_no_architecture(text):
    with pytest.raises(ArchitectureError, match="no architecture"):
        Architecture.parse(text)


BAD_VALUES = [
    ("k3", "k4", "kernel is 4"),
    ("k3", "k0", "kernel is 0"),
    (" s2 se", " s3 se", "stride is 3"),
    ("se0.25", "se0.0001", "SE ratio is 0.0001"),
    ("se0.25", "hse0", "SE form is 'hse'"),
    ("identity", "identty", "skip op is 'identty'"),
    ("f24 n2", "f24 n2 swish", "activation is 'swish'"),
    ("f24", "f0", "filters is 0"),
    ("n2", "n0", "layers is 0"),
    ("stem32s2", "stem32s4", "stem stride is 4"),
    ("stem32s2", "stem0s2", "stem filters is 0"),
    ("@224", "@23", "resolution is 23"),
    ("in3@", "in0@", "channels is 0"),
    ("head1280", "head0", "head filters is 0"),
    ("out1000", "out0", "classes is 0"),
    (" relu", " swish", "activation is 'swish'"),
]


@pytest.mark.parametrize(("good", "bad", "named"), BAD_VALUES)
def test_a_value_out_of_range_is_named(good, bad, named):
    assert TEXT.count(good) == 1
    with pytest.raises(ArchitectureError) as caught:
        Architecture.parse(TEXT.replace(good, bad))
    assert named in str(caught.value)
    assert "must be" in str(caught.value)


def test_values_are_checked_without_text_as_well():
    block = Block.parse(BLOCK)
    with pytest.raises(ArchitectureError, match="op is 'mbconv'"):
        replace(block, op="mbconv")
    with pytest.raises(ArchitectureError, match="SE ratio is nan"):
        replace(block, se_ratio=float("nan"))
    with pytest.raises(ArchitectureError, match="blocks is 0"):
        Architecture(32, 2, (), 1280)


@pytest.mark.parametrize(("op", "expansion"), [("conv", 1), ("sepconv", 1), ("mbconv3", 3), ("mbconv4.5", 4.5)])
def test_expansion_follows_the_op(op, expansion):
    assert replace(Block.parse(BLOCK), op=op).expansion == expansion
