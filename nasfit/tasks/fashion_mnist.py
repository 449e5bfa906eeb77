"""Fashion-MNIST: the full 60,000 + 10,000 where it is installed, else a subset that ships with nasfit.

Xiao, Rasul, Vollgraf, "Fashion-MNIST", arXiv 1708.07747: grey 28 x 28 pictures of clothes in ten equal classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from nasfit.tasks.dataset import Split
from nasfit.tasks.idx import find_idx, read_idx_set
from nasfit.tasks.sources import ArraySource

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# Where Debian's and Ubuntu's package dataset-fashion-mnist installs it.
PLACES = (Path("/usr/share/datasets/fashion-mnist"),)
SUBSET = Path(__file__).parent / "data" / "fashion-mnist-small.npz"


def full(places: Sequence[Path] = PLACES) -> ArraySource:
    """The full set from the first place that has it; else the subset, which says so in its name and notes."""
    for place in places:
        found = idx_source(place)
        if found is not None:
            return ArraySource("fashion-mnist", CLASSES, found.files, found.reader, found.train_size)
    note = (
        "the full Fashion-MNIST is not on this machine (looked in "
        f"{', '.join(str(place) for place in places) or 'no folder'}): this is the subset of 10,000 + 2,000 pictures "
        "that ships with nasfit, and its accuracies are not comparable with published ones. For the full set install "
        "Debian's package dataset-fashion-mnist, or give the folder that holds FashionMNIST/raw as the data"
    )
    return small(name="fashion-mnist-small (in place of fashion-mnist)", notes=(note,))


def small(name: str = "fashion-mnist-small", notes: tuple[str, ...] = ()) -> ArraySource:
    """The shipped subset: 1,000 train and 200 test pictures of each class, drawn with a fixed seed."""
    return ArraySource(name, CLASSES, (SUBSET,), read_subset, 10_000, notes)


def read_subset() -> tuple[Split, Split]:
    """(train, test) of the shipped subset."""
    with np.load(SUBSET, allow_pickle=False) as stored:
        train, test = (
            Split(stored[f"{part}_images"][..., np.newaxis], stored[f"{part}_labels"].astype(np.int64))
            for part in ("train", "test")
        )
    return train, test


def idx_source(folder: Path) -> ArraySource | None:
    """An idx set in `folder`, or below it in torchvision's layout (FashionMNIST/raw, MNIST/raw); None if none is.

    Classes are Fashion-MNIST's names where "fashion" is in the path, else the digits.
    """
    for place in (folder, folder / "raw", folder / "FashionMNIST" / "raw", folder / "MNIST" / "raw"):
        files = find_idx(place)
        if files is None:
            continue
        is_fashion = "fashion" in str(place.absolute()).lower()
        classes = CLASSES if is_fashion else tuple(str(digit) for digit in range(10))
        return ArraySource(
            "fashion-mnist" if is_fashion else folder.name, classes, files, partial(read_idx_set, files), 60_000
        )
    return None
