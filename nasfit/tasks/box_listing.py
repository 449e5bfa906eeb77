"""Pictures with marked boxes that are listed but not read yet, whatever their format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nasfit.errors import DataError
from nasfit.tasks.boxes import MarkedBox, MarkedPicture, Troubles
from nasfit.tasks.stamps import digest

# A box of a listing that is being made: its class by name.
NamedBoxes = Sequence[tuple[str, MarkedBox]]


@dataclass(frozen=True)
class BoxListing:
    """Pictures by part (train, validation, test), at least train. identity: changes when the files do."""

    classes: tuple[str, ...]
    parts: Mapping[str, Sequence[MarkedPicture]]
    notes: tuple[str, ...]
    identity: str


@dataclass(frozen=True)
class NamedPicture:
    """A picture whose boxes have their classes by name."""

    picture: MarkedPicture
    boxes: NamedBoxes


def listed(
    root: str, parts: Mapping[str, Sequence[NamedPicture]], troubles: Troubles, stamp: str, order: Sequence[str] = ()
) -> BoxListing:
    """A listing whose classes are those that boxes of the train part have: in `order`, or by name.

    Boxes of other classes are left out and counted. Raises DataError where train is missing or has no boxes.
    """
    if not parts.get("train"):
        raise DataError(f"{root} has no training pictures; give a part named train, or pictures without parts")
    counts = Counter(name for each in parts["train"] for name, box in each.boxes if not box.crowd)
    if not counts:
        raise DataError(
            f"no box is marked in the {len(parts['train'])} training pictures of {root}; check the annotation files"
        )
    classes = tuple(name for name in order if counts[name]) if order else tuple(sorted(counts))
    label_of = {name: label for label, name in enumerate(classes)}
    numbered = {
        part: [_numbered(each, label_of, troubles) for each in pictures] for part, pictures in parts.items() if pictures
    }
    return BoxListing(classes, numbered, troubles.notes(), digest([stamp, *classes]))


def _numbered(each: NamedPicture, label_of: Mapping[str, int], troubles: Troubles) -> MarkedPicture:
    boxes = []
    for name, box in each.boxes:
        if name in label_of:
            boxes.append(box._replace(label=label_of[name]))
        else:
            troubles.add("boxes are of classes that no training picture shows; left out", name)
    return each.picture._replace(boxes=tuple(boxes))
