"""How much of one network another one could hand on: which parent is nearest."""

from __future__ import annotations

from math import prod

from nasfit.architecture import Architecture, Block, count

# Blocks that add their input in another way were trained to do something else.
OTHER_SKIP = 0.5


def kinship(child: Architecture, parent: Architecture) -> float:
    """0 (nothing in common) to 1 (the same blocks): the mean over blocks, weighted by the child's multiply-adds.

    Blocks of different kinds of operation have nothing in common; else the ratios of their filters, expansions, kernels
    and layers count. 0 as well where one has more blocks than the other.
    """
    if len(child.blocks) != len(parent.blocks):
        return 0.0
    madds = [row.madds for row in count(child).rows[1 : 1 + len(child.blocks)]]
    alike = [_alike(own, its) for own, its in zip(child.blocks, parent.blocks, strict=True)]
    return sum(share * weight for share, weight in zip(alike, madds, strict=True)) / sum(madds)


def _alike(own: Block, its: Block) -> float:
    if (own.op if own.expansion == 1 else "mbconv") != (its.op if its.expansion == 1 else "mbconv"):
        return 0.0
    sizes = [(block.filters, block.expansion, block.kernel, block.layers) for block in (own, its)]
    ratio = float(prod(min(a, b) / max(a, b) for a, b in zip(*sizes, strict=True)))
    return ratio if own.skip == its.skip else OTHER_SKIP * ratio
