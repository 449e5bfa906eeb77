"""How a model sees a point: columns of decisions, cells of blocks.

N = points, D = decisions, F = columns (options of all decisions), G = blocks, Q = hints.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nasfit.errors import UsageError

# A block with more points than this has no table of its own; what its decisions do in pairs is modelled all the same.
MOST_CELLS = 2000
# How much of a block's effect may come from its decisions together: 0 none, 1 as much as from each alone.
TOGETHER = 0.5


@dataclass(frozen=True)
class Encoded:
    """Points as a model reads them: columns_NF, each decision's centred and of length 1; cells_NG; hints_NQ."""

    columns_NF: np.ndarray
    cells_NG: np.ndarray
    hints_NQ: np.ndarray

    def rows(self, index: np.ndarray | slice) -> Encoded:
        """Some of the points."""
        return Encoded(self.columns_NF[index], self.cells_NG[index], self.hints_NQ[index])

    def __len__(self) -> int:
        return len(self.columns_NF)


@dataclass(frozen=True)
class Layout:
    """A space as blocks of decisions.

    option_counts: options of each decision. groups: decisions of each block, in reading order. Raises UsageError where
    groups do not add up to the decisions.
    """

    option_counts: tuple[int, ...]
    groups: tuple[int, ...]

    def __post_init__(self) -> None:
        if sum(self.groups) != len(self.option_counts) or min(self.groups) < 1:
            raise UsageError(
                f"groups are {self.groups}; give the number of decisions of each block, in reading order, "
                f"{len(self.option_counts)} in all"
            )

    @cached_property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """Decisions of each block."""
        ends = list(itertools.accumulate(self.groups))
        return tuple(tuple(range(end - size, end)) for size, end in zip(self.groups, ends, strict=True))

    @cached_property
    def alike(self) -> tuple[tuple[int, ...], ...]:
        """Blocks with as many decisions each: where an option may do in one what it does in another."""
        sizes = sorted(set(self.groups))
        sets = (tuple(g for g, own in enumerate(self.groups) if own == size) for size in sizes)
        return tuple(blocks for blocks in sets if len(blocks) > 1)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Columns of each decision: its options, or those of the same decision in a block alike with more."""
        widths = list(self.option_counts)
        for blocks in self.alike:
            for role in zip(*(self.blocks[g] for g in blocks), strict=True):
                most = max(self.option_counts[place] for place in role)
                for place in role:
                    widths[place] = most
        return tuple(widths)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First column of each decision."""
        return tuple(itertools.accumulate(self.widths[:-1], initial=0))

    @cached_property
    def decision_F(self) -> np.ndarray:
        """The decision of each column."""
        return np.repeat(np.arange(len(self.widths)), self.widths)

    @cached_property
    def tables(self) -> dict[int, np.ndarray]:
        """Of each block small enough: the likeness (C, C) of its points, of two or more decisions together."""
        found = {}
        for g, block in enumerate(self.blocks):
            counts = [self.option_counts[place] for place in block]
            if len(block) > 1 and math.prod(counts) <= MOST_CELLS:
                tokens = np.indices(counts).reshape(len(block), -1)
                product, total = np.ones((tokens.shape[1],) * 2), np.zeros((tokens.shape[1],) * 2)
                for place, row in zip(block, tokens, strict=True):
                    likeness = _likeness(self.widths[place], self.option_counts[place])[row][:, row]
                    product *= 1 + TOGETHER * likeness
                    total += likeness
                most = (1 + TOGETHER) ** len(block) - 1 - TOGETHER * len(block)
                found[g] = (product - 1 - TOGETHER * total) / most
        return found

    def encoded(self, points_ND: np.ndarray, hints_NQ: np.ndarray | None = None) -> Encoded:
        """Points as rows of option indices -> what models read."""
        columns = [_columns(width)[points_ND[:, place]] for place, width in enumerate(self.widths)]
        cells_NG = np.zeros((len(points_ND), len(self.groups)), dtype=np.int64)
        for g in self.tables:
            for place in self.blocks[g]:
                cells_NG[:, g] = cells_NG[:, g] * self.option_counts[place] + points_ND[:, place]
        hints_NQ = np.zeros((len(points_ND), 0)) if hints_NQ is None else hints_NQ
        return Encoded(np.concatenate(columns, axis=1), cells_NG, hints_NQ)

    def block_columns(self, g: int) -> slice:
        """The columns of a block."""
        first, last = self.blocks[g][0], self.blocks[g][-1]
        return slice(self.starts[first], self.starts[last] + self.widths[last])

    def role_columns(self, blocks: Sequence[int], role: int) -> list[slice]:
        """The columns of one decision in each of several blocks alike."""
        places = [self.blocks[g][role] for g in blocks]
        return [slice(self.starts[place], self.starts[place] + self.widths[place]) for place in places]


def _columns(width: int) -> np.ndarray:
    """A row an option: centred, so that a column says what is unlike the mean; dot products are the likeness."""
    return (np.eye(width) - 1 / width) * math.sqrt(width / max(width - 1, 1))


def _likeness(width: int, options: int) -> np.ndarray:
    rows = _columns(width)[:options]
    return np.asarray(rows @ rows.T)
