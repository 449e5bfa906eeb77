"""The metric of detection: mean average precision as COCO defines it, by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasfit.errors import MissingExtraError, UsageError
from nasfit.tasks.boxes import Found, Marked

_AREAS = ("small", "medium", "large")
# Of `COCOeval.eval["precision"]`: overlaps, recalls, classes, areas, numbers of detections.
_ALL_AREAS, _MOST_DETECTIONS = 0, -1


@dataclass(frozen=True)
class DetectionScores:
    """COCO's figures, 0 to 1; None where no marked box of the kind is there.

    map: average precision, mean over overlaps of 0.5, 0.55 .. 0.95 and over classes. map_50, map_75: at one overlap.
    small, medium, large: of things below 32^2, from there to 96^2, and above, px^2 of the original picture. recall:
    share found at up to 100 detections a picture, mean over the same. per_class: map of each class by its name.
    """

    map: float
    map_50: float
    map_75: float
    small: float | None
    medium: float | None
    large: float | None
    recall: float
    per_class: Mapping[str, float | None]


def require_coco_eval() -> None:
    """Raises MissingExtraError where faster-coco-eval is not installed: before a training, not after it."""
    try:
        import faster_coco_eval  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("mean average precision", "detection") from error


def mean_average_precision(marked: Sequence[Marked], found: Sequence[Found], classes: Sequence[str]) -> DetectionScores:
    """Scores of what was found in each picture against what is marked there; labels count `classes` from 0.

    Crowds are not scored: what overlaps one is neither right nor wrong. Raises UsageError where the numbers of pictures
    differ or nothing is marked, MissingExtraError without the extra `detection`.
    """
    require_coco_eval()
    from faster_coco_eval import COCO, COCOeval_faster

    if len(marked) != len(found):
        raise UsageError(f"{len(marked)} pictures are marked, and detections are of {len(found)}; give both of each")
    if not any((~each.crowd_M).any() for each in marked):
        raise UsageError("no box is marked in these pictures, so nothing can be scored; give others")
    truth = COCO(_document(marked, classes), print_function=_nothing)
    results = truth.loadRes(_detections(found))
    scored = COCOeval_faster(truth, results, "bbox", print_function=_nothing)
    scored.evaluate()
    scored.accumulate()
    precision_TRKAD, recall_TKAD = scored.eval["precision"], scored.eval["recall"]
    every = precision_TRKAD[..., _ALL_AREAS, _MOST_DETECTIONS]
    overlaps = [round(float(overlap), 2) for overlap in scored.params.iouThrs]
    by_area = {area: _mean(precision_TRKAD[..., place, _MOST_DETECTIONS]) for place, area in enumerate(_AREAS, start=1)}
    return DetectionScores(
        map=_mean(every) or 0.0,
        map_50=_mean(every[overlaps.index(0.5)]) or 0.0,
        map_75=_mean(every[overlaps.index(0.75)]) or 0.0,
        **by_area,
        recall=_mean(recall_TKAD[..., _ALL_AREAS, _MOST_DETECTIONS]) or 0.0,
        per_class={name: _mean(every[:, :, label]) for label, name in enumerate(classes)},
    )


def _mean(values: NDArray[Any]) -> float | None:
    """Of all that are defined; -1 stands for none."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else None


def _document(marked: Sequence[Marked], classes: Sequence[str]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for picture, each in enumerate(marked, start=1):
        for corners, label, area, is_crowd in zip(
            each.boxes_M4, each.labels_M, each.areas_M, each.crowd_M, strict=True
        ):
            number = len(annotations) + 1
            entry = {"id": number, "image_id": picture, "category_id": int(label) + 1, "bbox": _sides(corners)}
            annotations.append(entry | {"area": float(area), "iscrowd": int(is_crowd)})
    return {
        "images": [{"id": picture} for picture in range(1, len(marked) + 1)],
        "categories": [{"id": label, "name": name} for label, name in enumerate(classes, start=1)],
        "annotations": annotations,
    }


def _detections(found: Sequence[Found]) -> list[dict[str, Any]]:
    return [
        {"image_id": picture, "category_id": int(label) + 1, "bbox": _sides(corners), "score": float(score)}
        for picture, each in enumerate(found, start=1)
        for corners, label, score in zip(each.boxes_M4, each.labels_M, each.scores_M, strict=True)
    ]


def _sides(corners: NDArray[np.float64]) -> list[float]:
    left, top, right, bottom = map(float, corners)
    return [left, top, right - left, bottom - top]


def _nothing(*_: object) -> None:
    """What it prints is not for the user."""
