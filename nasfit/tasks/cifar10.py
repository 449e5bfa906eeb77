"""CIFAR-10 from the two layouts its authors publish: `cifar-10-batches-bin` and `cifar-10-batches-py`.

The binary layout is preferred: each record is one label byte and 3,072 pixel bytes, channel by channel. The python
layout (torchvision's) is a set of pickles, and a pickle may call anything. Here its names are all replaced: an
unpickler resolves the three numpy names a batch uses to one inert class that only keeps its arguments, and refuses
every other name. No numpy code and no code of the file's choosing runs; the pixels are taken from the kept bytes and
checked for size.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasfit.errors import DataError
from nasfit.tasks.dataset import Split
from nasfit.tasks.pixels import Images
from nasfit.tasks.sources import ArraySource

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
_PIXELS = 3 * 32 * 32
# A batch file to (pictures as (N, 3072), labels).
_Reader = Callable[[Path], tuple[Images, NDArray[Any]]]
_INERT = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


def cifar10_source(folder: Path) -> ArraySource | None:
    """CIFAR-10 in `folder` or directly below it, None if it is not there; DataError if batches are missing."""
    for kind, suffix, reader in (("bin", ".bin", _read_binary), ("py", "", _read_python)):
        name = f"cifar-10-batches-{kind}"
        place = folder if folder.name == name else folder / name
        if not place.is_dir():
            continue
        files = tuple(place / f"{batch}{suffix}" for batch in _BATCHES)
        missing = [path.name for path in files if not path.is_file()]
        if missing:
            raise DataError(f"{place} lacks {', '.join(missing)}; fetch the data set anew")
        return ArraySource("cifar-10", CLASSES, files, partial(_read_batches, files, reader), 50_000)
    return None


def _read_batches(files: tuple[Path, ...], reader: _Reader) -> tuple[Split, Split]:
    batches = []
    for path in files:
        try:
            rows, labels = reader(path)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
        if not len(labels) or labels.min() < 0 or labels.max() > 9:
            raise DataError(f"{path} has no pictures or labels outside 0..9; fetch it anew")
        images = np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        batches.append((images, labels.astype(np.int64)))
    train = Split(np.concatenate([images for images, _ in batches[:-1]]), np.concatenate([b for _, b in batches[:-1]]))
    return train, Split(*batches[-1])


def _read_binary(path: Path) -> tuple[Images, Images]:
    values = np.frombuffer(path.read_bytes(), np.uint8)
    if values.size % (1 + _PIXELS):
        raise DataError(f"{path} is cut short: {values.size} bytes are no multiple of {1 + _PIXELS}; fetch it anew")
    records = values.reshape(-1, 1 + _PIXELS)
    return records[:, 1:], records[:, 0]


def _read_python(path: Path) -> tuple[Images, NDArray[Any]]:
    try:
        with path.open("rb") as file:
            batch = _InertUnpickler(file, encoding="bytes").load()
        pixels = batch[b"data"].state[4]
        labels = batch[b"labels"]
        values = np.frombuffer(pixels, np.uint8).reshape(-1, _PIXELS)
        labels_N = np.array([int(label) for label in labels])
    except OSError:
        raise
    # Damaged pickles raise nearly anything.
    except Exception as error:
        raise DataError(f"{path} is not a CIFAR-10 python batch: {error}; fetch it anew") from error
    if len(values) != len(labels_N):
        raise DataError(f"{path} has {len(values)} pictures but {len(labels_N)} labels; fetch it anew")
    return values, labels_N


class _Kept:
    """Stands for every numpy object in a batch: takes any arguments, keeps the state, does nothing."""

    state: Any = None

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.state = state


class _InertUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_Kept]:
        if (module, name) not in _INERT:
            raise pickle.UnpicklingError(f"refused to load {module}.{name}")
        return _Kept
