"""From a name or a folder to data on disk, decoded once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nasfit.errors import DataError, UnknownNameError, UsageError
from nasfit.tasks import fashion_mnist
from nasfit.tasks.cifar10 import cifar10_source
from nasfit.tasks.dataset import ClassificationData, Split, channel_statistics, fingerprint_of
from nasfit.tasks.folder import folder_source
from nasfit.tasks.listing import shown
from nasfit.tasks.saved import FORMAT, is_saved, locked, open_saved, open_splits, replaced, write_facts, write_split
from nasfit.tasks.sources import Parts, Progress, Source, digest
from nasfit.tasks.splitting import SHARE, Rows, carve

NAMES = ("fashion-mnist", "fashion-mnist-small")
MIN_RESOLUTION, MAX_RESOLUTION = 24, 512


def load(
    source: str | Path,
    *,
    cache: Path,
    resolution: int | None = None,
    seed: int = 0,
    validation: float | None = None,
    fashion_places: Sequence[Path] = fashion_mnist.PLACES,
    progress: Progress | None = None,
) -> ClassificationData:
    """Classification data from `source`, decoded to uint8 once and opened as read-only memory maps.

    `source` is "fashion-mnist" (the full set from `fashion_places`, else the shipped subset, which its name and notes
    say), "fashion-mnist-small" (the shipped subset), or a path to: CIFAR-10 in either layout (see `cifar10`), an idx
    set such as torchvision's FashionMNIST/raw, or a folder of pictures (see `list_folder` for its two layouts). Names
    win over paths; write ./fashion-mnist for a folder of that name.

    `cache` is a directory to keep the decoded data in. A second call with unchanged files and the same arguments opens
    what the first one wrote; changed files are decoded to a new place beside it. Compare `fingerprint` to notice that.

    `resolution` is the height and width in pixels, 24 to 512. By default pictures that are all at most 64 px (shorter
    side) keep the largest's size, and others are brought to 64. `seed` decides the order and the carved splits.

    `validation` is the share of train that becomes the validation split where the source has none: 0.15 by default
    (5,000 pictures of Fashion-MNIST and CIFAR-10), stratified, at most 10,000 pictures. A missing test split is carved
    first: 15 % of train, at most 10,000. Each class keeps at least one picture in each split.

    Raises UsageError for arguments out of range, UnknownNameError for a mistyped name, DataError for missing,
    unreadable or too few pictures and for a cache that cannot be written.
    """
    _check_arguments(resolution, validation)
    found = find(source, fashion_places)
    key = digest([found.identity(), found.name, str(FORMAT), str(resolution), str(seed), str(validation)])
    directory = Path(cache) / f"{_slug(found.name)}-{key[:12]}"
    if is_saved(directory):
        return open_saved(directory)
    with locked(directory):
        # Another process may have built it while this one waited.
        if not is_saved(directory):
            with replaced(directory) as partial:
                parts = found.read(resolution, seed, partial, progress)
                share = found.validation_share() if validation is None else validation
                _write(partial, found.name, parts, share)
    return open_saved(directory)


def find(source: str | Path, fashion_places: Sequence[Path] = fashion_mnist.PLACES) -> Source:
    """The source behind a name or path, nothing decoded yet. Raises as `load` does."""
    if source == "fashion-mnist":
        return fashion_mnist.full(fashion_places)
    if source == "fashion-mnist-small":
        return fashion_mnist.small()
    path = Path(source).expanduser()
    if path.is_file():
        raise DataError(f"{path} is a file; unpack it and give the folder")
    if not path.is_dir():
        raise _no_such(str(source), path)
    return cifar10_source(path) or fashion_mnist.idx_source(path) or folder_source(path)


def _write(directory: Path, name: str, parts: Parts, share: float) -> None:
    rows = _rows(parts, share)
    for part, (split, chosen) in rows.items():
        write_split(directory, part, split, chosen, parts.channels)
    for left in directory.glob("*.raw"):
        left.unlink()
    splits = open_splits(directory)
    mean, std = channel_statistics(splits[0].images_NHWC)
    fingerprint = fingerprint_of(parts.classes, splits)
    write_facts(directory, ClassificationData(name, parts.classes, *splits, parts.notes, mean, std, fingerprint))


def _rows(parts: Parts, share: float) -> dict[str, tuple[Split, Rows]]:
    """Which rows of which delivered split make up each final split."""
    train = parts.splits["train"]
    rows = {part: (split, np.arange(len(split))) for part, split in parts.splits.items()}
    for part, wanted in (("test", SHARE), ("validation", share)):
        if part not in rows:
            held = rows["train"][1]
            kept, carved = carve(train.labels_N[held], len(parts.classes), wanted)
            rows["train"], rows[part] = (train, held[kept]), (train, held[carved])
    return rows


def _check_arguments(resolution: int | None, validation: float | None) -> None:
    if resolution is not None and not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        raise UsageError(f"resolution must be {MIN_RESOLUTION} to {MAX_RESOLUTION} px, got {resolution}")
    if validation is not None and not 0 < validation <= 0.5:
        raise UsageError(f"validation must be a share of train above 0 and at most 0.5, got {validation}")


def _no_such(source: str, path: Path) -> DataError | UnknownNameError:
    if not re.search(r"[/\\~]", source) and difflib.get_close_matches(source, NAMES, n=1, cutoff=0.5):
        return UnknownNameError("data set", source, NAMES)
    parent = path.absolute().parent
    beside = [entry.name for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"did you mean {shown(str(path.parent / near[0]))!r}?" if near else f"known names: {', '.join(NAMES)}"
    return DataError(f"{shown(source)!r} is neither a known data set nor a folder; {hint}")


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40].lower() or "pictures"
