"""What a source of data delivers, wherever it comes from: one Protocol, two values."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from nasfit.tasks.dataset import Split
from nasfit.tasks.decoding import fit_arrays
from nasfit.tasks.splitting import SHARE

# Called with (pictures done, pictures in all).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Parts:
    """Decoded pictures by part: "train" always, "validation" and "test" where the source has them.

    Splits are shuffled. `channels` says how many of the pictures' channels carry information (1: all are grey).
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    channels: int
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """A place pictures come from, found but not read yet."""

    @property
    def name(self) -> str:
        """What the data is called in reports."""

    def identity(self) -> str:
        """A cheap hash that changes when the source's files do."""

    def validation_share(self) -> float:
        """Share of the train part (0..1) that becomes the validation split unless the caller says otherwise."""

    def read(self, resolution: int | None, seed: int, scratch: Path, progress: Progress | None) -> Parts:
        """Read and decode everything; `scratch` is a directory for large intermediate files."""


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

    def validation_share(self) -> float:
        """5,000 of a large set (standard error 0.4 points at 90 %, below the spread between seeds), else 15 %."""
        return min(SHARE, 5_000 / self.train_size)

    def read(self, resolution: int | None, seed: int, scratch: Path, progress: Progress | None) -> Parts:
        """Read, shuffle and, if asked, resize."""
        generator = np.random.default_rng(seed)
        splits = {}
        for part, split in zip(("train", "test"), self.reader(), strict=True):
            order = generator.permutation(len(split))
            images = split.images_NHWC[order]
            splits[part] = Split(
                images if resolution is None else fit_arrays(images, resolution), split.labels_N[order]
            )
        count = sum(len(split) for split in splits.values())
        if progress is not None:
            progress(count, count)
        return Parts(self.classes, splits, splits["train"].images_NHWC.shape[3], self.notes)


def digest(items: Sequence[str]) -> str:
    """32 hexadecimal digits over a sequence of texts; file names that are no text are taken byte by byte."""
    hashed = hashlib.blake2b(digest_size=16)
    for item in items:
        encoded = os.fsencode(item)
        hashed.update(len(encoded).to_bytes(8, "little") + encoded)
    return hashed.hexdigest()
