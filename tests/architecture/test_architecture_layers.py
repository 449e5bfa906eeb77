"""Layers laid out: channels, map sizes, squeezed widths, and which skips remain."""

from __future__ import annotations

import pytest

from nasfit.architecture import Architecture, Block, layers, published


def one_block(block: Block, stem_filters: int = 16, resolution: int = 32) -> Architecture:
    return Architecture(stem_filters, 2, (block,), 64, classes=10, resolution=resolution)


def test_only_the_first_layer_strides_and_changes_channels():
    laid_out = layers(one_block(Block("mbconv3", 5, 2, 0.0, "none", 24, 3)))
    assert [layer.stride for layer in laid_out] == [2, 1, 1]
    assert [(layer.channels_in, layer.channels_out) for layer in laid_out] == [(16, 24), (24, 24), (24, 24)]
    assert [(layer.resolution_in, layer.resolution_out) for layer in laid_out] == [(16, 8), (8, 8), (8, 8)]
    assert [layer.channels_inside for layer in laid_out] == [48, 72, 72]


@pytest.mark.parametrize(
    ("skip", "stride", "filters", "built"),
    [
        ("identity", 1, 16, ["identity", "identity"]),
        ("identity", 2, 16, ["none", "identity"]),
        ("identity", 1, 24, ["none", "identity"]),
        ("pool", 1, 16, ["pool", "pool"]),
        ("pool", 2, 16, ["pool", "pool"]),
        ("pool", 2, 24, ["none", "pool"]),
        ("none", 1, 16, ["none", "none"]),
    ],
)
def test_a_skip_needs_matching_shapes(skip, stride, filters, built):
    laid_out = layers(one_block(Block("sepconv", 3, stride, 0.0, skip, filters, 2)))
    assert [layer.skip for layer in laid_out] == built


def test_squeezed_widths_of_a1_follow_each_layers_input():
    squeezed = [layer.squeeze for layer in layers(published("mnasnet-a1"))]
    assert [width for width in squeezed if width] == [6, 10, 10, 20, 28, 28, 40, 40]


def test_squeeze_is_cut_off_but_never_empty():
    assert layers(one_block(Block("conv", 3, 1, 0.25, "none", 8, 1), stem_filters=2))[0].squeeze == 1
    assert layers(one_block(Block("conv", 3, 1, 0.25, "none", 8, 1), stem_filters=15))[0].squeeze == 3


def test_v3_small_has_the_tables_expansions_and_squeezes_a_quarter_of_them():
    laid_out = layers(published("mobilenet-v3-small"))
    assert [layer.channels_inside for layer in laid_out] == [16, 72, 88, 96, 240, 240, 120, 144, 288, 576, 576]
    assert [layer.squeeze for layer in laid_out] == [8, 0, 0, 24, 64, 64, 32, 40, 72, 144, 144]
    assert [layer.activation for layer in laid_out] == ["relu"] * 3 + ["hswish"] * 8


@pytest.mark.parametrize(
    ("op", "channels", "inside"), [("mbconv3", 10, 30), ("mbconv3.1", 10, 32), ("mbconv1.01", 26, 26)]
)
def test_an_expansion_with_decimals_makes_a_multiple_of_8_and_never_narrows(op, channels, inside):
    found = layers(one_block(Block(op, 3, 1, 0.0, "none", 8, 1), stem_filters=channels))[0]
    assert found.channels_inside == inside
    assert found.expansion == inside / channels


def test_a_plain_convolution_has_no_inner_width_of_its_own():
    assert layers(one_block(Block("conv", 3, 1, 0.0, "none", 40, 1)))[0].channels_inside == 40


def test_odd_maps_halve_upwards():
    laid_out = layers(one_block(Block("conv", 3, 2, 0.0, "none", 8, 1), resolution=25))
    assert (laid_out[0].resolution_in, laid_out[0].resolution_out) == (13, 7)
