"""Classification data as the rest of nasfit sees it: three splits of equal square uint8 pictures.

Shapes: N pictures, H = W = resolution, C channels (1 grey, 3 RGB).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasfit.errors import DataError
from nasfit.tasks.pixels import Labels, Pixels, chained

# Rows read at a time where a whole split is passed over: bounds memory at 512 px to 50 MB.
_ROWS = 64
# More than these change no mean that matters, and take minutes to pass over.
_MEASURED = 100_000
# A split smaller than this, in bytes, may be copied by every worker.
_COPIED = 1 << 29


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures and their labels, in an order that is already shuffled: every prefix is a fair sample.

    `images_NHWC` is uint8 and may be a read-only memmap, or bring pictures as they are indexed; `labels_N` is int64,
    indices into the data's `classes`.
    """

    images_NHWC: Pixels
    labels_N: Labels

    def __post_init__(self) -> None:
        images, labels = self.images_NHWC, self.labels_N
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2]:
            raise DataError(f"pictures must be a uint8 array (N, H, H, C), got {images.dtype} {images.shape}")
        if images.shape[3] not in (1, 3):
            raise DataError(f"pictures must have 1 or 3 channels, got {images.shape[3]}")
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            raise DataError(
                f"labels must be an int64 array of {images.shape[0]} values, one a picture, "
                f"got {labels.dtype} {labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.labels_N)


@dataclass(frozen=True, eq=False)
class ClassificationData:
    """A named set of pictures in train, validation and test splits; build it with `load` or `from_arrays`.

    The validation split gives the reward of a search; the test split is for the final figure only.
    `mean` and `std` are per channel over the train split (its first 100,000 pictures, a fair sample), in units of 0..1
    (a pixel divided by 255); `std` is never
    below 1/255. `fingerprint` is a hash of classes, labels and decoded pixels: equal fingerprints mean
    equal data (another version of Pillow may decode a JPEG to other pixels).
    `notes` are sentences for the user: what was skipped, carved or replaced. `directory` is where `open_saved` finds
    the data, None for data that lives in memory only. Pickling data that has a directory passes the path alone, so
    that worker processes share the memory map.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    notes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    directory: Path | None = None

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise DataError(f"classification needs at least two classes, {self.name!r} has {len(self.classes)}")
        shapes = {split.images_NHWC.shape[1:] for split in self.splits().values()}
        if len(shapes) != 1:
            raise DataError(f"the splits of {self.name!r} differ in picture shape: {sorted(shapes)}")
        for part, split in self.splits().items():
            if not len(split):
                raise DataError(f"the {part} split of {self.name!r} is empty; give it at least one picture")
            if split.labels_N.min() < 0 or split.labels_N.max() >= len(self.classes):
                raise DataError(f"the {part} split of {self.name!r} has labels outside 0..{len(self.classes) - 1}")

    def __reduce__(self) -> str | tuple[Any, ...]:
        if self.directory is None:
            return super().__reduce__()
        from nasfit.tasks.saved import open_saved

        return open_saved, (self.directory,)

    @property
    def resolution(self) -> int:
        """Height and width of every picture, in pixels."""
        return int(self.train.images_NHWC.shape[1])

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return int(self.train.images_NHWC.shape[3])

    def splits(self) -> dict[str, Split]:
        """The three splits by name, in the order train, validation, test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def from_arrays(
    name: str, classes: tuple[str, ...], train: Split, validation: Split, test: Split, notes: tuple[str, ...] = ()
) -> ClassificationData:
    """Data from arrays in memory; measures mean, std and fingerprint. Raises DataError where shapes or labels clash."""
    mean, std = channel_statistics(train.images_NHWC)
    fingerprint = fingerprint_of(classes, (train, validation, test))
    return ClassificationData(name, classes, train, validation, test, notes, mean, std, fingerprint)


def joined(first: Split, second: Split) -> Split:
    """The pictures of both: copied into one array where they are few, else brought from where they are."""
    images: Pixels
    if all(isinstance(split.images_NHWC, np.ndarray) and _bytes(split) < _COPIED for split in (first, second)):
        images = np.concatenate([first.images_NHWC[:], second.images_NHWC[:]])
    else:
        images = chained(first.images_NHWC, second.images_NHWC)
    return Split(images, np.concatenate([np.asarray(first.labels_N), np.asarray(second.labels_N)]))


def _bytes(split: Split) -> int:
    return int(np.prod(split.images_NHWC.shape))


def channel_statistics(images_NHWC: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, in units of 0..1; std is at least 1/255 so it can be divided by.

    Of the first 100,000 pictures; a split is shuffled.
    """
    channels = images_NHWC.shape[3]
    total, squares, count = np.zeros(channels), np.zeros(channels), 0
    for rows in _slices(min(len(images_NHWC), _MEASURED)):
        pixels = images_NHWC[rows].reshape(-1, channels).astype(np.float64)
        total += pixels.sum(axis=0)
        squares += (pixels * pixels).sum(axis=0)
        count += len(pixels)
    mean = total / max(count, 1)
    variance = np.maximum(squares / max(count, 1) - mean * mean, 0.0)
    std = np.maximum(np.sqrt(variance), 1.0)
    return tuple(float(value / 255) for value in mean), tuple(float(value / 255) for value in std)


def fingerprint_of(classes: tuple[str, ...], splits: tuple[Split, ...]) -> str:
    """32 hexadecimal digits (BLAKE2b) over the class names and the labels and pixels of the splits, in order."""
    digest = hashlib.blake2b(digest_size=16)
    shapes = [list(split.images_NHWC.shape) for split in splits]
    digest.update(json.dumps([list(classes), shapes]).encode())
    for split in splits:
        digest.update(split.labels_N.astype("<i8").tobytes())
        for rows in _slices(len(split)):
            digest.update(split.images_NHWC[rows].tobytes())
    return digest.hexdigest()


def _slices(count: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS) for start in range(0, count, _ROWS))
