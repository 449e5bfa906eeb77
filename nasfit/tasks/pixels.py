"""Pictures that are indexed like an array (N, H, H, C) of uint8 without being one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Rows = NDArray[np.int64]
# Where a random crop lies, as four numbers in 0..1; see `decoding.window_of`.
Draws = NDArray[np.float64]
# (row, where a random crop lies or None for the centre square, side in px or None for the split's own) -> picture.
One = Callable[[int, "Draws | None", "int | None"], Images]


class Pixels(Protocol):
    """What a split's pictures are: an array, a memory map of one, or `Gathered`.

    Indexed by a slice, by rows, or by (rows, pixel rows, pixel columns) that broadcast together.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, H, C)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8."""

    @property
    def ndim(self) -> int:
        """4."""

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class Gathered:
    """Pictures that a function brings. `gather` gives those of some rows, (B, H, H, C).

    `one` gives one picture, its centre square (None) or a random crop of it, at a side in px (None: H), to a caller
    that has threads of its own; it is None where pictures are in memory or mapped, and indexing costs nothing.
    """

    shape: tuple[int, ...]
    gather: Callable[[Rows], Images]
    one: One | None = None
    dtype: ClassVar[np.dtype[np.uint8]] = np.dtype(np.uint8)
    ndim: ClassVar[int] = 4

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any, /) -> Images:
        rows, *within = chosen if isinstance(chosen, tuple) else (chosen,)
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        rows = np.asarray(rows)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        images_BHWC = self.gather(rows.ravel().astype(np.int64))
        if not within:
            return images_BHWC.reshape(*rows.shape, *self.shape[1:])
        return np.asarray(images_BHWC[(np.arange(rows.size).reshape(rows.shape), *within)])


def chained(first: Pixels, second: Pixels) -> Gathered:
    """The pictures of one and then of the other, neither copied."""
    split = len(first)

    def gather(rows_B: Rows) -> Images:
        images_BHWC = np.empty((len(rows_B), *first.shape[1:]), np.uint8)
        is_first = rows_B < split
        images_BHWC[is_first] = first[rows_B[is_first]]
        images_BHWC[~is_first] = second[rows_B[~is_first] - split]
        return images_BHWC

    def one(row: int, draws: Draws | None, side: int | None) -> Images:
        return first_one(row, draws, side) if row < split else second_one(row - split, draws, side)

    first_one, second_one = bringing(first), bringing(second)
    is_streamed = any(isinstance(part, Gathered) and part.one is not None for part in (first, second))
    return Gathered((split + len(second), *first.shape[1:]), gather, one if is_streamed else None)


def bringing(pixels: Pixels) -> One:
    """What brings one picture of any kind of pixels, cropped and resized; callable from any thread."""
    if isinstance(pixels, Gathered) and pixels.one is not None:
        return pixels.one
    # Imported late: Pillow is not needed to index arrays.
    from nasfit.tasks.decoding import cut

    def one(row: int, draws: Draws | None, side: int | None) -> Images:
        return cut(np.asarray(pixels[row]), pixels.shape[1] if side is None else side, draws)

    return one


def centred(pixels: Pixels, side: int) -> Pixels:
    """The centre of every picture, `side` px of at least as many; nothing is copied until it is indexed."""
    first = (pixels.shape[1] - side) // 2
    rows = slice(first, first + side)
    if not isinstance(pixels, Gathered):
        return pixels[:, rows, rows]  # type: ignore[no-any-return]
    whole = pixels

    def gather(rows_B: Rows) -> Images:
        return whole.gather(rows_B)[:, rows, rows]

    return Gathered((len(whole), side, side, whole.shape[3]), gather)
