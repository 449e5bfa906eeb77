"""Which listed picture goes to which row of which split; known before anything is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nasfit.tasks.pictures import Listing
from nasfit.tasks.pixels import Labels, Rows
from nasfit.tasks.sources import Wanted
from nasfit.tasks.splitting import SHARE, divided


@dataclass(frozen=True)
class Layout:
    """`rows` has, for each split, the places (in the listing) of its pictures; `labels_N` those of the whole listing.

    `given` are the parts that the listing has; the other splits are carved from train.
    """

    rows: Mapping[str, Rows]
    labels_N: Labels
    given: frozenset[str]
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Pictures in all splits together."""
        return sum(map(len, self.rows.values()))

    def places(self) -> Rows:
        """The places of all chosen pictures, in the order of the listing."""
        return np.sort(np.concatenate(list(self.rows.values())))

    def where(self, place: int) -> tuple[str, int]:
        """Split and row of the picture at a place."""
        part, row = self._targets[0][place], self._targets[1][place]
        return list(self.rows)[part], int(row)

    @cached_property
    def _targets(self) -> tuple[NDArray[np.int8], Rows]:
        parts, targets = np.full(len(self.labels_N), -1, np.int8), np.zeros(len(self.labels_N), np.int64)
        for number, rows in enumerate(self.rows.values()):
            parts[rows], targets[rows] = number, np.arange(len(rows))
        return parts, targets


def laid_out(listing: Listing, wanted: Wanted) -> Layout:
    """The layout of a whole listing: shuffled by the seed, thinned and carved as `divided` says."""
    generator = np.random.default_rng(wanted.seed)
    labels_N = np.fromiter((picture.label for picture in listing), np.int64, len(listing))
    orders, start = {}, 0
    for part, pictures in listing.parts.items():
        orders[part] = start + generator.permutation(len(pictures))
        start += len(pictures)
    share = SHARE if wanted.validation is None else wanted.validation
    labels = dict.fromkeys(orders, labels_N)
    rows = divided(orders, labels, len(listing.classes), share, wanted.pictures)
    left = len(orders["train"]) - sum(
        len(found) for part, found in rows.items() if part == "train" or part not in orders
    )
    notes = (
        (f"{len(orders['train']) - left:,} of {len(orders['train']):,} training pictures, as asked",) if left else ()
    )
    return Layout(rows, labels_N, frozenset(orders), notes)


def mended(layout: Layout, failed: Rows) -> Layout:
    """The layout without the pictures that failed, with as few rows changed as can be.

    Of each class that lost pictures, train and the splits carved from it keep their shares of what is left, at least
    one picture each; the last ones of a split with too many go to one with too few. Gaps are filled with these, then
    from the split's end.
    """
    leaves = np.zeros(len(layout.labels_N), bool)
    leaves[failed] = True
    own = [part for part in layout.rows if part == "train" or part not in layout.given]
    arrivals: dict[str, list[Rows]] = {part: [np.empty(0, np.int64)] for part in layout.rows}
    for label in np.unique(layout.labels_N[failed]):
        before = {part: layout.rows[part][layout.labels_N[layout.rows[part]] == label] for part in own}
        left = {part: rows[~leaves[rows]] for part, rows in before.items()}
        wanted = _shares({part: len(rows) for part, rows in before.items()}, sum(map(len, left.values())))
        spare = np.concatenate([left[part][wanted[part] :] for part in own])
        leaves[spare] = True
        for part in own:
            lacking = max(0, wanted[part] - len(left[part]))
            arrivals[part].append(spare[:lacking])
            spare = spare[lacking:]
    rows = {part: _closed(found, leaves, np.concatenate(arrivals[part])) for part, found in layout.rows.items()}
    return Layout(rows, layout.labels_N, layout.given, layout.notes)


def _shares(before: dict[str, int], left: int) -> dict[str, int]:
    """How many of `left` pictures of a class each split gets, in proportion to what it had; train what remains."""
    total = sum(before.values())
    carved = {part: min(size, max(1, round(size * left / total))) for part, size in before.items() if part != "train"}
    while sum(carved.values()) >= left and max(carved.values()) > 1:
        carved[max(carved, key=lambda part: carved[part])] -= 1
    return {"train": left - sum(carved.values()), **carved}


def _closed(rows: Rows, leaves: NDArray[np.bool_], arrivals: Rows) -> Rows:
    """Arrivals in the place of what leaves, or at the end; then the last rows in the gaps that are left."""
    gaps = np.flatnonzero(leaves[rows])
    filled = min(len(gaps), len(arrivals))
    closed = np.concatenate([rows, arrivals[filled:]])
    closed[gaps[:filled]] = arrivals[:filled]
    keeps = np.ones(len(closed), bool)
    keeps[gaps[filled:]] = False
    length = int(keeps.sum())
    holes = np.flatnonzero(~keeps[:length])
    closed[holes] = closed[length:][keeps[length:]]
    return closed[:length]
