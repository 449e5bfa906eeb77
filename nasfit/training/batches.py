"""Batches from uint8 arrays in memory, augmented without a loop over images.

Shapes: B batch, N images, H and W pixels, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasfit.tasks import Pixels, Split
from nasfit.training.recipe import Recipe
from nasfit.training.streaming import bringer, streamed

Indices = npt.NDArray[np.int64]


def order(number: int, wanted: int, random: np.random.Generator) -> Indices:
    """`wanted` image indices out of `number`: whole shuffled passes, so that fresh images come before repeats."""
    passes = -(-wanted // number)
    return np.concatenate([random.permutation(number) for _ in range(passes)])[:wanted]


def training_batches(split: Split, recipe: Recipe, random: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented images (B, C, H, W) uint8 in channels-last memory, and labels (B,); `recipe.steps` of them."""
    batch = min(recipe.batch, len(split.labels_N))
    orders = order(len(split.labels_N), recipe.steps * batch, random).reshape(recipe.steps, batch)
    bring = bringer(split.images_NHWC)
    if bring is not None:
        for images_BHWC, indices_B in streamed(bring, orders, recipe, random):
            yield as_images(images_BHWC), torch.from_numpy(np.asarray(split.labels_N)[indices_B])
        return
    for indices_B in orders:
        images_BHWC = _moved(split.images_NHWC, indices_B, recipe, random)
        yield as_images(images_BHWC), torch.from_numpy(np.asarray(split.labels_N)[indices_B])


def plain_batches(split: Split, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The images of a split in order, unchanged; shapes as in `training_batches`."""
    for start in range(0, len(split.labels_N), batch):
        chosen = slice(start, start + batch)
        yield as_images(np.array(split.images_NHWC[chosen])), torch.from_numpy(np.array(split.labels_N[chosen]))


def as_images(images_BHWC: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 images (B, C, H, W) that share memory with the array, hence channels-last."""
    return torch.from_numpy(images_BHWC).permute(0, 3, 1, 2)


def normalised(images_BCHW: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """float32 images: (pixel / 255 - mean) / std a channel."""
    shape = (1, -1, 1, 1)
    scale = torch.tensor([1 / (255 * value) for value in std], device=images_BCHW.device).reshape(shape)
    offset = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=images_BCHW.device).reshape(shape)
    return images_BCHW.float().mul_(scale).sub_(offset).contiguous(memory_format=torch.channels_last)


def _moved(
    images_NHWC: Pixels, indices_B: Indices, recipe: Recipe, random: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """The chosen images shifted (edge pixels repeat) and flipped, gathered in one indexing operation."""
    _, height, width, _ = images_NHWC.shape
    rows_BH = _positions(height, len(indices_B), recipe.shift, random)
    columns_BW = _positions(width, len(indices_B), recipe.shift, random)
    if recipe.flip:
        flipped_B = random.random(len(indices_B)) < 0.5
        columns_BW[flipped_B] = columns_BW[flipped_B, ::-1]
    return np.asarray(images_NHWC[indices_B[:, None, None], rows_BH[:, :, None], columns_BW[:, None, :]])


def _positions(side: int, number: int, shift: float, random: np.random.Generator) -> Indices:
    reach = round(side * shift)
    moves_B = random.integers(-reach, reach + 1, size=number)
    positions: Indices = np.clip(np.arange(side) + moves_B[:, None], 0, side - 1)
    return positions
