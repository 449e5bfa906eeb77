"""What a source of data delivers, wherever it comes from: one Protocol, and the source that fits in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from nasfit.errors import UsageError
from nasfit.tasks.dataset import Split
from nasfit.tasks.decoding import fit_arrays
from nasfit.tasks.saved import write_split
from nasfit.tasks.splitting import SHARE, divided
from nasfit.tasks.stamps import digest

# Called with (pictures done, pictures in all).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Wanted:
    """What `load` is asked for; see there. None leaves the choice to the source."""

    resolution: int | None = None
    seed: int = 0
    validation: float | None = None
    pictures: int | None = None
    stream: bool = False


@dataclass(frozen=True)
class Written:
    """What is known of a data set once its splits are written; `notes` are sentences for the user.

    Where pictures are to be brought as they are wanted, the pixels written are thumbnails to check and measure them by.
    """

    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Nature:
    """What a source's pictures are like. side: the largest shorter side, px, up to a bound that was asked for.

    streams: whether single pictures can be brought as they are wanted.
    """

    side: int
    streams: bool


class Source(Protocol):
    """A place pictures come from, found but not read yet."""

    @property
    def name(self) -> str:
        """What the data is called in reports."""

    def identity(self) -> str:
        """A cheap hash that changes when the source's files do."""

    def nature(self, up_to: int) -> Nature:
        """What the pictures are like, looked at from their headers; sides above `up_to` px count as that."""

    def write(self, directory: Path, wanted: Wanted, progress: Progress | None) -> Written:
        """Decode everything once into the files of the three splits in `directory`, as `saved` lays them out."""


class SourceFactory(Protocol):
    """Finds a source; what a package's entry point in the group `nasfit.tasks` refers to."""

    def __call__(self, rest: str) -> Source:
        """rest: what the user wrote after the entry point's name and a colon; may be empty.

        Raises DataError or UsageError where there is no such data; reads no pictures yet.
        """


@dataclass(frozen=True)
class ArraySource:
    """A source that fits in memory: `reader` gives (train, test) as stored."""

    name: str
    classes: tuple[str, ...]
    files: tuple[Path, ...]
    reader: Callable[[], tuple[Split, Split]]
    train_size: int
    notes: tuple[str, ...] = ()

    def identity(self) -> str:
        """Hash of the name and of each file's name, size and time."""
        stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self.files]
        return digest([self.name, *(str(stamp) for stamp in stamps)])

    def nature(self, up_to: int) -> Nature:
        """Of pictures in memory."""
        return Nature(min(up_to, int(self.reader()[0].images_NHWC.shape[1])), streams=False)

    def validation_share(self) -> float:
        """5,000 of a large set (standard error 0.4 points at 90 %, below the spread between seeds), else 15 %."""
        return min(SHARE, 5_000 / self.train_size)

    def write(self, directory: Path, wanted: Wanted, progress: Progress | None) -> Written:
        """Read, shuffle, carve and, if asked, resize. UsageError where pictures should be brought one by one."""
        if wanted.stream:
            raise UsageError(
                f"{self.name} is read into memory whole, so there is nothing to stream; leave out --stream"
            )
        generator = np.random.default_rng(wanted.seed)
        train, test = self.reader()
        stored = {"train": train, "test": test, "validation": train}
        orders = {part: generator.permutation(len(stored[part])) for part in ("train", "test")}
        labels = {part: stored[part].labels_N for part in orders}
        share = self.validation_share() if wanted.validation is None else wanted.validation
        for part, rows in divided(orders, labels, len(self.classes), share, wanted.pictures).items():
            images, labels_N = stored[part].images_NHWC[rows], stored[part].labels_N[rows]
            if wanted.resolution is not None:
                images = fit_arrays(images, wanted.resolution)
            write_split(directory, part, Split(images, labels_N), np.arange(len(rows)), images.shape[3])
        count = len(train) + len(test)
        if progress is not None:
            progress(count, count)
        return Written(self.classes, self.notes)
