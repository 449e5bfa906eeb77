"""Pictures that are listed but not read: where each lies, of which class and which part."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from nasfit.errors import DataError
from nasfit.tasks.splitting import LARGE

PARTS = ("train", "validation", "test")
PART_OF = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
_WORDNET = re.compile(r"n\d{8}")
# What no picture has: a file of this size is refused before it fills the memory.
MOST_BYTES = 1 << 29


class Picture(NamedTuple):
    """Where a picture's bytes lie: all of the file `path`, or `size` bytes of it from byte `start` on.

    `name` is what messages call it. A reader of its own may give start and size another meaning (see `Listing.read`).
    """

    path: str
    name: str
    label: int
    start: int
    size: int


def read_span(picture: Picture) -> bytes:
    """The bytes of a picture in a plain or uncompressed container file. Raises OSError."""
    if picture.size > MOST_BYTES:
        raise OSError(0, f"too large: {picture.size} bytes")
    descriptor = os.open(picture.path, os.O_RDONLY)
    try:
        return os.pread(descriptor, picture.size, picture.start)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Listing:
    """All pictures by part, in the order in which they lie; `skipped` are (name, reason).

    `read` gives a picture's bytes, from any thread; it raises OSError where it cannot. `identity` is a hash of all that
    was listed, where its source does not know one by itself.
    """

    classes: tuple[str, ...]
    parts: Mapping[str, Sequence[Picture]]
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    read: Callable[[Picture], bytes] = field(default=read_span, compare=False)
    identity: str = ""

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))

    def __iter__(self) -> Iterator[Picture]:
        for pictures in self.parts.values():
            yield from pictures

    def at(self, place: int) -> Picture:
        """The picture at a place, counted through all parts."""
        for pictures in self.parts.values():
            if place < len(pictures):
                return pictures[place]
            place -= len(pictures)
        raise IndexError(place)


def published_test(listing: Listing) -> Listing:
    """Takes the validation part as the test set where a set is used that way: ImageNet, and whatever is as large.

    Its test labels were never published; every figure in the literature is on its validation pictures. So a set
    without a test part, whose classes are all WordNet numbers (n01440764) or that has 1,000,000 training pictures, is
    tested on its validation part, and the pictures for the reward are carved from train.
    """
    is_meant = "validation" in listing.parts and "test" not in listing.parts
    is_one = len(listing.parts["train"]) >= LARGE or all(map(_WORDNET.fullmatch, listing.classes))
    if not is_meant or not is_one:
        return listing
    parts = {"train": listing.parts["train"], "test": listing.parts["validation"]}
    note = "the validation part is the test set, as is usual for ImageNet; the reward's pictures are carved from train"
    return replace(listing, parts=parts, notes=(*listing.notes, note))


def check_counts(root: str | Path, classes: Sequence[str], train_labels: Sequence[int], parts: int, what: str) -> None:
    """DataError unless every class has a picture in train for itself and for each part to be carved from it."""
    sizes = Counter(train_labels)
    few = [(name, sizes[label]) for label, name in enumerate(classes) if sizes[label] < parts]
    if few:
        named = ", ".join(f"{shown(name)!r} has {size}" for name, size in few[:5])
        more = f" and {len(few) - 5} more classes" if len(few) > 5 else ""
        raise DataError(
            f"too few {what} in {shown(str(root))} to split: {named}{more}; every class needs at least {parts} "
            f"({'one each for train, validation and test' if parts == 3 else 'in train'}). "
            "Add pictures or remove the class"
        )


def shown(name: str) -> str:
    """A file name that can be printed: bytes that are no UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()
