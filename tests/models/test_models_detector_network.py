"""Detectors as modules: counted as they are described, boxes where they belong, losses that teach."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nasfit.architecture import Architecture, Detector, count_detector, detector_on, published
from nasfit.models import madds_count, parameter_count
from nasfit.models.default_boxes import default_boxes
from nasfit.models.detector_network import as_ssd, build_detector, flattened
from nasfit.models.quick import quickened

TINY = (
    "in3@224 stem8s2 | sepconv k3 s1 se0 none f8 n1 | mbconv3 k3 s2 se0 none f16 n1 | mbconv3 k3 s2 se0 none f16 n1 | "
    "{tap} | mbconv3 k3 s2 se0.25 pool f24 n2 | head32 out10 relu"
)
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def tiny(tap: str = "mbconv3 k3 s2 se0 none f24 n1") -> Detector:
    return detector_on(Architecture.parse(TINY.format(tap=tap)), classes=3, resolution=64)


@pytest.mark.parametrize("name", ["mnasnet-a1", "mobilenet-v2", "mobilenet-v3-small"])
def test_modules_have_the_counts_of_their_description(name: str) -> None:
    detector = detector_on(published(name), classes=90, resolution=128)
    network, counts = build_detector(detector), count_detector(detector)
    assert parameter_count(network) == counts.parameters
    assert madds_count(network, 3, 128) == counts.madds


def test_maps_are_those_of_the_description() -> None:
    detector = tiny()
    maps = build_detector(detector).eval().backbone(torch.zeros(2, 3, 64, 64)).values()
    assert [tuple(each.shape[1:3]) for each in maps] == [(each.channels, each.resolution) for each in detector.maps()]


def test_the_last_map_of_the_backbone_is_that_of_the_classifier() -> None:
    """A tapped layer with a pooled skip computes what it does in a classification network."""
    torch.manual_seed(0)
    network = build_detector(tiny()).eval().backbone
    images_BCHW = torch.rand(1, 3, 64, 64)
    whole = network.head(network.layers(network.stem(images_BCHW)))
    assert torch.equal(network(images_BCHW)["1"], whole)


def test_there_are_as_many_boxes_as_predictions() -> None:
    detector = detector_on(published("mnasnet-a1"), classes=90)
    boxes_A4 = default_boxes(detector)
    assert len(boxes_A4) == 20 * 20 * 3 + (100 + 25 + 9 + 4 + 1) * 6
    assert boxes_A4[0] == pytest.approx([1 / 40, 1 / 40, 0.1, 0.1])
    assert boxes_A4[1] == pytest.approx([1 / 40, 1 / 40, 0.2 * 2**0.5, 0.2 / 2**0.5])
    assert boxes_A4[1200] == pytest.approx([1 / 20, 1 / 20, 0.35, 0.35])
    assert boxes_A4[1205] == pytest.approx([1 / 20, 1 / 20, (0.35 * 0.5) ** 0.5, (0.35 * 0.5) ** 0.5])
    assert boxes_A4[-1, :2] == pytest.approx([0.5, 0.5])
    assert boxes_A4[:, 2:].max() <= 1


def test_flattened_outputs_are_those_of_the_head() -> None:
    torch.manual_seed(0)
    network = build_detector(tiny()).eval()
    images_BCHW = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        offsets_BA4, logits_BAK = flattened(network(images_BCHW), 4)
        expected = network.head(list(network.backbone(images_BCHW).values()))
    assert torch.equal(offsets_BA4, expected["bbox_regression"])
    assert torch.equal(logits_BAK, expected["cls_logits"])


def test_a_detector_learns_two_pictures() -> None:
    torch.manual_seed(0)
    network = build_detector(tiny(), bn_momentum=0.1)
    ssd = as_ssd(network, mean=MEAN, std=STD)
    images = [torch.zeros(3, 64, 64), torch.zeros(3, 64, 64)]
    images[0][:, 8:40, 8:40], images[1][0, 20:60, 16:60] = 1.0, 1.0
    targets = [
        {"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1])},
        {"boxes": torch.tensor([[16.0, 20.0, 60.0, 60.0]]), "labels": torch.tensor([3])},
    ]
    optimizer = torch.optim.Adam(ssd.parameters(), 3e-3)
    losses = []
    with quickened(network):
        for _ in range(25):
            loss = sum(ssd(images, targets).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


def test_pictures_without_boxes_teach_nothing_and_do_no_harm() -> None:
    ssd = as_ssd(build_detector(tiny()), mean=MEAN, std=STD)
    empty = {"boxes": torch.empty(0, 4), "labels": torch.empty(0, dtype=torch.int64)}
    assert sum(ssd([torch.rand(3, 64, 64)] * 2, [empty] * 2).values()).item() == 0


def test_offsets_of_zero_are_the_default_boxes() -> None:
    """What is detected lies where the network says, cut at the picture's edges."""
    detector = tiny()
    ssd = as_ssd(build_detector(detector), mean=MEAN, std=STD).eval()
    boxes_A4 = torch.from_numpy(default_boxes(detector))
    logits_BAK = torch.zeros(1, len(boxes_A4), 4)
    logits_BAK[..., 0] = 20.0
    logits_BAK[0, 10, 2] = 40.0
    head = {"bbox_regression": torch.zeros(1, len(boxes_A4), 4), "cls_logits": logits_BAK}
    anchors = ssd.anchor_generator(None, [torch.zeros(1)])
    found = ssd.postprocess_detections(head, anchors, [(64, 64)])[0]
    x, y, w, h = (boxes_A4[10] * 64).tolist()
    expected = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, 64)
    assert found["labels"].tolist() == [2]
    assert found["boxes"][0].tolist() == pytest.approx(expected, abs=1e-4)
