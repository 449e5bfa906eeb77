"""From a folder or file of marked pictures to detection data on disk, decoded once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from nasfit.errors import DataError, UsageError
from nasfit.tasks.box_listing import BoxListing
from nasfit.tasks.boxes import Marked, MarkedBox, MarkedPicture, Troubles, within
from nasfit.tasks.building import require_space
from nasfit.tasks.coco import coco_files, list_coco
from nasfit.tasks.decoding import Whole, available_cores, decode_whole, quiet_pillow
from nasfit.tasks.detection_data import (
    DETECTION_FORMAT,
    BoxTable,
    DetectionData,
    is_saved_detection,
    open_detection,
    write_detection_facts,
    write_table,
)
from nasfit.tasks.pictures import shown
from nasfit.tasks.pixels import Labels
from nasfit.tasks.saved import HEADER_BYTES, finish_images, locked, replaced
from nasfit.tasks.sources import Progress
from nasfit.tasks.splitting import SHARE, divided
from nasfit.tasks.stamps import digest
from nasfit.tasks.voc import is_voc, list_voc

# Kept larger than the network's input by this much, so that random crops have pixels to show.
_ROOM = 1.25
MAX_SIDE = 1280
_BLOCK = 64
# Widths and heights that differ by less than this are of one picture at two sizes.
_SHAPE_TOLERANCE = 0.02


def load_detection(
    source: str | Path, *, cache: Path, resolution: int = 320, seed: int = 0, progress: Progress | None = None
) -> DetectionData:
    """Detection data from a folder of Pascal VOC annotations or COCO files (see `voc` and `coco` for their layouts).

    source: the folder, or one COCO .json. resolution: side of the network's input, px; pictures are kept whole, upright
    and squeezed to squares of 1.25 times that. cache: a directory to keep them in; a second call with unchanged files
    and the same arguments opens what the first one wrote. seed: of the splits: a missing test part is carved from
    train, then a missing validation part, 15 % each and at most 10,000 pictures, from pictures of each class in
    proportion (a picture's class is its rarest). progress: told how many pictures of how many are decoded.

    Raises DataError where there are no annotations, no readable pictures, or too few to split; UsageError for a
    resolution out of range.
    """
    side = round(resolution * _ROOM)
    if not 1 <= side <= MAX_SIDE:
        raise UsageError(f"resolution is {resolution}; it must be at most {int(MAX_SIDE / _ROOM)} px")
    root = Path(source).expanduser()
    listing = list_boxes(root)
    name = root.stem if root.is_file() else root.resolve().name
    key = digest([listing.identity, str(DETECTION_FORMAT), str(side), str(seed)])
    directory = Path(cache) / f"boxes-{key[:12]}"
    with locked(directory):
        if not is_saved_detection(directory):
            with replaced(directory) as partial:
                _build(listing, name, partial, side, seed, key, progress)
    return open_detection(directory)


def list_boxes(root: Path) -> BoxListing:
    """The pictures and boxes of a folder or of a COCO file. Raises DataError where there are no annotations."""
    if not root.exists():
        raise DataError(f"{shown(str(root))} is not there; give a folder of marked pictures or a COCO .json file")
    # In this order: a folder of .xml files may hold a .json of something else.
    if root.is_dir() and is_voc(root):
        return list_voc(root)
    if coco_files(root):
        return list_coco(root)
    raise DataError(
        f"no annotations in {shown(str(root))}; expected Pascal VOC .xml files beside the pictures or in Annotations, "
        "or COCO .json files such as annotations/instances_train2017.json or train/_annotations.coco.json"
    )


def _build(
    listing: BoxListing, name: str, directory: Path, side: int, seed: int, key: str, progress: Progress | None
) -> None:
    parts = _divided(listing, seed)
    total = sum(map(len, parts.values()))
    require_space(directory, total, side, is_all=True)
    troubles, names, done = Troubles(), {}, 0
    for part, pictures in parts.items():
        kept, marked, sizes = [], [], []
        with (
            (directory / f"{part}_images.npy").open("wb") as file,
            ThreadPoolExecutor(available_cores()) as pool,
            quiet_pillow(),
        ):
            file.write(bytes(HEADER_BYTES))
            for start in range(0, len(pictures), _BLOCK):
                block = pictures[start : start + _BLOCK]
                wholes = pool.map(lambda each: decode_whole(each.path, side), block)
                for picture, whole in zip(block, wholes, strict=True):
                    boxes = _placed(picture, whole, troubles)
                    if boxes is not None and isinstance(whole, Whole):
                        file.write(whole.image_SSC.tobytes())
                        kept.append(picture.name)
                        marked.append(boxes)
                        sizes.append(_upright(whole))
                done += len(block)
                if progress is not None:
                    progress(done, total)
        if not kept:
            raise DataError(f"no picture of the {part} part of {name} can be read: {'; '.join(troubles.notes())}")
        finish_images(directory, part, (len(kept), side, side, 3))
        write_table(directory, part, BoxTable.of(marked, sizes))
        names[part] = kept
    notes = [*listing.notes, *_carved(listing, parts), *troubles.notes()]
    facts = {"name": name, "classes": listing.classes, "notes": notes, "names": names, "fingerprint": key}
    write_detection_facts(directory, facts)


def _divided(listing: BoxListing, seed: int) -> dict[str, list[MarkedPicture]]:
    """The pictures of each split, shuffled. Raises DataError where train is too small to carve from."""
    generator = np.random.default_rng(seed)
    orders = {part: generator.permutation(len(pictures)) for part, pictures in listing.parts.items()}
    labels = {part: _rarest(pictures, len(listing.classes)) for part, pictures in listing.parts.items()}
    rows = divided(orders, labels, len(listing.classes) + 1, SHARE, None)
    stored = {part: listing.parts.get(part, listing.parts["train"]) for part in rows}
    parts = {part: [stored[part][row] for row in found] for part, found in rows.items()}
    for part, pictures in parts.items():
        if not pictures:
            raise DataError(
                f"the {len(listing.parts['train'])} training pictures are too few to carve a {part} part from; "
                "mark more pictures, or give the part"
            )
    return parts


def _rarest(pictures: Sequence[MarkedPicture], classes: int) -> Labels:
    """For each picture the class of its boxes that is rarest in all of them, `classes` where it has none."""
    counts = Counter(box.label for picture in pictures for box in picture.boxes)
    labels = [
        min({box.label for box in picture.boxes}, key=lambda label: (counts[label], label), default=classes)
        for picture in pictures
    ]
    return np.array(labels, np.int64)


def _carved(listing: BoxListing, parts: dict[str, list[MarkedPicture]]) -> list[str]:
    made = [f"{len(parts[part]):,} for {part}" for part in parts if part not in listing.parts]
    return [f"pictures carved from train: {', '.join(made)}"] if made else []


def _placed(picture: MarkedPicture, whole: Whole | str, troubles: Troubles) -> Marked | None:
    """The boxes in px of the upright picture; None for one that is left out, which is counted."""
    if isinstance(whole, str):
        troubles.add(f"pictures cannot be read ({whole}); left out", picture.name)
        return None
    upright, declared = _upright(whole), picture.size or _upright(whole)
    boxes = picture.boxes
    if not _same_shape(declared, upright):
        if not _same_shape(declared, whole.size):
            troubles.add("pictures have another shape than their annotations say; left out", picture.name)
            return None
        # Marked in a tool that shows pictures as they are stored.
        boxes = tuple(_turned(box, declared, whole.orientation) for box in boxes)
        declared = (declared[1], declared[0])
    if declared != upright:
        across, down = upright[0] / declared[0], upright[1] / declared[1]
        boxes = tuple(_resized(box, across, down) for box in boxes)
    return within(boxes, upright, picture.name, troubles)


def _upright(whole: Whole) -> tuple[int, int]:
    width, height = whole.size
    return (height, width) if whole.orientation >= 5 else (width, height)


def _same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    # A pixel of rounding in the smaller one.
    slack = max(_SHAPE_TOLERANCE, 1 / min(*one, *other))
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) <= slack


def _resized(box: MarkedBox, across: float, down: float) -> MarkedBox:
    area = None if box.area is None else box.area * across * down
    return box._replace(
        left=box.left * across, right=box.right * across, top=box.top * down, bottom=box.bottom * down, area=area
    )


def _turned(box: MarkedBox, size: tuple[int, int], orientation: int) -> MarkedBox:
    """The box of a picture of this size as stored, in the upright picture (EXIF orientations 5 to 8 swap the sides)."""
    width, height = size
    xs, ys = (box.top, box.bottom), (box.left, box.right)
    if orientation in (6, 7):
        xs = (height - box.bottom, height - box.top)
    if orientation in (7, 8):
        ys = (width - box.right, width - box.left)
    return box._replace(left=xs[0], right=xs[1], top=ys[0], bottom=ys[1])
