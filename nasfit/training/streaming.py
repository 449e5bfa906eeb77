"""Batches of pictures that are decoded as they are wanted, by threads that stay a few batches ahead of the training.

Shapes: B batch, H and W pixels, C channels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import repeat

import numpy as np
import numpy.typing as npt

from nasfit.tasks import Gathered, Images, One, Pixels
from nasfit.training.recipe import Recipe
from nasfit.workers import available_cores

Indices = npt.NDArray[np.int64]
# Batches decoded and waiting, beside those that threads are at work on.
AHEAD = 2


def bringer(pixels: Pixels) -> One | None:
    """What decodes a single picture; None where pixels lie in memory or in a map."""
    return pixels.one if isinstance(pixels, Gathered) else None


def streamed(
    bring: One, orders: Indices, recipe: Recipe, random: np.random.Generator
) -> Iterator[tuple[Images, Indices]]:
    """Images (B, H, W, C) and their indices (B,), one batch a row of `orders`, the same whatever the threads do.

    Where the recipe moves pictures, they are random crops of the whole picture (see `decoding.window_of`), which moves
    them more; else their centre squares. Raises DataError for a picture that cannot be read any more.
    """
    threads = available_cores()
    waiting: deque[tuple[Future[Images], Indices]] = deque()

    def decoded(
        indices_B: Indices, draws_B4: npt.NDArray[np.float64] | None, is_flipped_B: npt.NDArray[np.bool_]
    ) -> Images:
        draws = repeat(None) if draws_B4 is None else draws_B4
        images_BHWC = np.stack([bring(int(row), drawn, None) for row, drawn in zip(indices_B, draws, strict=False)])
        images_BHWC[is_flipped_B] = images_BHWC[is_flipped_B, :, ::-1]
        return images_BHWC

    with ThreadPoolExecutor(threads) as pool:
        try:
            for indices_B in orders:
                draws_B4 = random.random((len(indices_B), 4)) if recipe.shift else None
                is_flipped_B = random.random(len(indices_B)) < (0.5 if recipe.flip else 0.0)
                waiting.append((pool.submit(decoded, indices_B, draws_B4, is_flipped_B), indices_B))
                if len(waiting) > threads + AHEAD:
                    future, brought_B = waiting.popleft()
                    yield future.result(), brought_B
            while waiting:
                future, brought_B = waiting.popleft()
                yield future.result(), brought_B
        finally:
            pool.shutdown(cancel_futures=True)
