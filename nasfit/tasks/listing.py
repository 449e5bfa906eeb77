"""Which picture files a folder holds, of which class and which part; nothing is opened here."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nasfit.errors import DataError
from nasfit.tasks.decoding import EXTENSIONS
from nasfit.tasks.flat_labels import labels_of_flat
from nasfit.tasks.pictures import PART_OF, PARTS, Listing, Picture, published_test, shown
from nasfit.tasks.stamps import digest

LAYOUT = "expected FOLDER/<class>/*.jpg, or FOLDER/train/<class>/*.jpg with val and test beside train"


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    name: str
    stamp: tuple[int, int]
    reason: str | None


def list_folder(root: Path) -> Listing:
    """List `root`, in either layout. Raises DataError where it holds no such layout or fewer than two classes.

    Hidden names are ignored; folders below a class belong to the class; links are followed, loops are not. Class
    names are compared in Unicode's composed form, so that a split copied through another file system still matches.
    A validation or test folder of pictures without class folders, as ImageNet comes, takes its labels from a file
    (see `flat_labels`).
    """
    folders, notes = _part_folders(root)
    found = {part: _files_by_class(root, folder) for part, folder in folders.items()}
    trained = tuple(sorted(name for name, files in found["train"].items() if _pictures(files)))
    flat = []
    for part in ("validation", "test"):
        if part in found and not any(_pictures(files) for files in found[part].values()):
            by_label = _flat_files(root, folders[part], trained)
            if by_label:
                found[part] = by_label
                flat.append(part)
            else:
                notes.append(f"the {part} part has no pictures in class folders; carved from train instead")
                del found[part]
    classes = _checked_classes(root, found, notes)
    labels = {name: label for label, name in enumerate(classes)}
    files = [(part, name, file) for part, by_class in found.items() for name in by_class for file in by_class[name]]
    files.sort(key=lambda entry: entry[2].name)
    parts: dict[str, list[Picture]] = {part: [] for part in found}
    for part, name, file in files:
        if file.reason is None and name in labels:
            parts[part].append(Picture(file.path, file.name, labels[name], 0, file.stamp[0]))
    skipped = [(file.name, file.reason) for part, _, file in files if file.reason is not None]
    strays = _strays(root, [folders[part] for part in found if part not in flat])
    stamps = (f"{part}\0{file.name}\0{file.stamp}" for part, _, file in files)
    listing = Listing(classes, parts, (*strays, *skipped), tuple(notes), identity=digest(stamps))
    return published_test(listing)


def imagenet_root(folder: Path) -> Path:
    """Where train and val lie: `folder` itself, or below it as Kaggle packs ImageNet."""
    for inner in ("ILSVRC/Data/CLS-LOC", "Data/CLS-LOC"):
        if (folder / inner / "train").is_dir():
            return folder / inner
    return folder


def _flat_files(root: Path, folder: Path, classes: tuple[str, ...]) -> dict[str, list[_File]]:
    """Pictures that lie in `folder` itself by class, as a file of labels near it says; none where there is no file."""
    files = [file for file in _walk(str(folder), folder.relative_to(root).as_posix(), set()) if _is_picture(file.name)]
    labels = labels_of_flat(root, folder, [file.name for file in files if file.reason is None], classes)
    by_class: dict[str, list[_File]] = {}
    for file in files if labels else ():
        name = labels.get(file.name)
        if file.reason is None and name is None:
            file = _File(file.path, file.name, file.stamp, "no label for it")
        by_class.setdefault(name or "", []).append(file)
    return by_class


def _part_folders(root: Path) -> tuple[dict[str, Path], list[str]]:
    """The class-holding folder of each part; {"train": root} where the folder has no split of its own."""
    if not root.is_dir():
        raise DataError(f"no folder {shown(str(root))}; give an existing folder of pictures ({LAYOUT})")
    folders = _subfolders(root)
    if not folders:
        what = "pictures but no class folders" if any(map(_is_picture, _names(root))) else "no pictures"
        raise DataError(f"{shown(str(root))} holds {what}; {LAYOUT}")
    parts: dict[str, Path] = {}
    for folder in folders:
        part = PART_OF.get(folder.name.lower())
        if part in parts:
            raise DataError(f"{root} has both {parts[part].name} and {folder.name} as its {part} part; remove one")
        if part is not None:
            parts[part] = folder
    others = [folder for folder in folders if folder not in parts.values()]
    if not _is_own_split(root, parts, others):
        return {"train": root}, []
    kept = {part: parts[part] for part in PARTS if part in parts}
    ignored = ", ".join(shown(folder.name) for folder in others[:3])
    return kept, [f"{len(others)} folder(s) beside train ignored: {ignored}"] if others else []


def _is_own_split(root: Path, parts: dict[str, Path], others: list[Path]) -> bool:
    """Whether the part names are parts rather than classes ("train" is also a vehicle)."""
    if not parts:
        return False
    has_classes = "train" in parts and bool(_subfolders(parts["train"]))
    if others:
        is_only_train = len(parts) == 1
        return has_classes and not (is_only_train and any(_holds_pictures(folder) for folder in others))
    if "train" not in parts:
        raise DataError(f"{root} holds {', '.join(path.name for path in parts.values())} but no train; {LAYOUT}")
    if not has_classes:
        raise DataError(f"{parts['train']} holds no class folders; {LAYOUT}")
    return True


def _checked_classes(root: Path, found: dict[str, dict[str, list[_File]]], notes: list[str]) -> tuple[str, ...]:
    filled = {part: {name for name, files in found[part].items() if _pictures(files)} for part in found}
    classes = tuple(sorted(filled["train"]))
    if not any(filled.values()):
        raise DataError(f"no pictures in the class folders of {shown(str(root))}; {LAYOUT}")
    for part in ("validation", "test"):
        extra = sorted(filled.get(part, set()) - filled["train"])
        if extra:
            named = ", ".join(map(shown, extra[:5]))
            raise DataError(f"{named}: class(es) of the {part} part without pictures in train; add some or remove them")
        lacking = sorted(filled["train"] - filled[part]) if part in filled else []
        if lacking:
            notes.append(f"no {part} pictures of {len(lacking)} class(es): {', '.join(map(shown, lacking[:5]))}")
    if len(classes) < 2:
        inner = root / classes[0]
        hint = f"perhaps give {shown(str(inner))}" if len(_subfolders(inner)) > 1 else LAYOUT
        raise DataError(
            f"only one class, {shown(classes[0])!r}, in {shown(str(root))}; classification needs at least two; {hint}"
        )
    empty = sorted({name for part in found for name in found[part]} - set(classes))
    if empty:
        notes.append(f"{len(empty)} folder(s) without pictures left out: {', '.join(map(shown, empty[:5]))}")
    return classes


def _files_by_class(root: Path, folder: Path) -> dict[str, list[_File]]:
    by_class: dict[str, list[_File]] = {}
    for subfolder in _subfolders(folder):
        name = unicodedata.normalize("NFC", subfolder.name)
        # Folders that a link may lead back up to must not be walked as part of this class.
        above = {_identity(place.stat()) for place in (root, folder, subfolder)}
        by_class.setdefault(name, []).extend(_walk(str(subfolder), subfolder.relative_to(root).as_posix(), above))
    return by_class


def _walk(folder: str, relative: str, seen: set[tuple[int, int]]) -> Iterator[_File]:
    """Every file below `folder` that is not hidden, each folder once however many links lead to it."""
    for entry in _entries(folder):
        name = f"{relative}/{entry.name}"
        status = _status(entry)
        if status is not None and stat.S_ISDIR(status.st_mode):
            if _identity(status) not in seen:
                seen.add(_identity(status))
                yield from _walk(entry.path, name, seen)
            continue
        if not _is_picture(entry.name):
            yield _File(entry.path, name, (0, 0), "not a picture's file name")
        elif status is None:
            yield _File(entry.path, name, (0, 0), "broken link")
        elif not stat.S_ISREG(status.st_mode):
            yield _File(entry.path, name, (0, 0), "not a regular file")
        else:
            reason = None if status.st_size else "zero bytes"
            yield _File(entry.path, name, (status.st_size, status.st_mtime_ns), reason)


def _strays(root: Path, folders: list[Path]) -> list[tuple[str, str]]:
    """Pictures beside the class folders, which belong to no class; other files there are nobody's business."""
    places = sorted({root, *folders})
    names = [(place / name).relative_to(root).as_posix() for place in places for name in _names(place)]
    return [(name, "not in a class folder") for name in names if _is_picture(name)]


def _holds_pictures(folder: Path) -> bool:
    return any(file.reason is None for file in _walk(str(folder), folder.name, set()))


def _pictures(files: list[_File]) -> list[_File]:
    return [file for file in files if file.reason is None]


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS  # noqa: PTH122  (a million times: Path is ten times slower)


def _subfolders(folder: Path) -> list[Path]:
    # "__MACOSX" is what some archivers leave behind.
    return [Path(entry.path) for entry in _entries(str(folder)) if _is_folder(entry) and entry.name != "__MACOSX"]


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in _entries(str(folder)) if not _is_folder(entry)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    status = _status(entry)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What the entry or the link leads to; None for a link to nowhere or to itself."""
    try:
        return entry.stat()
    except OSError:
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"cannot list {shown(folder)}: {error.strerror}; check its permissions") from error
