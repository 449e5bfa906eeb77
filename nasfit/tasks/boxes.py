"""Boxes in pictures: as marked by people, and as found by a detector.

Shapes: M boxes; 4 are left, top, right, bottom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BoxArray = NDArray[np.float64]

# A box of less than this many px in a direction teaches nothing.
LEAST_SIDE = 1.0
_NAMED = 3


class MarkedBox(NamedTuple):
    """One marked box, px. area: of the thing in it, px^2, None for the box's own; crowd: neither trained nor scored."""

    label: int
    left: float
    top: float
    right: float
    bottom: float
    area: float | None = None
    crowd: bool = False


class MarkedPicture(NamedTuple):
    """A picture file and its boxes. size: the width and height that the boxes refer to, None where nothing says."""

    path: str
    name: str
    size: tuple[int, int] | None
    boxes: tuple[MarkedBox, ...]


@dataclass(frozen=True, eq=False)
class Marked:
    """Boxes of one picture, px of the picture as it was read. areas_M: px^2. crowd_M: regions that are not scored."""

    boxes_M4: BoxArray
    labels_M: NDArray[np.int64]
    areas_M: BoxArray
    crowd_M: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Found:
    """Boxes that a detector gives for one picture, px, with scores of 0..1."""

    boxes_M4: BoxArray
    labels_M: NDArray[np.int64]
    scores_M: BoxArray


@dataclass
class Troubles:
    """What was wrong with annotations, counted by kind, with the first few names of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, name: str) -> None:
        """Count one more; what: as in "12 boxes ...", the words after the number."""
        self.counts[what] += 1
        named = self.examples.setdefault(what, [])
        if name not in named and len(named) <= _NAMED:
            named.append(name)

    def notes(self) -> tuple[str, ...]:
        """One sentence a kind."""
        return tuple(self._note(what, number) for what, number in sorted(self.counts.items()))

    def _note(self, what: str, number: int) -> str:
        named = self.examples[what]
        more = ", ..." if len(named) > _NAMED else ""
        return f"{number:,} {what} ({', '.join(named[:_NAMED])}{more})"


def within(boxes: Iterable[MarkedBox], size: tuple[int, int], name: str, troubles: Troubles) -> Marked:
    """The boxes cut at the edges of a picture of this size; those that have no area there are left out, and counted.

    A box whose numbers are no numbers, or whose right edge is left of its left one, has no area.
    """
    rows, kept = [], []
    for box in boxes:
        corners = np.array(box[1:5], np.float64)
        inside = np.clip(corners, 0, [*size, *size])
        sides = inside[2:] - inside[:2]
        if not np.isfinite(corners).all() or not (sides >= LEAST_SIDE).all():
            is_outside = np.isfinite(corners).all() and (corners[2:] - corners[:2] >= LEAST_SIDE).all()
            what = "boxes lie outside their picture" if is_outside else "boxes have no area"
            troubles.add(f"{what}; left out", name)
            continue
        if np.abs(inside - corners).max() > LEAST_SIDE:
            troubles.add("boxes reach over the edge of their picture; cut there", name)
        rows.append(inside)
        kept.append((box.label, float(sides.prod()) if box.area is None else box.area, box.crowd))
    labels, areas, crowd = zip(*kept, strict=True) if kept else ((), (), ())
    return Marked(
        np.array(rows, np.float64).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(areas, np.float64),
        np.array(crowd, np.bool_),
    )
