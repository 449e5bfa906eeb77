"""What makes two points alike: the terms that a model's covariance is the weighted sum of.

Accuracy and latency of a network are nearly sums over its blocks, and an option tends to do in one block what it does
in the others. So: each decision alone; the same decision over all blocks; the decisions of a block together; pairs of
them over all blocks; neighbouring blocks; any pair at all. What a term is worth is learnt (`surrogate.fit`).

N, M = points, D = decisions, F = columns, G = blocks, Q = hints, S = functions drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise

import numpy as np

from nasfit.strategies.surrogate_layout import Encoded, Layout

CONSTANT = 1.0  # variance of the mean level; values are standardised


@dataclass(frozen=True)
class Surfaces:
    """S functions over the space, each a table a block, a weight a column, and a weight a pair of columns."""

    layout: Layout
    offset_S: np.ndarray
    weight_SF: np.ndarray
    pair_SFF: np.ndarray
    hint_SQ: np.ndarray
    table_SC: dict[int, np.ndarray]

    def plus(self, other: Surfaces, share_S: np.ndarray) -> Surfaces:
        """The sums of these functions and a share of the others."""
        share_S1, share_S11 = share_S[:, None], share_S[:, None, None]
        return Surfaces(
            self.layout,
            self.offset_S + share_S * other.offset_S,
            self.weight_SF + share_S1 * other.weight_SF,
            self.pair_SFF + share_S11 * other.pair_SFF,
            self.hint_SQ + share_S1 * other.hint_SQ,
            {g: table_SC + share_S1 * other.table_SC[g] for g, table_SC in self.table_SC.items()},
        )

    def __call__(self, points: Encoded, shape: tuple[int, int]) -> np.ndarray:
        """Values (S, M) of points given as S times M rows, M to each function."""
        columns_SMF = points.columns_NF.reshape(*shape, -1)
        values_SM = self.offset_S[:, None] + np.einsum("smf,sf->sm", columns_SMF, self.weight_SF)
        values_SM += ((columns_SMF @ self.pair_SFF) * columns_SMF).sum(axis=-1)
        values_SM += np.einsum("smq,sq->sm", points.hints_NQ.reshape(*shape, -1), self.hint_SQ)
        cells_SMG = points.cells_NG.reshape(*shape, -1)
        for g, table_SC in self.table_SC.items():
            values_SM += np.take_along_axis(table_SC, cells_SMG[:, :, g], axis=1)
        return np.asarray(values_SM)


@dataclass(frozen=True)
class Kernel:
    """The terms over a layout, with a number of hints."""

    layout: Layout
    hints: int = 0

    @cached_property
    def families(self) -> tuple[str, ...]:
        """Which kind each term is of, in the order of amplitudes."""
        layout = self.layout
        kinds = ["decision"] * len(layout.widths) + ["hint"] * self.hints
        for blocks in layout.alike:
            kinds += ["role"] * layout.groups[blocks[0]]
        kinds += ["block"] * len(layout.tables)
        kinds += ["role pairs" for blocks in layout.alike if layout.groups[blocks[0]] > 1]
        kinds += ["neighbours"] * (len(layout.groups) > 1)
        return (*kinds, "any pair")

    def terms(self, a: Encoded, b: Encoded) -> Iterator[np.ndarray]:
        """Likeness (N, M) by each term, in the order of `families`; about 1 on the diagonal or below."""
        layout = self.layout
        for start, width in zip(layout.starts, layout.widths, strict=True):
            columns = slice(start, start + width)
            yield a.columns_NF[:, columns] @ b.columns_NF[:, columns].T
        for q in range(self.hints):
            yield np.outer(a.hints_NQ[:, q], b.hints_NQ[:, q])
        for blocks in layout.alike:
            for role in range(layout.groups[blocks[0]]):
                yield _role_sum(layout, a, blocks, role) @ _role_sum(layout, b, blocks, role).T / len(blocks)
        for g, table in layout.tables.items():
            yield table[a.cells_NG[:, g]][:, b.cells_NG[:, g]]
        yield from (pairs_a @ pairs_b.T for pairs_a, pairs_b in zip(self._pairs(a), self._pairs(b), strict=True))
        totals = self._totals(a, b)
        if len(totals) > 1:
            yield self._neighbours(totals)
        yield self._any_pair(totals)

    def combined(self, a: Encoded, b: Encoded, amplitudes: np.ndarray) -> np.ndarray:
        """Covariance (N, M): the terms weighted by their amplitudes, and that of the mean level."""
        layout, rest = self.layout, iter(amplitudes)
        alone = np.array([next(rest) for _ in layout.widths])
        total = CONSTANT + (a.columns_NF * alone[layout.decision_F]) @ b.columns_NF.T
        for q in range(self.hints):
            total += next(rest) * np.outer(a.hints_NQ[:, q], b.hints_NQ[:, q])
        for blocks in layout.alike:
            for role in range(layout.groups[blocks[0]]):
                weight = next(rest) / len(blocks)
                total += (weight * _role_sum(layout, a, blocks, role)) @ _role_sum(layout, b, blocks, role).T
        for g, table in layout.tables.items():
            total += (next(rest) * table[a.cells_NG[:, g]])[:, b.cells_NG[:, g]]
        for pairs_a, pairs_b in zip(self._pairs(a), self._pairs(b), strict=True):
            total += (next(rest) * pairs_a) @ pairs_b.T
        totals = self._totals(a, b)
        if len(totals) > 1:
            total += next(rest) * self._neighbours(totals)
        total += next(rest) * self._any_pair(totals)
        return np.asarray(total)

    def surfaces(
        self, data: Encoded, weight_SN: np.ndarray, amplitudes: np.ndarray, generator: np.random.Generator | None
    ) -> Surfaces:
        """The functions sum over n of weight_SN times the covariance with data point n, as tables.

        generator: adds a function drawn from the covariance to each; None adds none.
        """
        layout, drawn, rest = self.layout, _Draw(generator, len(weight_SN)), iter(amplitudes)
        functions, columns = len(weight_SN), layout.decision_F.size
        alone_F = np.array([next(rest) for _ in layout.widths])[layout.decision_F]
        weight_SF = (weight_SN @ data.columns_NF) * alone_F + drawn(columns) * np.sqrt(alone_F)
        hint_Q = np.array([next(rest) for _ in range(self.hints)])
        hint_SQ = (weight_SN @ data.hints_NQ) * hint_Q + drawn(self.hints) * np.sqrt(hint_Q)
        for blocks in layout.alike:
            for role in range(layout.groups[blocks[0]]):
                amplitude = next(rest) / len(blocks)
                sums = weight_SN @ _role_sum(layout, data, blocks, role)
                shared = amplitude * sums + np.sqrt(amplitude) * drawn(sums.shape[1])
                for place in layout.role_columns(blocks, role):
                    weight_SF[:, place] += shared
        table_SC = {}
        for g, table in layout.tables.items():
            amplitude = next(rest)
            sums_SC = np.stack([np.bincount(data.cells_NG[:, g], row, len(table)) for row in weight_SN])
            table_SC[g] = amplitude * sums_SC @ table
            if generator is not None:
                table_SC[g] += np.sqrt(amplitude) * drawn(len(table)) @ self._roots[g].T
        pair_SFF = np.zeros((functions, columns, columns))
        self._add_role_pairs(pair_SFF, data, weight_SN, rest, drawn)
        moment_SFF = (weight_SN[:, None] * data.columns_NF.T) @ data.columns_NF
        if len(layout.groups) > 1:
            share = next(rest) / self._neighbour_norm
            for g in range(len(layout.groups) - 1):
                here, there = layout.block_columns(g), layout.block_columns(g + 1)
                noise = drawn((here.stop - here.start) * (there.stop - there.start))
                moment = moment_SFF[:, here, there]
                pair_SFF[:, here, there] += share * moment + np.sqrt(share) * noise.reshape(moment.shape)
        share = next(rest) / len(layout.widths) ** 2
        pair_SFF += share * moment_SFF + np.sqrt(share) * drawn(columns * columns).reshape(pair_SFF.shape)
        offset_S = CONSTANT * weight_SN.sum(axis=1) + np.sqrt(CONSTANT) * drawn(1)[:, 0]
        return Surfaces(layout, offset_S, weight_SF, pair_SFF, hint_SQ, table_SC)

    @cached_property
    def _roots(self) -> dict[int, np.ndarray]:
        """A square root of each block's table."""
        found = {}
        for g, table in self.layout.tables.items():
            values, vectors = np.linalg.eigh(table)
            found[g] = vectors * np.sqrt(np.maximum(values, 0.0))
        return found

    def _pairs(self, points: Encoded) -> list[np.ndarray]:
        """For each set of blocks alike: products of columns of two decisions of a block, summed over the blocks."""
        found = []
        for blocks, roles, scale in self._role_pairs:
            products = [
                sum(
                    (points.columns_NF[:, a, None] * points.columns_NF[:, None, b]).reshape(len(points), -1)
                    for a, b in self._sides(blocks, pair)
                )
                for pair in roles
            ]
            found.append(scale * np.concatenate(products, axis=1))
        return found

    def _add_role_pairs(
        self, pair_SFF: np.ndarray, data: Encoded, weight_SN: np.ndarray, rest: Iterator[float], drawn: _Draw
    ) -> None:
        for (blocks, roles, scale), pairs_NP in zip(self._role_pairs, self._pairs(data), strict=True):
            amplitude = next(rest)
            shared_SP = amplitude * (weight_SN @ pairs_NP) + np.sqrt(amplitude) * drawn(pairs_NP.shape[1])
            start = 0
            for pair in roles:
                for a, b in self._sides(blocks, pair):
                    shape = (len(pair_SFF), a.stop - a.start, b.stop - b.start)
                    part = shared_SP[:, start : start + shape[1] * shape[2]]
                    pair_SFF[:, a, b] += scale * part.reshape(shape)
                start += shape[1] * shape[2]

    @cached_property
    def _role_pairs(self) -> list[tuple[tuple[int, ...], list[tuple[int, int]], float]]:
        """Blocks alike, the pairs of their decisions, and the scale that makes the likeness about 1 at most."""
        found = []
        for blocks in self.layout.alike:
            roles = list(combinations(range(self.layout.groups[blocks[0]]), 2))
            if roles:
                found.append((blocks, roles, (len(roles) * len(blocks)) ** -0.5))
        return found

    def _sides(self, blocks: Sequence[int], pair: tuple[int, int]) -> list[tuple[slice, slice]]:
        first, second = (self.layout.role_columns(blocks, role) for role in pair)
        return list(zip(first, second, strict=True))

    def _totals(self, a: Encoded, b: Encoded) -> list[np.ndarray]:
        """Likeness of each block, its decisions added up."""
        slices = [self.layout.block_columns(g) for g in range(len(self.layout.groups))]
        return [a.columns_NF[:, columns] @ b.columns_NF[:, columns].T for columns in slices]

    @cached_property
    def _neighbour_norm(self) -> float:
        groups = self.layout.groups
        return float(sum(one * other for one, other in pairwise(groups)))

    def _neighbours(self, totals: list[np.ndarray]) -> np.ndarray:
        products = sum(one * other for one, other in pairwise(totals))
        return np.asarray(products / self._neighbour_norm)

    def _any_pair(self, totals: list[np.ndarray]) -> np.ndarray:
        return np.asarray((sum(totals) / len(self.layout.widths)) ** 2)


@dataclass(frozen=True)
class _Draw:
    """Standard normal numbers for S functions; zeros without a generator."""

    generator: np.random.Generator | None
    functions: int

    def __call__(self, number: int) -> np.ndarray:
        shape = (self.functions, number)
        return np.zeros(shape) if self.generator is None else self.generator.standard_normal(shape)


def _role_sum(layout: Layout, points: Encoded, blocks: Sequence[int], role: int) -> np.ndarray:
    """Columns of one decision, summed over blocks alike."""
    return np.asarray(sum(points.columns_NF[:, columns] for columns in layout.role_columns(blocks, role)))
