"""A folder of pictures as a source: decode every file once, name what is unreadable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasfit.errors import DataError
from nasfit.tasks.dataset import Labels, Split
from nasfit.tasks.decoding import decode_all, quiet_pillow, shorter_side
from nasfit.tasks.listing import Listing, Picture, check_counts, list_folder, shown
from nasfit.tasks.sources import Parts, Progress, digest
from nasfit.tasks.splitting import SHARE

# Pictures up to this size are kept at their own; larger ones are brought to it unless the caller says otherwise.
LARGEST_OWN = 64
SMALLEST = 24
_NAMED = 3

Skipped = tuple[str, str]


@dataclass(frozen=True)
class FolderSource:
    """A listed folder; make it with `folder_source`."""

    root: Path
    listing: Listing

    @property
    def name(self) -> str:
        """The folder's own name."""
        return shown(self.root.absolute().name)

    def identity(self) -> str:
        """Hash of the relative names, sizes and times of the pictures, and of the names of what is skipped."""
        items = [name for name, _ in self.listing.skipped]
        for part, pictures in self.listing.parts.items():
            items += [part, *(f"{picture.name}\0{picture.stamp}" for picture in pictures)]
        return digest(items)

    def validation_share(self) -> float:
        """15 % of train."""
        return SHARE

    def read(self, resolution: int | None, seed: int, scratch: Path, progress: Progress | None) -> Parts:
        """Decode all pictures; DataError if none, or too few of a class, can be read."""
        listed = self.listing.parts
        size = (
            own_resolution(picture for part in listed.values() for picture in part)
            if resolution is None
            else resolution
        )
        count = _Count(sum(map(len, listed.values())), progress)
        generator = np.random.default_rng(seed)
        decoded = {
            part: _decode_part(_shuffled(pictures, generator), size, scratch / f"{part}.raw", count)
            for part, pictures in listed.items()
        }
        skipped = [*self.listing.skipped, *(skip for result in decoded.values() for skip in result.skipped)]
        summary = _summary(skipped, count.total + len(self.listing.skipped))
        splits = {part: result.split for part, result in decoded.items() if len(result.split)}
        if not splits:
            raise DataError(
                f"no readable pictures in {shown(str(self.root))}: {summary}; give JPEG, PNG, WebP or BMP files"
            )
        labels = decoded["train"].split.labels_N
        _check(self.root, self.listing, labels, splits, f"readable pictures ({summary})" if skipped else "pictures")
        notes = [*self.listing.notes, *([summary] if skipped else [])]
        lost = [part for part in listed if part not in splits]
        notes += [f"no readable picture in the {part} part; carved from train instead" for part in lost]
        channels = 1 if all(result.is_grey for result in decoded.values()) else 3
        return Parts(tuple(map(shown, self.listing.classes)), splits, channels, tuple(notes))


def folder_source(root: Path) -> FolderSource:
    """List `root` and check that it can be split. Raises DataError at once, before anything is decoded."""
    listing = list_folder(root)
    labels = np.array([picture.label for picture in listing.parts["train"]], np.int64)
    _check(root, listing, labels, listing.parts, "pictures")
    return FolderSource(root, listing)


def own_resolution(pictures: Iterable[Picture]) -> int:
    """The largest shorter side, 24 to 64 px, of pictures that are all small; 64 px where one is larger."""
    largest = SMALLEST
    with quiet_pillow():
        for picture in pictures:
            largest = max(largest, shorter_side(picture.path) or 0)
            if largest >= LARGEST_OWN:
                return LARGEST_OWN
    return largest


@dataclass
class _Count:
    """Pictures done, told to the caller now and then."""

    total: int
    progress: Progress | None
    done: int = 0

    def step(self) -> None:
        self.done += 1
        if self.progress is not None and (self.done % 100 == 0 or self.done == self.total):
            self.progress(self.done, self.total)


@dataclass(frozen=True)
class _Decoded:
    split: Split
    skipped: list[Skipped]
    is_grey: bool


def _decode_part(pictures: Sequence[Picture], size: int, scratch: Path, count: _Count) -> _Decoded:
    """Decode to a file of readable pictures only; three channels, since greyness is known at the end."""
    labels, skipped, is_grey = [], [], True
    with scratch.open("wb") as file:
        for picture, result in zip(pictures, decode_all([p.path for p in pictures], size), strict=True):
            count.step()
            if isinstance(result, str):
                skipped.append((picture.name, result))
                continue
            labels.append(picture.label)
            file.write(result.tobytes())
            is_grey = is_grey and bool((result == result[:, :, :1]).all())
    shape = (len(labels), size, size, 3)
    images = np.memmap(scratch, np.uint8, "r", shape=shape) if labels else np.zeros(shape, np.uint8)
    return _Decoded(Split(images, np.array(labels, np.int64)), skipped, is_grey)


def _check(root: Path, listing: Listing, labels_N: Labels, present: Iterable[str], what: str) -> None:
    carved = len({"validation", "test"} - set(present))
    check_counts(root, listing.classes, labels_N.tolist(), 1 + carved, what)


def _summary(skipped: Sequence[Skipped], total: int) -> str:
    named = ", ".join(f"{shown(name)} ({reason})" for name, reason in skipped[:_NAMED])
    more = f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
    return f"skipped {len(skipped)} of {total} files: {named}{more}"


def _shuffled(pictures: Sequence[Picture], generator: np.random.Generator) -> list[Picture]:
    return [pictures[index] for index in generator.permutation(len(pictures))]
