"""MNIST's idx format, plain or gzipped: the files of MNIST, Fashion-MNIST and their kin."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from nasfit.errors import DataError
from nasfit.tasks.dataset import Split
from nasfit.tasks.pixels import Images

STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def find_idx(folder: Path) -> tuple[Path, Path, Path, Path] | None:
    """The four files of an idx set in `folder`, or None if none is there; DataError if only some are."""
    found = [_existing(folder, stem) for stem in STEMS]
    if not any(found):
        return None
    missing = [stem for stem, path in zip(STEMS, found, strict=True) if path is None]
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing)} (plain or .gz); fetch the data set anew")
    first, second, third, fourth = (path for path in found if path is not None)
    return first, second, third, fourth


def read_idx_set(files: tuple[Path, Path, Path, Path]) -> tuple[Split, Split]:
    """(train, test) from the four files of `find_idx`, pictures as (N, H, H, 1). Raises DataError on damage."""
    splits = []
    for images_path, labels_path in (files[:2], files[2:]):
        images = read_idx(images_path, dimensions=3)
        labels = read_idx(labels_path, dimensions=1)
        splits.append(Split(images[..., np.newaxis], labels.astype(np.int64)))
    return splits[0], splits[1]


def read_idx(path: Path, dimensions: int) -> Images:
    """One uint8 idx file as an array of that many dimensions. Raises DataError if it is not exactly that.

    Format: bytes 0, 0, type (8: unsigned byte), number of dimensions; big-endian 32-bit sizes; the values.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}; fetch it anew") from error
    start = 4 + 4 * dimensions
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) < start:
        raise DataError(f"{path} is not an idx file of unsigned bytes in {dimensions} dimensions; fetch it anew")
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    if len(content) - start != math.prod(shape):
        raise DataError(f"{path} should hold {math.prod(shape)} values, got {len(content) - start}; fetch it anew")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _existing(folder: Path, stem: str) -> Path | None:
    candidates = (folder / stem, folder / f"{stem}.gz")
    return next((path for path in candidates if path.is_file()), None)
