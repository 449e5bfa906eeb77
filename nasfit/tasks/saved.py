"""Data on disk: plain .npy files and one JSON file in a directory that is either complete or absent.

A build goes to a hidden neighbour directory and is renamed when all of it is on disk. The build holds a file lock, so
that of two processes wanting the same data one builds and the other waits; whatever a killed build left behind is
removed by the next one, which is safe because the lock dies with its holder.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nasfit.errors import DataError
from nasfit.tasks.dataset import ClassificationData, Split, fingerprint_of

FORMAT = 1
_PARTS = ("train", "validation", "test")
_FIELDS = {"format", "name", "classes", "notes", "mean", "std", "fingerprint"}
_ROWS = 256


def save(data: ClassificationData, directory: Path) -> ClassificationData:
    """Write `data` to `directory`, replacing what is there, and return it opened from there.

    After a crash at any moment the directory holds the new data, the old data or (for the instant between two renames)
    nothing; never a part. Raises DataError if it cannot be written.
    """
    with locked(directory), replaced(directory) as partial:
        for part, split in data.splits().items():
            write_split(partial, part, split, np.arange(len(split)), data.channels)
        write_facts(partial, data)
    return open_saved(directory)


def open_saved(directory: Path, *, verify: bool = False) -> ClassificationData:
    """Data written by `save` or `load`, as read-only memory maps; costs milliseconds whatever its size.

    `verify` reads all pixels and compares the fingerprint. Raises DataError if the directory is absent, incomplete,
    of another format, or (with `verify`) changed.
    """
    directory = Path(directory)
    facts = _read_facts(directory)
    try:
        train, validation, test = open_splits(directory)
    except (OSError, ValueError) as error:
        raise DataError(
            f"saved data in {directory} is damaged: {error}; remove the directory to build it anew"
        ) from error
    data = ClassificationData(
        facts["name"],
        tuple(facts["classes"]),
        train,
        validation,
        test,
        notes=tuple(facts["notes"]),
        mean=tuple(facts["mean"]),
        std=tuple(facts["std"]),
        fingerprint=facts["fingerprint"],
        directory=directory.absolute(),
    )
    if verify and fingerprint_of(data.classes, (train, validation, test)) != data.fingerprint:
        raise DataError(
            f"saved data in {directory} changed since it was written; remove the directory to build it anew"
        )
    return data


def is_saved(directory: Path) -> bool:
    """Whether `directory` holds complete saved data (the JSON file is written last, before the rename)."""
    return (directory / "data.json").is_file()


def write_split(directory: Path, part: str, split: Split, rows: np.ndarray[Any, Any], channels: int) -> None:
    """Write the given rows of `split` as the split `part`, with the first `channels` channels of its pictures."""
    shape = (len(rows), *split.images_NHWC.shape[1:3], channels)
    with (directory / f"{part}_images.npy").open("wb") as file:
        # Plain writes rather than a writable memory map: a full disk is then an error, not a SIGBUS.
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(rows), _ROWS):
            pixels = split.images_NHWC[rows[start : start + _ROWS], :, :, :channels]
            file.write(np.ascontiguousarray(pixels).tobytes())
        file.flush()
        os.fsync(file.fileno())
    with (directory / f"{part}_labels.npy").open("wb") as file:
        np.save(file, np.asarray(split.labels_N)[rows], allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def write_facts(directory: Path, data: ClassificationData) -> None:
    """Write everything but pixels and labels as data.json."""
    facts = {"format": FORMAT, "name": data.name, "classes": data.classes, "notes": data.notes}
    facts |= {"mean": data.mean, "std": data.std, "fingerprint": data.fingerprint}
    with (directory / "data.json").open("w", encoding="utf-8") as file:
        json.dump(facts, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def open_splits(directory: Path) -> tuple[Split, Split, Split]:
    """The three splits written so far in a directory under construction."""
    train, validation, test = (_open_split(directory, part) for part in _PARTS)
    return train, validation, test


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of `directory` (a hidden file beside it); waits for another holder. Raises DataError."""
    path = directory.parent / f".{directory.name}.lock"
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    except OSError as error:
        raise _unwritable(directory, error) from error
    with file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def replaced(directory: Path) -> Iterator[Path]:
    """An empty directory to build in, renamed to `directory` on success and removed on failure; hold `locked`.

    Raises DataError with the reason if the disk is full or refuses.
    """
    partial = directory.parent / f".{directory.name}.partial"
    old = directory.parent / f".{directory.name}.old"
    try:
        for left in (partial, old):
            shutil.rmtree(left, ignore_errors=True)
        partial.mkdir()
        yield partial
        if directory.exists():
            directory.rename(old)
        partial.rename(directory)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise _unwritable(directory, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _read_facts(directory: Path) -> dict[str, Any]:
    if not is_saved(directory):
        raise DataError(f"no saved data in {directory}; build it with nasfit.tasks.load")
    try:
        facts = json.loads((directory / "data.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{directory / 'data.json'} cannot be read: {error}; remove the directory") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or set(facts) != _FIELDS:
        raise DataError(f"{directory / 'data.json'} is not of format {FORMAT}; remove the directory to build it anew")
    return facts


def _open_split(directory: Path, part: str) -> Split:
    images = np.load(directory / f"{part}_images.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(directory / f"{part}_labels.npy", allow_pickle=False)
    return Split(images, labels)


def _unwritable(directory: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot write pictures to {directory}: {error.strerror or error}; "
        "free space there or give a directory that can be written"
    )
