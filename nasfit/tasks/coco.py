"""COCO annotations: one .json a part, with lists of images, annotations and categories.

Layouts: root/annotations/instances_{train,val}2017.json with pictures in root/{train,val}2017, as COCO itself;
root/{train,valid,test}/_annotations.coco.json beside their pictures; root/annotations/{train,val,test}.json or
root/{train,val,test}.json with pictures in root/{part}, root/images/{part} or root/images; or one .json file, its
pictures beside it or in `images`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nasfit.errors import DataError
from nasfit.tasks.box_listing import BoxListing, NamedPicture, listed
from nasfit.tasks.boxes import MarkedBox, MarkedPicture, Troubles
from nasfit.tasks.pictures import PART_OF, shown
from nasfit.tasks.stamps import digest, stamped

_NAME = re.compile(rf"(?:instances_)?({'|'.join(PART_OF)})\d*\.json", re.IGNORECASE)
_ROBOFLOW = "_annotations.coco.json"
_FIELDS = ("images", "annotations", "categories")


def coco_files(root: Path) -> dict[str, Path]:
    """The annotation file of each part; empty where there is none. A lone .json file is all train."""
    if root.is_file():
        return {"train": root} if root.suffix.lower() == ".json" else {}
    found = {}
    for path in sorted(root.iterdir()):
        if path.is_dir() and path.name.lower() in PART_OF and (path / _ROBOFLOW).is_file():
            found[PART_OF[path.name.lower()]] = path / _ROBOFLOW
    for folder in (root, root / "annotations"):
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            match = _NAME.fullmatch(path.name)
            if match:
                found.setdefault(PART_OF[match[1].lower()], path)
    if found:
        return found
    alone = [path for folder in (root, root / "annotations") for path in sorted(folder.glob("*.json"))]
    return {"train": alone[0]} if len(alone) == 1 else {}


def list_coco(root: Path) -> BoxListing:
    """All pictures and boxes; ids may have gaps, categories may be any, pictures may have no boxes.

    What is called val by COCO's own files is the test part where there is no other: its test boxes were never
    published, and every figure in the literature is on val. Raises DataError for a file that is no COCO file, and where
    no picture of a part is there.
    """
    files, troubles = coco_files(root), Troubles()
    documents = {part: _document(path) for part, path in files.items()}
    parts = {part: list(_pictures(document, files[part], root, troubles)) for part, document in documents.items()}
    notes: tuple[str, ...] = ()
    if "validation" in parts and "test" not in parts and files["validation"].name.startswith("instances_"):
        parts["test"] = parts.pop("validation")
        notes = ("the val part is the test set, as is usual for COCO; validation is carved from train",)
    order = [name for _, name in sorted(_categories(documents.get("train", {})).items())]
    pictures = [Path(each.picture.path) for listing in parts.values() for each in listing]
    stamp = digest([stamped(files.values(), root.parent), stamped(pictures, root.parent)])
    made = listed(shown(str(root)), parts, troubles, stamp, order)
    return BoxListing(made.classes, made.parts, (*notes, *made.notes), made.identity)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {shown(str(path))}: {error.strerror}; check the path") from error
    except ValueError as error:
        raise DataError(f"{shown(str(path))} is no JSON: {error}; export the annotations anew") from error
    lacking = [name for name in _FIELDS if not isinstance(document, dict) or not isinstance(document.get(name), list)]
    if lacking:
        raise DataError(f"{shown(str(path))} is no COCO file: it has no list {lacking[0]!r}; give one of object boxes")
    return dict(document)


def _categories(document: Mapping[str, Any]) -> dict[int, str]:
    return {int(each["id"]): str(each["name"]) for each in document.get("categories", ())}


def _pictures(document: Mapping[str, Any], path: Path, root: Path, troubles: Troubles) -> Iterator[NamedPicture]:
    try:
        categories, boxes = _categories(document), _boxes(document, troubles)
        folder = _folder([str(image["file_name"]) for image in document["images"]], path, root)
        for image in document["images"]:
            name = str(image["file_name"])
            file = _inside(folder, name)
            if not file.is_file():
                troubles.add("pictures are named and not there; left out", shown(name))
                continue
            size = (int(image.get("width") or 0), int(image.get("height") or 0))
            marked = MarkedPicture(str(file), shown(name), size if min(size) > 0 else None, ())
            yield NamedPicture(
                marked, [(categories[kind], box) for kind, box in boxes[image["id"]] if kind in categories]
            )
            for kind, _ in boxes[image["id"]]:
                if kind not in categories:
                    troubles.add("boxes have a category id that the file does not explain; left out", str(kind))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{shown(str(path))} has an entry that COCO files do not have ({type(error).__name__}: {error}); "
            "export the annotations anew"
        ) from error


def _boxes(document: Mapping[str, Any], troubles: Troubles) -> Mapping[Any, list[tuple[int, MarkedBox]]]:
    """Category id and box of each annotation, by image id."""
    known = {image["id"] for image in document["images"]}
    found: dict[Any, list[tuple[int, MarkedBox]]] = defaultdict(list)
    for each in document["annotations"]:
        if each["image_id"] not in known:
            troubles.add("boxes belong to a picture that the file does not list; left out", str(each["image_id"]))
            continue
        if len(each.get("bbox") or ()) != 4:
            troubles.add("annotations have no box; left out", str(each.get("id")))
            continue
        left, top, width, height = map(float, each["bbox"])
        area = float(each["area"]) if each.get("area") else None
        box = MarkedBox(-1, left, top, left + width, top + height, area, bool(each.get("iscrowd", 0)))
        found[each["image_id"]].append((int(each["category_id"]), box))
    return found


def _folder(names: list[str], path: Path, root: Path) -> Path:
    """Where the pictures of a file lie. Raises DataError naming the places that were tried."""
    match, base = _NAME.fullmatch(path.name), root if root.is_dir() else root.parent
    part = path.stem.removeprefix("instances_") if match else ""
    places = [path.parent, path.parent / "images"]
    if part:
        places += [base / part, base / "images" / part]
    places += [base / "images", base]
    for place in dict.fromkeys(places):
        # The first names may be of pictures that are missing.
        if any(_inside(place, name).is_file() for name in names[:100]):
            return place
    tried = ", ".join(shown(str(place)) for place in dict.fromkeys(places) if place.is_dir())
    raise DataError(f"none of the pictures that {shown(str(path))} names are in {tried}; put them there")


def _inside(folder: Path, name: str) -> Path:
    """The file of that name below the folder. Raises DataError for a name that leads out of it."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise DataError(f"picture {shown(name)!r} lies outside its folder; name pictures by paths below it")
    return folder / name
