"""Counts of published detectors, and what a backbone must be."""

from __future__ import annotations

import pytest

from nasfit.architecture import Architecture, Detector, adapted, count_detector, detector_on, published
from nasfit.errors import ArchitectureError


@pytest.mark.parametrize(
    ("name", "parameters", "billions"),
    [("mnasnet-a1", 4_912_181, 0.838), ("mobilenet-v2", 4_500_543, 0.804)],
)
def test_published_counts_on_coco(name: str, parameters: int, billions: float) -> None:
    counts = count_detector(detector_on(published(name), classes=90))
    assert counts.parameters == parameters
    assert round(counts.madds / 1e9, 3) == billions
    assert counts.parameters == sum(row.parameters for row in counts.rows)


def test_a1_is_backbone_and_heads() -> None:
    rows = count_detector(detector_on(published("mnasnet-a1"), classes=90)).rows
    heads = [row for row in rows if row.part.startswith(("extra", "predictors"))]
    assert sum(row.parameters for row in heads) == 2_306_143
    assert sum(row.parameters for row in rows) - 2_306_143 == 2_606_038


def test_maps_of_a1() -> None:
    maps = detector_on(published("mnasnet-a1"), classes=90).maps()
    assert [found.resolution for found in maps] == [20, 10, 5, 3, 2, 1]
    assert [found.channels for found in maps] == [672, 1280, 512, 256, 256, 128]
    assert [found.boxes for found in maps] == [3, 6, 6, 6, 6, 6]


def test_a_tap_without_expansion_gives_what_comes_in() -> None:
    text = (
        "in3@224 stem8s2 | sepconv k3 s2 se0 none f8 n1 | sepconv k3 s2 se0 none f16 n1 | "
        "sepconv k3 s2 se0 none f24 n2 | sepconv k5 s2 se0 none f32 n2 | head64 out10 relu"
    )
    assert detector_on(Architecture.parse(text), classes=3, resolution=96).maps()[0].channels == 24


@pytest.mark.parametrize("strides", ["early", "late"])
def test_networks_of_small_pictures_get_their_strides_back(strides: str) -> None:
    whole = published("mnasnet-a1")
    small = adapted(whole, resolution=32, channels=1, classes=10, strides=strides)
    assert detector_on(small, classes=5) == detector_on(whole, classes=5)


def test_lean_networks_get_their_strides_back() -> None:
    whole = published("mnasnet-a1")
    lean = Architecture(32, 2, whole.blocks[:-1], 960)
    small = adapted(lean, resolution=32, channels=3, classes=10)
    assert detector_on(small, classes=5) == detector_on(lean, classes=5)


def test_others_with_few_halvings_are_refused() -> None:
    small = adapted(published("mobilenet-v3-small"), resolution=32, channels=3, classes=10)
    with pytest.raises(ArchitectureError, match="halves its map 5 times, and this one does so 3 times"):
        detector_on(small, classes=5)


def test_every_published_network_carries_a_detector() -> None:
    for name in ("mnasnet-b1", "mnasnet-small", "mobilenet-v3-small"):
        detector = detector_on(published(name), classes=20, resolution=224)
        assert Detector.parse(str(detector)) == detector
        assert [found.resolution for found in detector.maps()] == [14, 7, 4, 2, 1, 1]


@pytest.mark.parametrize("text", ["ssdlite | in3@320", "ssdlite extra512,x | in3@320 stem32s2", "in3@320 stem32s2"])
def test_other_texts_are_no_detectors(text: str) -> None:
    with pytest.raises(ArchitectureError, match="no detector"):
        Detector.parse(text)


def test_small_pictures_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="64 px or more, got 32 px"):
        detector_on(published("mnasnet-a1"), classes=5, resolution=32)
