"""Batches of marked pictures: random crops around boxes, mirrored, in other colours; the same ones whenever asked.

Shapes: C channels, S px of a side as kept, M boxes; 4 are left, top, right, bottom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from nasfit.tasks import DetectionSplit
from nasfit.tasks.detection_data import open_detection

# A picture (C, H, W) in 0..1, and its `boxes` (M, 4; px) and `labels` (M,; from 1).
Sample = tuple[Tensor, dict[str, Tensor]]
Batch = list[Sample]


# Brightness, contrast, saturation, hue: what torchvision's photometric distortion changes them by.
DISTORTION = (0.125, 0.5, 0.5, 0.05)
# ImageNet's mean, and how many times as large a side becomes at most.
EMPTY, LARGEST_ZOOM_OUT = (124, 116, 104), 2.0


@dataclass(frozen=True)
class Draw:
    """One picture of a training: its row, and the seed of how it is shown."""

    row: int
    seed: int


class Augmented(Dataset[Sample]):
    """Pictures as a training shows them. directory: of detection data; part: of it; side: of what is shown, px.

    Liu et al. 2016 (SSD), sections 2.2 and 3.6: half on a larger empty one, half cropped so that some box stays,
    half mirrored (flip), and photometric distortion, by torchvision; without the swapped channels of their code, which
    make red lights green. Crops alone, of all pictures, show few things as small as they are, and learn slowly.
    """

    def __init__(self, directory: str, part: str, side: int, flip: bool) -> None:
        self.directory, self.part, self.side, self.flip = directory, part, side, flip

    def __getitem__(self, draw: Draw) -> Sample:
        """The picture of a draw; equal draws give equal pictures, and the generators of others stay as they are."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draw.seed)
            return self._shown(draw.row)

    def _shown(self, row: int) -> Sample:
        image_SSC, boxes_M4, labels_M = self._split.picture(row)
        side = len(image_SSC)
        target = {
            "boxes": tv_tensors.BoundingBoxes(
                torch.from_numpy(boxes_M4 * side).float(), format="XYXY", canvas_size=(side, side)
            ),
            "labels": torch.from_numpy(labels_M) + 1,
        }
        image = tv_tensors.Image(torch.from_numpy(image_SSC.copy()).permute(2, 0, 1))
        image, target = self._transforms(image, target)
        return image.as_subclass(Tensor), {name: value.as_subclass(Tensor) for name, value in target.items()}

    @cached_property
    def _split(self) -> DetectionSplit:
        # Opened where it is used: a process of a loader gets the path alone.

        return open_detection(Path(self.directory)).splits()[self.part]

    @cached_property
    def _transforms(self) -> v2.Transform:
        steps = [
            v2.RandomApply([v2.ColorJitter(*DISTORTION)], p=0.5),
            *zoomed_and_cropped(),
            *([v2.RandomHorizontalFlip()] if self.flip else []),
            v2.Resize((self.side, self.side), antialias=True),
            v2.SanitizeBoundingBoxes(min_size=1),
            v2.ToDtype(torch.float32, scale=True),
        ]
        return v2.Compose(steps)

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in ("directory", "part", "side", "flip")}


def zoomed_and_cropped() -> list[v2.Transform]:
    """What changes how large things are shown."""
    larger = v2.RandomZoomOut(fill=list(EMPTY), side_range=(1.0, LARGEST_ZOOM_OUT), p=0.5)
    return [larger, v2.RandomApply([v2.RandomIoUCrop()], p=0.5)]


def draws(pictures: int, epoch: int, steps: int, batch: int, seed: int) -> list[list[Draw]]:
    """What each of `steps` batches of an epoch shows: every picture once before any comes again."""
    generator = np.random.default_rng([seed, epoch])
    passes = -(-steps * batch // pictures)
    rows = np.concatenate([generator.permutation(pictures) for _ in range(passes)])[: steps * batch]
    seeds = generator.integers(2**62, size=len(rows))
    shown = [Draw(int(row), int(drawn)) for row, drawn in zip(rows, seeds, strict=True)]
    return [shown[start : start + batch] for start in range(0, len(shown), batch)]


def augmented_batches(dataset: Augmented, batches: Sequence[Sequence[Draw]], workers: int) -> Iterator[Batch]:
    """The batches in order. workers: processes that prepare them, 0 for this one."""
    loader = DataLoader(
        dataset,
        batch_sampler=batches,  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=list,
        pin_memory=torch.cuda.is_available(),
        # Its own, or each loader would take a number from the generator that trainings draw from.
        generator=torch.Generator(),
    )
    yield from loader


def plain_pictures(split: DetectionSplit, side: int, batch: int) -> Iterator[list[Tensor]]:
    """All pictures of a split in order, (C, side, side) in 0..1, as they are."""
    resize = v2.Resize((side, side), antialias=True)
    for start in range(0, len(split), batch):
        images_BCSS = torch.from_numpy(np.array(split.images_NSSC[start : start + batch])).permute(0, 3, 1, 2)
        yield list(resize(images_BCSS).float() / 255)
