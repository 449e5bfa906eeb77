"""mAP against pycocotools, and what it means by hand."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from nasfit.errors import UsageError
from nasfit.tasks import Found, Marked, mean_average_precision
from nasfit.tasks.mean_average_precision import _detections, _document

NAMES = ("cat", "dog", "ox")


def marked(*boxes: tuple[float, float, float, float], label: int = 0, crowd: bool = False) -> Marked:
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    areas = (corners[:, 2:] - corners[:, :2]).prod(1)
    return Marked(corners, np.full(len(corners), label), areas, np.full(len(corners), crowd))


def found(*boxes: tuple[float, float, float, float], label: int = 0, score: float = 0.9) -> Found:
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    return Found(corners, np.full(len(corners), label), np.full(len(corners), score))


def random_boxes(generator: np.random.Generator, number: int) -> np.ndarray:
    corners = generator.uniform(0, 250, (number, 2))
    return np.concatenate([corners, corners + generator.uniform(4, 180, (number, 2))], axis=1)


def random_case(seed: int) -> tuple[list[Marked], list[Found]]:
    generator = np.random.default_rng(seed)
    truths, detections = [], []
    for _ in range(12):
        boxes = random_boxes(generator, int(generator.integers(0, 9)))
        labels, crowd = generator.integers(0, 2, len(boxes)), generator.random(len(boxes)) < 0.15
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) * generator.uniform(0.5, 1, len(boxes))
        truths.append(Marked(boxes, labels, areas, crowd))
        near = boxes + generator.normal(0, 6, boxes.shape)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 2)
        far = random_boxes(generator, 5)
        scores = generator.random(len(near) + len(far))
        detections.append(Found(np.concatenate([near, far]), np.r_[labels, generator.integers(0, 2, len(far))], scores))
    return truths, detections


@pytest.mark.parametrize("seed", range(5))
def test_all_figures_are_those_of_pycocotools(seed: int) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truths, detections = random_case(seed)
    ours = mean_average_precision(truths, detections, NAMES)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = _document(truths, NAMES)
        truth.createIndex()
        scored = COCOeval(truth, truth.loadRes(_detections(detections)), "bbox")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    expected = [None if value == -1 else value for value in scored.stats]
    got = [ours.map, ours.map_50, ours.map_75, ours.small, ours.medium, ours.large]
    assert got == pytest.approx(expected[:6], abs=1e-9)
    assert ours.recall == pytest.approx(expected[8], abs=1e-9)
    for label, name in enumerate(NAMES):
        precision = scored.eval["precision"][:, :, label, 0, 2]
        wanted = precision[precision > -1].mean() if (precision > -1).any() else None
        assert ours.per_class[name] == (wanted if wanted is None else pytest.approx(wanted, abs=1e-9))


def test_exact_boxes_score_one_and_absent_classes_none() -> None:
    truths = [marked((10, 10, 60, 60)), marked(), marked((0, 0, 200, 200), label=1)]
    scores = mean_average_precision(truths, [found((10, 10, 60, 60)), found(), found((0, 0, 200, 200), label=1)], NAMES)
    assert (scores.map, scores.map_50, scores.recall) == (1.0, 1.0, 1.0)
    assert (scores.small, scores.medium, scores.large) == (None, 1.0, 1.0)
    assert scores.per_class == {"cat": 1.0, "dog": 1.0, "ox": None}


def test_an_overlap_of_two_thirds_counts_at_four_of_ten_thresholds() -> None:
    scores = mean_average_precision([marked((0, 0, 100, 100))], [found((20, 0, 120, 100))], NAMES)
    assert scores.map == pytest.approx(0.4)
    assert (scores.map_50, scores.map_75) == (1.0, 0.0)


def test_nothing_found_scores_zero() -> None:
    scores = mean_average_precision([marked((0, 0, 100, 100))], [found()], NAMES)
    assert (scores.map, scores.recall, scores.per_class["cat"]) == (0.0, 0.0, 0.0)


def test_crowds_are_neither_right_nor_wrong() -> None:
    truth = Marked(
        np.array([[0, 0, 50, 50], [60, 60, 200, 200]], float),
        np.array([0, 0]),
        np.array([2500.0, 19600.0]),
        np.array([False, True]),
    )
    detections = Found(np.array([[70, 70, 120, 120], [0, 0, 50, 50]], float), np.array([0, 0]), np.array([0.9, 0.8]))
    assert mean_average_precision([truth], [detections], NAMES).map == 1.0


def test_pictures_must_be_the_same_and_marked() -> None:
    with pytest.raises(UsageError, match="1 pictures are marked, and detections are of 2"):
        mean_average_precision([marked((0, 0, 9, 9))], [found(), found()], NAMES)
    with pytest.raises(UsageError, match="no box is marked"):
        mean_average_precision([marked((0, 0, 9, 9), crowd=True)], [found()], NAMES)
