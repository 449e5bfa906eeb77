"""From a name or a folder to data on disk, decoded once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from nasfit.errors import DataError, UnknownNameError, UsageError
from nasfit.extensions import ExtensionPoint
from nasfit.tasks import fashion_mnist
from nasfit.tasks.cifar10 import cifar10_source
from nasfit.tasks.dataset import ClassificationData, channel_statistics, fingerprint_of
from nasfit.tasks.folder import folder_source
from nasfit.tasks.huggingface import HUB, hub_source, huggingface_source
from nasfit.tasks.listing import imagenet_root
from nasfit.tasks.pictures import shown
from nasfit.tasks.saved import (
    FORMAT,
    drop_abandoned,
    drop_pixels,
    is_saved,
    locked,
    open_saved,
    open_splits,
    replaced,
    write_facts,
)
from nasfit.tasks.shards import pattern_source, shards_source
from nasfit.tasks.sources import Progress, Source, Wanted, Written
from nasfit.tasks.stamps import digest

NAMES = ("fashion-mnist", "fashion-mnist-small")
MIN_RESOLUTION, MAX_RESOLUTION = 24, 512
EXTENSIONS = ExtensionPoint(
    "nasfit.tasks", "task", (*NAMES, HUB.rstrip(":")), offers=("name", "identity", "nature", "write")
)
"""Those of other packages, `NAME` or `NAME:REST`: each entry point refers to a `SourceFactory`."""


def load(
    source: str | Path,
    *,
    cache: Path,
    resolution: int | None = None,
    seed: int = 0,
    validation: float | None = None,
    pictures: int | None = None,
    stream: bool = False,
    fashion_places: Sequence[Path] = fashion_mnist.PLACES,
    progress: Progress | None = None,
) -> ClassificationData:
    """Classification data from `source`, decoded to uint8 once and opened as read-only memory maps.

    `source` is "fashion-mnist" (the full set from `fashion_places`, else the shipped subset, which its name and notes
    say), "fashion-mnist-small" (the shipped subset), or a path to: CIFAR-10 in either layout (see `cifar10`), an idx
    set such as torchvision's FashionMNIST/raw, a folder of pictures (see `list_folder` for its layouts, ImageNet's
    among them), WebDataset shards in a folder or by a brace pattern (see `shards`), or a Hugging Face data set on disk
    (see `huggingface`); "hf:NAME" is one of the hub; "NAME" or "NAME:REST" of another package, see `SourceFactory`.
    Names win over paths; write ./fashion-mnist for a folder of that name.

    `cache` is a directory to keep the decoded data in. A second call with unchanged files and the same arguments opens
    what the first one wrote; changed files are decoded to a new place beside it. Compare `fingerprint` to notice that.
    A call that was interrupted goes on where it was. The disk has to hold all decoded pictures once.

    `resolution` is the height and width in pixels, 24 to 512. By default pictures that are all at most 64 px (shorter
    side) keep the largest's size, and others are brought to 64. `seed` decides the order and the carved splits.

    `validation` is the share of train that becomes the validation split where the source has none: 0.15 by default
    (5,000 pictures of Fashion-MNIST and CIFAR-10), stratified, at most 10,000 pictures, of 1,000,000 or more at most
    50,000. A missing test split is carved first: 15 % of train, with the same limits. Each class keeps at least one
    picture in each split. What is carved depends on the seed and on the pictures' sorted names alone.

    `pictures` keeps so many of the training pictures, before anything is carved, as many of each class as of any other
    while there are enough; only these are decoded.

    `stream` keeps no pixels: pictures are checked once, and decoded whenever they are indexed. It needs a resolution.

    Raises UsageError for arguments out of range, UnknownNameError for a mistyped name, DataError for missing,
    unreadable or too few pictures and for a cache that cannot be written.
    """
    wanted = Wanted(resolution, seed, validation, pictures, stream)
    _check_arguments(wanted)
    return load_source(find(source, fashion_places), wanted, cache=cache, progress=progress)


def load_source(found: Source, wanted: Wanted, *, cache: Path, progress: Progress | None = None) -> ClassificationData:
    """The same of a source at hand, raising the same. found: any. wanted, cache, progress: as `load` takes them."""
    asked = [
        str(wanted.resolution),
        str(wanted.seed),
        str(wanted.validation),
        *([] if wanted.pictures is None else [str(wanted.pictures)]),
        *["stream"] * wanted.stream,
    ]
    key = digest([found.identity(), found.name, str(FORMAT), *asked])
    directory = Path(cache) / f"{_slug(found.name)}-{key[:12]}"
    if is_saved(directory):
        return open_saved(directory)
    with locked(directory):
        # Another process may have built it while this one waited.
        if not is_saved(directory):
            drop_abandoned(directory, _slug(found.name))
            with replaced(directory) as partial:
                _finish(partial, found.name, wanted, found.write(partial, wanted, progress))
    return open_saved(directory)


def find(source: str | Path, fashion_places: Sequence[Path] = fashion_mnist.PLACES) -> Source:
    """The source behind a name or path, nothing decoded yet. Raises as `load` does."""
    kind, _, rest = str(source).partition(":")
    if EXTENSIONS.adds(kind):
        added: Source = EXTENSIONS.make(kind, rest)
        return added
    if source == "fashion-mnist":
        return fashion_mnist.full(fashion_places)
    if source == "fashion-mnist-small":
        return fashion_mnist.small()
    if str(source).startswith(HUB):
        return hub_source(str(source).removeprefix(HUB))
    path = Path(source).expanduser()
    if path.suffix == ".tar" and not path.is_dir():
        return pattern_source(str(path))
    if path.is_file():
        raise DataError(f"{path} is a file; unpack it and give the folder")
    if not path.is_dir():
        raise _no_such(str(source), path)
    named = cifar10_source(path) or fashion_mnist.idx_source(path)
    return named or huggingface_source(path) or shards_source(path) or folder_source(imagenet_root(path))


def _finish(directory: Path, name: str, wanted: Wanted, written: Written) -> None:
    """What follows from the written splits: mean, std, fingerprint."""
    splits = open_splits(directory)
    mean, std = channel_statistics(splits[0].images_NHWC)
    fingerprint = fingerprint_of(written.classes, splits)
    streamed_px = wanted.resolution if wanted.stream else None
    if wanted.stream:
        drop_pixels(directory)
        splits = open_splits(directory, streamed_px)
    data = ClassificationData(name, written.classes, *splits, written.notes, mean, std, fingerprint)
    write_facts(directory, data, streamed_px)


def _check_arguments(wanted: Wanted) -> None:
    resolution, validation, pictures = wanted.resolution, wanted.validation, wanted.pictures
    if resolution is not None and not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        raise UsageError(f"resolution must be {MIN_RESOLUTION} to {MAX_RESOLUTION} px, got {resolution}")
    if validation is not None and not 0 < validation <= 0.5:
        raise UsageError(f"validation must be a share of train above 0 and at most 0.5, got {validation}")
    if wanted.stream and resolution is None:
        raise UsageError("pictures that are decoded as they are wanted need a resolution; give --resolution")
    if pictures is not None and pictures < 1:
        raise UsageError(f"pictures must be a number above 0, got {pictures}")


def _no_such(source: str, path: Path) -> DataError | UnknownNameError:
    known = NAMES + EXTENSIONS.added()
    if not re.search(r"[/\\~]", source) and difflib.get_close_matches(source, known, n=1, cutoff=0.5):
        return UnknownNameError("data set", source, known)
    parent = path.absolute().parent
    beside = [entry.name for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"did you mean {shown(str(path.parent / near[0]))!r}?" if near else f"known names: {', '.join(known)}"
    return DataError(f"{shown(source)!r} is neither a known data set nor a folder; {hint}")


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40].lower() or "pictures"
