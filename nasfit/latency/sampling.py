"""Which networks of a space to measure so that a predictor learns most: a designed sample, not a random one."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence

import numpy as np

from nasfit.errors import UsageError

Tokens = tuple[int, ...]

# Random points that show the range of costs, the share left out at both ends, and exchanges tried a point.
_LOOKED_AT = 1000
_OUTSIDE = 0.005
_EXCHANGES = 10


def designed_sample(
    option_counts: Sequence[int],
    number: int,
    *,
    cost: Callable[[Tokens], float] | None = None,
    seed: int = 0,
    avoid: Collection[Tokens] = (),
) -> list[Tokens]:
    """`number` different points: every option of every decision about equally often, costs spread over their range.

    Balance is exact (counts differ by 1 at most; by a few where points had to be drawn again to differ). cost: what is
    known beforehand to follow latency, above 0, such as multiply-adds of the decoded point; random points crowd in the
    middle of its range, so options are exchanged between points, which keeps the balance, until the costs lie more
    evenly on a logarithmic scale. avoid: points not to be taken, such as those held out. Equal arguments give equal
    points. Raises UsageError for counts below 1, and for more points than half of the space has.
    """
    counts, taken = tuple(option_counts), set(avoid)
    if not counts or min(counts) < 1:
        raise UsageError(f"option counts are {counts}; give 1 or more for each decision")
    room = float(np.prod([float(count) for count in counts])) / 2 - len(taken)
    if not 1 <= number <= max(room, 1):
        raise UsageError(f"a designed sample of {number!r} points; this space has room for 1 to {int(max(room, 1))}")
    draw = random.Random(seed)
    points = _balanced(counts, number, draw)
    _make_different(points, counts, taken, draw)
    if cost is not None and number > 2:
        _spread(points, counts, taken, cost, draw)
    return [tuple(point) for point in points]


def _balanced(counts: Tokens, number: int, draw: random.Random) -> list[list[int]]:
    columns = []
    for count in counts:
        # Which options are there once more than others is chance, so that it is not always the first ones.
        order = draw.sample(range(count), count)
        column = [order[at % count] for at in range(number)]
        draw.shuffle(column)
        columns.append(column)
    return [list(point) for point in zip(*columns, strict=True)]


def _make_different(points: list[list[int]], counts: Tokens, taken: set[Tokens], draw: random.Random) -> None:
    seen = set(taken)
    for point in points:
        while tuple(point) in seen:
            place = draw.randrange(len(counts))
            point[place] = draw.randrange(counts[place])
        seen.add(tuple(point))


def _spread(
    points: list[list[int]],
    counts: Tokens,
    taken: set[Tokens],
    cost: Callable[[Tokens], float],
    draw: random.Random,
) -> None:
    """Exchange single options between pairs of points wherever that makes the costs more even."""
    looked_at = [tuple(draw.randrange(count) for count in counts) for _ in range(_LOOKED_AT)]
    seen = [_logarithm(cost(point)) for point in looked_at]
    low, high = float(np.quantile(seen, _OUTSIDE)), float(np.quantile(seen, 1 - _OUTSIDE))
    wanted = np.linspace(low, high, len(points))
    costs = np.array([_logarithm(cost(tuple(point))) for point in points])
    there = taken | {tuple(point) for point in points}
    uneven = _unevenness(costs, wanted)
    for _ in range(_EXCHANGES * len(points)):
        (a, b), place = draw.sample(range(len(points)), 2), draw.randrange(len(counts))
        if points[a][place] == points[b][place]:
            continue
        new_a, new_b = list(points[a]), list(points[b])
        new_a[place], new_b[place] = new_b[place], new_a[place]
        if tuple(new_a) in there or tuple(new_b) in there:
            continue
        changed = costs.copy()
        changed[a], changed[b] = _logarithm(cost(tuple(new_a))), _logarithm(cost(tuple(new_b)))
        if (less := _unevenness(changed, wanted)) < uneven:
            there = there - {tuple(points[a]), tuple(points[b])} | {tuple(new_a), tuple(new_b)}
            points[a], points[b], costs, uneven = new_a, new_b, changed, less


def _unevenness(costs: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sum((np.sort(costs) - wanted) ** 2))


def _logarithm(value: float) -> float:
    if not value > 0:
        raise UsageError(f"a point has cost {value!r}; costs must be above 0")
    return float(np.log(value))
