"""Width scaling and the stride rule."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from nasfit.architecture import PUBLISHED, STRIDE_RULES, adapted, divisible, layers, published, scaled
from nasfit.errors import ArchitectureError, UnknownNameError


def test_scaled_filters_are_multiples_of_8_never_below_90_percent():
    draw = random.Random(0)
    for _ in range(5000):
        value = draw.uniform(0.1, 600)
        found = divisible(value)
        assert found % 8 == 0
        assert found >= 0.9 * value
        # The nearest multiple, or the next one up where the nearest is too small.
        assert abs(found - value) <= 4 or found == 8 or (found - 8 < 0.9 * value and found - 8 <= value)


@pytest.mark.parametrize(("value", "filters"), [(1, 8), (11, 16), (12, 16), (16 * 1.4, 24), (44.8, 48), (67.2, 64)])
def test_scaled_filters_by_hand(value, filters):
    assert divisible(value) == filters


@pytest.mark.parametrize("width", [0.1, 0.35, 0.5, 0.75, 1.3, 1.4])
def test_no_stage_of_a_scaled_point_falls_below_90_percent(points, width):
    for network in points(100, seed=5):
        narrow = scaled(network, width)
        for before, after in zip(network.blocks, narrow.blocks, strict=True):
            assert after.filters >= 0.9 * width * before.filters
            assert replace(after, filters=before.filters) == before
        assert narrow.stem_filters >= 0.9 * width * network.stem_filters
        assert narrow.head_filters == network.head_filters


def test_a_hidden_layer_keeps_its_width_in_the_heads_place():
    narrow = scaled(published("mobilenet-v3-small"), 0.5)
    assert (narrow.head_filters, narrow.hidden_filters) == (288, 1024)
    # 16 channels by 3.67: the expansion follows the narrower input.
    assert layers(narrow)[2].channels_inside == 56


def test_width_1_changes_nothing(points):
    assert all(scaled(network, 1.0) == network for network in points(50, seed=6))


@pytest.mark.parametrize("width", [0, -1, float("nan"), float("inf")])
def test_a_width_must_be_above_0(width):
    with pytest.raises(ArchitectureError, match=f"width multiplier is {width!r}"):
        scaled(published("mnasnet-a1"), width)


@pytest.mark.parametrize("rule", STRIDE_RULES)
@pytest.mark.parametrize("resolution", range(24, 34))
def test_small_inputs_keep_a_last_map_of_4_px(points, rule, resolution):
    for network in points(20, seed=resolution):
        small = adapted(network, resolution=resolution, channels=1, classes=10, strides=rule)
        last = layers(small)[-1].resolution_out
        assert last >= 4
        assert (last + 1) // 2 < 4, "one halving fewer than possible"


@pytest.mark.parametrize("rule", STRIDE_RULES)
@pytest.mark.parametrize("resolution", [128, 160, 224])
@pytest.mark.parametrize("name", PUBLISHED)
def test_large_inputs_keep_every_stride(name, resolution, rule):
    network = published(name)
    same = adapted(network, resolution=resolution, channels=3, classes=1000, strides=rule)
    assert same == replace(network, resolution=resolution)


def test_early_keeps_the_first_halvings_and_late_the_last():
    network = published("mnasnet-a1")
    fitted = {rule: adapted(network, resolution=32, channels=3, classes=10, strides=rule) for rule in STRIDE_RULES}
    strides = {rule: [a.stem_stride, *(block.stride for block in a.blocks)] for rule, a in fitted.items()}
    assert strides == {"early": [2, 1, 2, 2, 1, 1, 1, 1], "late": [1, 1, 1, 2, 2, 1, 2, 1]}
    assert (fitted["early"].channels, fitted["early"].classes, fitted["early"].resolution) == (3, 10, 32)
    assert [replace(block, stride=1) for block in fitted["late"].blocks] == [
        replace(block, stride=1) for block in network.blocks
    ]


def test_an_unknown_stride_rule_suggests_the_right_one():
    with pytest.raises(UnknownNameError, match="did you mean 'early'"):
        adapted(published("mnasnet-a1"), resolution=32, channels=3, classes=10, strides="erly")


def test_an_input_too_small_is_refused():
    with pytest.raises(ArchitectureError, match="resolution is 16"):
        adapted(published("mnasnet-a1"), resolution=16, channels=3, classes=10)


def test_an_unknown_network_suggests_the_right_one():
    with pytest.raises(UnknownNameError, match="did you mean 'mnasnet-a1'"):
        published("mnasnet-a")
