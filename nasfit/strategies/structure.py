"""How a space's decisions fall into blocks, where nobody says so."""

from __future__ import annotations

from collections.abc import Sequence

# Blocks of more decisions than this are not looked for.
LONGEST_BLOCK = 12


def possible_groups(option_counts: Sequence[int]) -> list[tuple[int, ...]]:
    """Ways to cut the decisions into blocks of equal length, the likeliest by the option counts first.

    Blocks of one network are made of the same decisions, so the option counts of neighbouring blocks mostly agree. The
    last is always that every decision stands for itself.
    """
    number = len(option_counts)
    lengths = [length for length in range(2, min(LONGEST_BLOCK, number // 2) + 1) if number % length == 0]
    agreeing = {length: _agreement(option_counts, length) for length in lengths}
    # Of equal agreement the shortest: a block of two is also a block of one repeated.
    ranked = sorted(lengths, key=lambda length: (-agreeing[length], length))
    return [(length,) * (number // length) for length in ranked] + [(1,) * number]


def _agreement(option_counts: Sequence[int], length: int) -> float:
    """Share of decisions with as many options as the same decision of the block before."""
    pairs = list(zip(option_counts, option_counts[length:], strict=False))
    return sum(one == other for one, other in pairs) / len(pairs)
