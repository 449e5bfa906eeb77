"""What a trained detector finds in the pictures of a split, and what that is worth.

Shapes: N pictures, M boxes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasfit.tasks import DetectionScores, DetectionSplit, Found, mean_average_precision
from nasfit.training.detection_batches import plain_pictures

BATCH = 16


def detections(ssd: nn.Module, split: DetectionSplit, side: int) -> list[Found]:
    """Boxes in each picture of a split, px of the originals. ssd: of `as_ssd`, for pictures of `side` px."""
    device = next(ssd.parameters()).device
    was_training = ssd.training
    found: list[Found] = []
    with torch.inference_mode():
        ssd.eval()
        for pictures in plain_pictures(split, side, BATCH):
            for one in ssd([picture.to(device) for picture in pictures]):
                width, height = split.table.sizes_N2[len(found)]
                scale = torch.tensor([width, height, width, height], dtype=torch.float64) / side
                found.append(_found(one, scale))
    ssd.train(was_training)
    return found


def scores_on(ssd: nn.Module, split: DetectionSplit, classes: tuple[str, ...], side: int) -> DetectionScores:
    """COCO's figures of a detector on a split. Raises UsageError where no box of the split is marked."""
    marked = [split.table.original(number) for number in range(len(split))]
    return mean_average_precision(marked, detections(ssd, split, side), classes)


def _found(one: dict[str, Tensor], scale: Tensor) -> Found:
    boxes_M4 = one["boxes"].cpu().double() * scale
    return Found(boxes_M4.numpy(), one["labels"].cpu().numpy() - 1, one["scores"].cpu().double().numpy())
