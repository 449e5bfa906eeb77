"""The published notation: round trip, and errors that name the faulty field."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nasfit.architecture import PUBLISHED, Block, published, read_block, read_blocks, write_blocks
from nasfit.errors import ArchitectureError

GOOD = "r3_k5_s22_e3_i24_o40_se0.25"


def test_a_block_reads_field_by_field():
    assert read_block(GOOD) == (Block("mbconv3", 5, 2, 0.25, "identity", 40, 3), 24)
    assert read_block("r1_k3_s11_e1_i32_o16_noskip") == (Block("sepconv", 3, 1, 0.0, "none", 16, 1), 32)


def test_fields_may_stand_in_any_order():
    assert read_block("_".join(reversed(GOOD.split("_")))) == read_block(GOOD)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "mobilenet-v3-small"])
def test_published_networks_survive_the_trip(name):
    network = published(name)
    assert read_blocks(write_blocks(network), network.stem_filters) == network.blocks


def test_the_published_text_comes_back_letter_by_letter():
    text = (
        "r1_k3_s11_e1_i32_o16_noskip | r2_k3_s22_e6_i16_o24 | r3_k5_s22_e3_i24_o40_se0.25 | r4_k3_s22_e6_i40_o80 | "
        "r2_k3_s11_e6_i80_o112_se0.25 | r3_k5_s22_e6_i112_o160_se0.25 | r1_k3_s11_e6_i160_o320"
    )
    assert write_blocks(published("mnasnet-a1")) == text


def test_every_block_with_a_word_survives_the_trip(any_architectures):
    written = 0
    for network in any_architectures(500, seed=4):
        spoken = tuple(block for block in network.blocks if _has_a_word(block))
        if spoken:
            network = replace(network, blocks=spoken)
            assert read_blocks(write_blocks(network), network.stem_filters) == network.blocks
            written += 1
    assert written > 100


def _has_a_word(block):
    plain = block.op in ("sepconv", "mbconv2", "mbconv3", "mbconv10") and block.skip != "pool"
    return plain and block.se_form == "se" and block.activation is None


@pytest.mark.parametrize(
    "change",
    [
        {"op": "conv"},
        {"skip": "pool"},
        {"op": "mbconv4.5"},
        {"se_ratio": 0.5, "se_form": "hse"},
        {"activation": "relu"},
    ],
)
def test_what_has_no_word_is_refused(change):
    network = published("mnasnet-a1")
    network = replace(network, blocks=(replace(network.blocks[0], **change), *network.blocks[1:]))
    with pytest.raises(ArchitectureError) as caught:
        write_blocks(network)
    assert str(network.blocks[0]) in str(caught.value)


BAD = [
    ("r3_k5_s22_e3_i24_o40_se.25", "'se.25'"),
    ("r3_k5_s22_e3_i24_o40_se1.5", "'se1.5'"),
    ("r3_k5_s22_e3_i24_o40_noskp", "'noskp'"),
    ("r3_k5_s22_e3_i24_o40_", "''"),
    ("r3_k5_s12_e3_i24_o40", "'s12'"),
    ("r3_k5_s2_e3_i24_o40", "'s2'"),
    ("r3_k5_s33_e3_i24_o40", "'s33'"),
    ("r0_k5_s22_e3_i24_o40", "'r0'"),
    ("r3_kk5_s22_e3_i24_o40", "'kk5'"),
    ("r3_k5_s22_e3.5_i24_o40", "'e3.5'"),
    ("r3_k5_s22_e3_i24_c40", "'c40'"),
    ("R3_k5_s22_e3_i24_o40", "'R3'"),
    ("r3_k5_s22_e3_i24_o40_r3", "'r3' of block 'r3_k5_s22_e3_i24_o40_r3' stands there twice"),
    ("r3_k5_s22_e3_i24_o40_noskip_noskip", "twice"),
    ("k5_s22_e3_i24_o40", "no field 'r'"),
    ("r3_s22_e3_i24_o40", "no field 'k'"),
    ("r3_k5_e3_i24_o40", "no field 's'"),
    ("r3_k5_s22_i24_o40", "no field 'e'"),
    ("r3_k5_s22_e3_o40", "no field 'i'"),
    ("r3_k5_s22_e3_i24", "no field 'o'"),
    ("r3_k4_s22_e3_i24_o40", "kernel is 4"),
]


@pytest.mark.parametrize(("bad", "named"), BAD)
def test_a_malformed_block_names_its_field(bad, named):
    with pytest.raises(ArchitectureError) as caught:
        read_block(bad)
    assert named in str(caught.value)


def test_a_block_must_take_what_the_one_before_gives():
    with pytest.raises(ArchitectureError) as caught:
        read_blocks("r1_k3_s11_e1_i32_o16_noskip | r2_k3_s22_e6_i18_o24", 32)
    assert "'r2_k3_s22_e6_i18_o24' expects 18 input channels, but gets 16" in str(caught.value)


def test_only_the_first_block_may_declare_another_input_and_loses_its_residual():
    first = read_blocks("r1_k3_s11_e1_i16_o8", 8)[0]
    assert first == Block("sepconv", 3, 1, 0.0, "none", 8, 1)
    assert read_blocks("r1_k3_s11_e1_i8_o8", 8)[0].skip == "identity"


def test_white_space_separates_as_bars_do():
    text = write_blocks(published("mnasnet-b1"))
    assert read_blocks(text.replace(" | ", "\n"), 32) == read_blocks(text, 32)


@pytest.mark.parametrize("text", ["", " | "])
def test_no_blocks_is_an_error(text):
    with pytest.raises(ArchitectureError, match="no blocks"):
        read_blocks(text, 32)
