"""Pictures decoded when they are wanted: a split is kept as a table of where each lies, not as pixels.

For sets that are too large to keep decoded at the size of training: ImageNet at 224 px takes 200 GB, its files 150.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from nasfit.errors import DataError
from nasfit.tasks.decoding import available_cores, decode, quiet_pillow
from nasfit.tasks.pictures import Picture, read_span, shown
from nasfit.tasks.pixels import Draws, Gathered, Images, Rows

# What a set is checked and measured at once, before its first training: every picture is read to its end.
CHECKED_PX = 32


def places_file(directory: Path, part: str) -> Path:
    """The table of a split in the directory of saved data."""
    return directory / f"{part}_places.npy"


def write_places(directory: Path, part: str, pictures: Sequence[Picture]) -> None:
    """Write where the pictures of a split lie, in order."""
    paths = [os.fsencode(Path(picture.path).absolute()) for picture in pictures]
    kinds = [("path", f"S{max(map(len, paths), default=1)}"), ("start", np.int64), ("size", np.int64)]
    rows = [(path, picture.start, picture.size) for path, picture in zip(paths, pictures, strict=True)]
    with places_file(directory, part).open("wb") as file:
        np.save(file, np.array(rows, dtype=kinds), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def open_places(directory: Path, part: str, resolution: int) -> Gathered:
    """The pictures of a split, RGB at `resolution` px. Raises OSError, ValueError where the table cannot be read.

    Bringing a picture raises DataError where its file is gone or changed.
    """
    places = np.load(places_file(directory, part), mmap_mode="r", allow_pickle=False)

    def one(row: int, draws: Draws | None, side: int | None) -> Images:
        path, start, size = places[row].item()
        picture = Picture(os.fsdecode(path), "", 0, start, size)
        try:
            image = decode(io.BytesIO(read_span(picture)), side or resolution, draws)
        except OSError as error:
            image = error.strerror or str(error)
        if isinstance(image, str):
            raise DataError(
                f"{shown(picture.path)} could be read when the study began and cannot now ({image}); put it back"
            )
        return image

    def gather(rows_B: Rows) -> Images:
        images_BHWC = np.empty((len(rows_B), resolution, resolution, 3), np.uint8)

        def bring(place: int) -> None:
            images_BHWC[place] = one(int(rows_B[place]), None, None)

        with quiet_pillow(), ThreadPoolExecutor(available_cores()) as pool:
            list(pool.map(bring, range(len(rows_B))))
        return images_BHWC

    return Gathered((len(places), resolution, resolution, 3), gather, one)
