"""Batches of a full training: pictures brought and changed by threads that stay ahead of it.

Every batch follows from seed, epoch and place alone, so that a training can go on anywhere, on any number of threads.
Shapes: B batch, N pictures, S side in px, C channels, D draws a picture.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nasfit.tasks import Images, Split, bringing
from nasfit.training.augmentation import DRAWS, require_known, shown_picture
from nasfit.training.batches import as_images
from nasfit.training.full_recipe import FullRecipe
from nasfit.training.ranks import ALONE, Ranks
from nasfit.workers import available_cores

# Batches brought and waiting, beside those that threads are at work on.
AHEAD = 2


@dataclass(frozen=True)
class PictureBatch:
    """images_BCSS: uint8, channels-last. labels_B: int64.

    others_B: labels of the pictures mixed in, which are those of the batch in reverse order; share: of the picture
    itself in the mixture, 0.5 to 1; 1 where nothing is mixed.
    """

    images_BCSS: Tensor
    labels_B: Tensor
    others_B: Tensor
    share: float = 1.0


@dataclass(frozen=True)
class Shares:
    """How pictures are dealt out. batch: of one process at once. steps: of an epoch. accumulate: batches a step."""

    batch: int
    steps: int
    accumulate: int = 1
    seed: int = 0
    ranks: Ranks = ALONE

    def rows(self, epoch: int, pictures: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """This process's rows of an epoch, (batches, B): a shuffle of all pictures, dealt out in turn."""
        order_N = np.random.default_rng([self.seed, epoch]).permutation(pictures)
        used = self.steps * self.accumulate * self.ranks.world * self.batch
        # A step may need more pictures than there are.
        order = np.resize(order_N, used).reshape(-1, self.ranks.world, self.batch)
        return np.ascontiguousarray(order[:, self.ranks.rank])


def picture_batches(
    split: Split, recipe: FullRecipe, side: int, shares: Shares, epoch: int, first: int
) -> Iterator[PictureBatch]:
    """The batches of an epoch from step `first` on, `side` px. Raises DataError for a picture that is gone."""
    require_known(recipe.crop, recipe.augment)
    rows_KB = shares.rows(epoch, len(split))
    labels_N = np.asarray(split.labels_N)
    one = bringing(split.images_NHWC)
    threads = max(1, available_cores() // shares.ranks.world)

    def brought(place: int) -> PictureBatch:
        random = np.random.default_rng([shares.seed, epoch, place, shares.ranks.rank])
        draws_BD = random.random((shares.batch, DRAWS))
        images_BSSC: Images = np.stack(
            [
                shown_picture(one, int(row), side, draws, crop=recipe.crop, flip=recipe.flip, augment=recipe.augment)
                for row, draws in zip(rows_KB[place], draws_BD, strict=True)
            ]
        )
        labels_B = torch.from_numpy(labels_N[rows_KB[place]])
        mixed = float(random.beta(recipe.mixup, recipe.mixup)) if recipe.mixup else 1.0
        return PictureBatch(as_images(images_BSSC), labels_B, labels_B.flip(0), max(mixed, 1 - mixed))

    waiting: deque[Future[PictureBatch]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for place in range(first * shares.accumulate, len(rows_KB)):
                waiting.append(pool.submit(brought, place))
                if len(waiting) > threads + AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
