"""Folders of pictures with Pascal VOC annotations: one .xml a picture.

Layouts, with the .xml beside the picture or in a folder `Annotations` (or `annotations`, `labels`) and the pictures in
`JPEGImages` (or `images`): root/{train,val,test}/..., or root/... with lists in ImageSets/Main/{train,val,test}.txt, or
root/... alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from nasfit.errors import DataError
from nasfit.tasks.box_listing import BoxListing, NamedPicture, listed
from nasfit.tasks.boxes import MarkedBox, MarkedPicture, Troubles
from nasfit.tasks.decoding import EXTENSIONS
from nasfit.tasks.pictures import PART_OF, shown
from nasfit.tasks.stamps import stamped

_ANNOTATIONS = ("Annotations", "annotations", "labels")
_PICTURES = ("JPEGImages", "images", "Images")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def is_voc(root: Path) -> bool:
    """Whether an .xml file lies where one of the layouts has it."""
    return any(next(_annotations(place), None) is not None for place in (root, *_part_folders(root).values()))


def list_voc(root: Path) -> BoxListing:
    """All pictures and boxes of a folder; boxes marked `difficult` count as crowds.

    Pictures without an .xml, .xml files without a picture and those that do not read are left out and counted. Raises
    DataError where nothing is left.
    """
    troubles = Troubles()
    folders = _part_folders(root)
    if folders:
        parts = {part: _pictures(folder, troubles) for part, folder in folders.items()}
    else:
        parts = _by_lists(root, _pictures(root, troubles), troubles)
    files = [Path(each.picture.path) for pictures in parts.values() for each in pictures]
    marks = [path for folder in (folders.values() if folders else [root]) for path in _annotations(folder)]
    return listed(shown(str(root)), parts, troubles, stamped([*files, *marks], root))


def _part_folders(root: Path) -> dict[str, Path]:
    """Folders of the parts that hold annotations."""
    folders = {PART_OF[path.name.lower()]: path for path in sorted(root.iterdir()) if path.name.lower() in PART_OF}
    return {part: path for part, path in folders.items() if path.is_dir() and any(_annotations(path))}


def _annotations(folder: Path) -> Iterator[Path]:
    for place in (folder, *(folder / name for name in _ANNOTATIONS)):
        if place.is_dir():
            yield from sorted(path for path in place.iterdir() if path.suffix.lower() == ".xml")


def _pictures(folder: Path, troubles: Troubles) -> list[NamedPicture]:
    files = {
        path.name: path
        for place in (folder, *(folder / name for name in _PICTURES))
        if place.is_dir()
        for path in sorted(place.iterdir())
        if path.suffix.lower() in EXTENSIONS
    }
    by_stem = {path.stem: path for path in files.values()}
    found, used = [], set()
    for path in _annotations(folder):
        read = _read(path, troubles)
        if read is None:
            continue
        name, size, boxes = read
        # The file's own name first: what an annotation says may be of another machine or before a renaming.
        picture = by_stem.get(path.stem) or files.get(name)
        if picture is None:
            troubles.add(".xml files have no picture; left out", shown(path.name))
            continue
        used.add(picture)
        found.append(NamedPicture(MarkedPicture(str(picture), shown(picture.name), size, ()), boxes))
    for path in sorted(set(files.values()) - used):
        troubles.add("pictures have no .xml file that reads; left out", shown(path.name))
    return found


def _by_lists(root: Path, pictures: list[NamedPicture], troubles: Troubles) -> dict[str, list[NamedPicture]]:
    """Parts as ImageSets/Main has them; all pictures are for training where it is missing."""
    lists = root / "ImageSets" / "Main"
    named = {part: lists / f"{name}.txt" for name, part in PART_OF.items() if (lists / f"{name}.txt").is_file()}
    if "train" not in named and (lists / "trainval.txt").is_file():
        named = {**{part: path for part, path in named.items() if part == "test"}, "train": lists / "trainval.txt"}
    if not named:
        return {"train": pictures}
    by_stem = {Path(each.picture.path).stem: each for each in pictures}
    parts: dict[str, list[NamedPicture]] = {}
    for part, path in named.items():
        stems = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        for stem in stems:
            if stem not in by_stem:
                troubles.add(f"names in {path.name} have no annotated picture; left out", stem)
        parts[part] = [by_stem[stem] for stem in stems if stem in by_stem]
    return parts


def _read(path: Path, troubles: Troubles) -> tuple[str, tuple[int, int] | None, list[tuple[str, MarkedBox]]] | None:
    """File name of the picture, its size where it is told, and its boxes by class; None for a file that does not read.

    Raises DataError where the file cannot be opened.
    """
    try:
        tree = ElementTree.parse(path).getroot()
    except ElementTree.ParseError:
        troubles.add(".xml files do not read; left out", shown(path.name))
        return None
    except OSError as error:
        raise DataError(f"cannot read {shown(str(path))}: {error.strerror}; check its permissions") from error
    width, height = (_number(tree.findtext(f"size/{side}")) for side in ("width", "height"))
    size = (round(width), round(height)) if width and height and width > 0 and height > 0 else None
    boxes = []
    for thing in tree.iter("object"):
        corners = [_number(thing.findtext(f"bndbox/{corner}")) for corner in _CORNERS]
        name = (thing.findtext("name") or "").strip()
        if not name or None in corners:
            troubles.add("boxes have no name or lack a number; left out", shown(path.name))
            continue
        left, top, right, bottom = (float(corner) for corner in corners if corner is not None)
        is_crowd = (thing.findtext("difficult") or "0").strip() == "1"
        boxes.append((name, MarkedBox(-1, left, top, right, bottom, crowd=is_crowd)))
    return (tree.findtext("filename") or "").strip(), size, boxes


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\s*-?\d+(\.\d*)?([eE][+-]?\d+)?\s*", text) else None
