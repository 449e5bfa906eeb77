"""Data of detection: pictures squeezed to squares and decoded once, with their boxes, in three splits on disk.

Shapes: N pictures, S px of a side, C channels, M boxes; 4 are left, top, right, bottom.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from nasfit.errors import DataError
from nasfit.tasks.boxes import BoxArray, Marked
from nasfit.tasks.pixels import Images, Pixels

DETECTION_FORMAT = 1
DETECTION_PARTS = ("train", "validation", "test")
_FACTS = "detection.json"
_FIELDS = {"format", "name", "classes", "notes", "names", "fingerprint"}


@dataclass(frozen=True, eq=False)
class BoxTable:
    """All boxes of a split, those of a picture together: picture n has rows starts_N[n] to starts_N[n + 1].

    boxes_M4: shares of the picture's sides, 0 to 1. areas_M: px^2 of the original. crowd_M: neither trained on nor
    scored. sizes_N2: width and height of the originals, upright, px.
    """

    boxes_M4: BoxArray
    labels_M: NDArray[np.int64]
    areas_M: BoxArray
    crowd_M: NDArray[np.bool_]
    starts_N: NDArray[np.int64]
    sizes_N2: NDArray[np.int64]

    @classmethod
    def of(cls, marked: list[Marked], sizes: list[tuple[int, int]]) -> BoxTable:
        """The table of these pictures, whose boxes are in px."""
        sizes_N2 = np.array(sizes, np.int64).reshape(-1, 2)
        boxes = [each.boxes_M4 / [*size, *size] for each, size in zip(marked, sizes, strict=True)]
        return cls(
            np.concatenate([np.empty((0, 4)), *boxes]),
            np.concatenate([np.empty(0, np.int64), *(each.labels_M for each in marked)]),
            np.concatenate([np.empty(0), *(each.areas_M for each in marked)]),
            np.concatenate([np.empty(0, np.bool_), *(each.crowd_M for each in marked)]),
            np.cumsum([0, *(len(each.labels_M) for each in marked)]),
            sizes_N2,
        )

    def rows(self, picture: int) -> slice:
        """Where the boxes of a picture are."""
        return slice(int(self.starts_N[picture]), int(self.starts_N[picture + 1]))

    def original(self, picture: int) -> Marked:
        """The boxes of a picture in px of the original."""
        rows, size = self.rows(picture), self.sizes_N2[picture]
        boxes_M4 = self.boxes_M4[rows] * [*size, *size]
        return Marked(boxes_M4, self.labels_M[rows], self.areas_M[rows], self.crowd_M[rows])


@dataclass(frozen=True, eq=False)
class DetectionSplit:
    """Pictures (N, S, S, C) uint8, whole, upright, squeezed to squares, and their boxes."""

    images_NSSC: Pixels
    table: BoxTable

    def __len__(self) -> int:
        return len(self.table.sizes_N2)

    def picture(self, number: int) -> tuple[Images, BoxArray, NDArray[np.int64]]:
        """The picture, and boxes (M, 4; shares of its sides) and labels (M,) to be trained on: no crowds."""
        rows = self.table.rows(number)
        is_one_M = ~self.table.crowd_M[rows]
        image_SSC = np.asarray(self.images_NSSC[number])
        return image_SSC, self.table.boxes_M4[rows][is_one_M], self.table.labels_M[rows][is_one_M]


@dataclass(frozen=True, eq=False)
class DetectionData:
    """Pictures with boxes in three splits; build it with `load_detection`.

    names: of the picture files of each split, in order: which split is which was decided once, and is kept here.
    notes: sentences for the user: what was left out, cut or carved. fingerprint: equal ones, equal files and splits.
    """

    name: str
    classes: tuple[str, ...]
    train: DetectionSplit
    validation: DetectionSplit
    test: DetectionSplit
    names: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]
    fingerprint: str
    directory: Path

    @property
    def side(self) -> int:
        """Of the squares that are kept, px."""
        return int(self.train.images_NSSC.shape[1])

    def splits(self) -> dict[str, DetectionSplit]:
        """By name, in the order train, validation, test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def is_saved_detection(directory: Path) -> bool:
    """Whether a directory holds complete detection data; the file that says so is written last."""
    return (directory / _FACTS).is_file()


def write_table(directory: Path, part: str, table: BoxTable) -> None:
    """Write the boxes of a split."""
    with (directory / f"{part}_boxes.npz").open("wb") as file:
        np.savez(file, **{each.name: getattr(table, each.name) for each in fields(table)})
        file.flush()
        os.fsync(file.fileno())


def write_detection_facts(directory: Path, facts: dict[str, Any]) -> None:
    """Write what is not pixels or boxes: name, classes, notes, names, fingerprint."""
    with (directory / _FACTS).open("w", encoding="utf-8") as file:
        json.dump({"format": DETECTION_FORMAT, **facts}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def open_detection(directory: Path) -> DetectionData:
    """Data that `load_detection` wrote; pixels are mapped, not read. Raises DataError for what is none or damaged."""
    try:
        facts = json.loads((directory / _FACTS).read_text(encoding="utf-8"))
        if facts.get("format") != DETECTION_FORMAT or set(facts) != _FIELDS:
            raise ValueError(f"format {facts.get('format')!r} instead of {DETECTION_FORMAT}")
        splits = {part: _open_split(directory, part) for part in DETECTION_PARTS}
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(
            f"saved pictures in {directory} are damaged: {error}; remove the directory to build it anew"
        ) from error
    names = {part: tuple(facts["names"][part]) for part in DETECTION_PARTS}
    return DetectionData(
        facts["name"],
        tuple(facts["classes"]),
        **splits,
        names=names,
        notes=tuple(facts["notes"]),
        fingerprint=facts["fingerprint"],
        directory=directory,
    )


def _open_split(directory: Path, part: str) -> DetectionSplit:
    images = np.load(directory / f"{part}_images.npy", mmap_mode="r", allow_pickle=False)
    with np.load(directory / f"{part}_boxes.npz", allow_pickle=False) as arrays:
        table = BoxTable(**{each.name: arrays[each.name] for each in fields(BoxTable)})
    if len(images) != len(table.sizes_N2):
        raise ValueError(f"{len(images)} pictures and boxes of {len(table.sizes_N2)} in {part}")
    return DetectionSplit(images, table)
