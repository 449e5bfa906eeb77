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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nasfit.errors import DataError, NasfitError
from nasfit.tasks.dataset import ClassificationData, Split, fingerprint_of
from nasfit.tasks.pixels import Labels, Pixels
from nasfit.tasks.streamed import CHECKED_PX, open_places

FORMAT = 1
_PARTS = ("train", "validation", "test")
_FIELDS = {"format", "name", "classes", "notes", "mean", "std", "fingerprint"}
_ROWS = 256
# Of an image file's header, which numpy pads to a multiple of 64.
HEADER_BYTES = 128
# What an unfinished build keeps to go on; see `building`.
PROGRESS = "progress.json"


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
        train, validation, test = open_splits(directory, facts.get("streamed_px"))
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
    checked_px = CHECKED_PX if "streamed_px" in facts else None
    if verify and fingerprint_of(data.classes, open_splits(directory, checked_px)) != data.fingerprint:
        raise DataError(
            f"saved data in {directory} changed since it was written; remove the directory to build it anew"
        )
    return data


def is_saved(directory: Path) -> bool:
    """Whether `directory` holds complete saved data (the JSON file is written last, before the rename)."""
    return (directory / "data.json").is_file()


def write_split(directory: Path, part: str, split: Split, rows: np.ndarray[Any, Any], channels: int) -> None:
    """Write the given rows of `split` as the split `part`, with the first `channels` channels of its pictures."""
    _write_images(directory / f"{part}_images.npy", split.images_NHWC, rows, channels)
    write_labels(directory, part, np.asarray(split.labels_N)[rows])


def write_labels(directory: Path, part: str, labels_N: Labels) -> None:
    """Write the labels of the split `part`."""
    with (directory / f"{part}_labels.npy").open("wb") as file:
        np.save(file, labels_N, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def finish_images(directory: Path, part: str, shape: tuple[int, ...]) -> None:
    """Give pixels that were written row by row, from byte `HEADER_BYTES` on, their header and their final length."""
    with (directory / f"{part}_images.npy").open("r+b") as file:
        _write_header(file, shape)
        file.truncate(HEADER_BYTES + int(np.prod(shape)))
        os.fsync(file.fileno())


def greyed(directory: Path, part: str) -> None:
    """Keep the first channel of a split's pictures only."""
    path, draft = directory / f"{part}_images.npy", directory / f"{part}_images.draft"
    images_NHWC = np.load(path, mmap_mode="r", allow_pickle=False)
    _write_images(draft, images_NHWC, np.arange(len(images_NHWC)), 1)
    draft.rename(path)


def drop_pixels(directory: Path) -> None:
    """Remove all pixels from a directory under construction; from here on it cannot be gone on with."""
    (directory / PROGRESS).unlink(missing_ok=True)
    for part in _PARTS:
        (directory / f"{part}_images.npy").unlink()


def _write_images(path: Path, images_NHWC: Pixels, rows: np.ndarray[Any, Any], channels: int) -> None:
    with path.open("wb") as file:
        # Plain writes rather than a writable memory map: a full disk is then an error, not a SIGBUS.
        _write_header(file, (len(rows), *images_NHWC.shape[1:3], channels))
        for start in range(0, len(rows), _ROWS):
            pixels = images_NHWC[rows[start : start + _ROWS], :, :, :channels]
            file.write(np.ascontiguousarray(pixels).tobytes())
        file.flush()
        os.fsync(file.fileno())


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    assert file.tell() == HEADER_BYTES, "four dimensions of any size fit"


def write_facts(directory: Path, data: ClassificationData, streamed_px: int | None = None) -> None:
    """Write everything but pixels and labels as data.json; `streamed_px`: pictures are brought at that resolution."""
    facts: dict[str, Any] = {"format": FORMAT, "name": data.name, "classes": data.classes, "notes": data.notes}
    facts |= {"mean": data.mean, "std": data.std, "fingerprint": data.fingerprint}
    facts |= {} if streamed_px is None else {"streamed_px": streamed_px}
    with (directory / "data.json").open("w", encoding="utf-8") as file:
        json.dump(facts, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def open_splits(directory: Path, streamed_px: int | None = None) -> tuple[Split, Split, Split]:
    """The three splits written so far in a directory under construction; `streamed_px`: brought at that resolution."""
    train, validation, test = (_open_split(directory, part, streamed_px) for part in _PARTS)
    return train, validation, test


@contextmanager
def locked(directory: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of `directory` (a hidden file beside it). Raises DataError where it cannot be written.

    Waits for another holder, or else raises BlockingIOError.
    """
    path = directory.parent / f".{directory.name}.lock"
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    except OSError as error:
        raise _unwritable(directory, error) from error
    with file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


@contextmanager
def replaced(directory: Path) -> Iterator[Path]:
    """A directory to build in, renamed to `directory` on success; hold `locked`.

    It is empty, unless an earlier build of the same was stopped after it had kept its progress. A build that fails is
    removed; one that is interrupted, or finds the disk full, stays if it has kept progress. Raises DataError with the
    reason if the disk is full or refuses.
    """
    partial = _partial(directory)
    old = directory.parent / f".{directory.name}.old"
    try:
        shutil.rmtree(old, ignore_errors=True)
        if not (partial / PROGRESS).is_file():
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(exist_ok=True)
        yield partial
        if directory.exists():
            directory.rename(old)
        (partial / PROGRESS).unlink(missing_ok=True)
        partial.rename(directory)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise _unwritable(directory, error) from error
    except NasfitError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        if not (partial / PROGRESS).is_file():
            shutil.rmtree(partial, ignore_errors=True)


def drop_abandoned(directory: Path, name: str) -> None:
    """Remove what interrupted builds of other data called `name-...` beside `directory` left, unless one is at work."""
    for partial in directory.parent.glob(f".{name}-*.partial"):
        if partial != _partial(directory):
            other = directory.parent / partial.name[1 : -len(".partial")]
            with suppress(BlockingIOError), locked(other, wait=False):
                shutil.rmtree(partial, ignore_errors=True)


def _partial(directory: Path) -> Path:
    return directory.parent / f".{directory.name}.partial"


def _read_facts(directory: Path) -> dict[str, Any]:
    if not is_saved(directory):
        raise DataError(f"no saved data in {directory}; build it with nasfit.tasks.load")
    try:
        facts = json.loads((directory / "data.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{directory / 'data.json'} cannot be read: {error}; remove the directory") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or set(facts) - {"streamed_px"} != _FIELDS:
        raise DataError(f"{directory / 'data.json'} is not of format {FORMAT}; remove the directory to build it anew")
    return facts


def _open_split(directory: Path, part: str, streamed_px: int | None) -> Split:
    images: Pixels
    if streamed_px is None:
        images = np.load(directory / f"{part}_images.npy", mmap_mode="r", allow_pickle=False)
    else:
        images = open_places(directory, part, streamed_px)
    labels = np.load(directory / f"{part}_labels.npy", allow_pickle=False)
    return Split(images, labels)


def _unwritable(directory: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot write pictures to {directory}: {error.strerror or error}; "
        "free space there or give a directory that can be written"
    )
