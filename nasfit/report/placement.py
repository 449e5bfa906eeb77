"""Labels beside points so that none covers another label, a point or the edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Share of the font size that an average character is wide.
CHARACTER = 0.58


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Shared area, px^2."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across * down if across > 0 and down > 0 else 0.0

    @property
    def area(self) -> float:
        """px^2."""
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True)
class Label:
    """Words with the place of their left end and middle line, px."""

    words: str
    x: float
    y: float


def placed(
    words: Sequence[str],
    points: Sequence[tuple[float, float]],
    edge: Box,
    *,
    size: float,
    obstacles: Sequence[Box] = (),
) -> list[Label]:
    """One label of font size `size` px for each point (px), in its best free place around the point.

    Greedy, in the order given: put first what matters most. obstacles: what else not to cover.
    """
    reach = size * 0.6
    taken = [*obstacles, *(Box(x - reach, y - reach, x + reach, y + reach) for x, y in points)]
    labels = []
    for text, point in zip(words, points, strict=True):
        options = _around(len(text) * size * CHARACTER, size, point)
        costs = [cost(box, taken, edge) for box in options]
        best = options[min(range(len(options)), key=lambda i: (round(costs[i], 3), i))]
        taken.append(best)
        labels.append(Label(text, best.left, (best.top + best.bottom) / 2))
    return labels


def cost(box: Box, taken: Sequence[Box], edge: Box) -> float:
    """Area covered; touching anything at all costs as much again, for a thin line has little area."""
    covered = [area for other in taken if (area := box.overlap(other))]
    outside = box.area - box.overlap(edge)
    return sum(covered) + box.area * len(covered) + (4 * outside + box.area if outside > 1e-6 else 0.0)


def _around(width: float, size: float, point: tuple[float, float]) -> list[Box]:
    """Boxes right, left, above, below and at the corners of a point, then the same further out."""
    x, y = point
    options = []
    for gap in (1.05 * size, 1.8 * size, 2.8 * size):
        half = 0.6 * size
        right, left, middle = x + gap, x - gap - width, x - width / 2
        above, below = y - gap - 0.6 * half, y + gap + 0.6 * half
        places = [
            (right, y), (left, y), (middle, above), (middle, below),
            (right, above), (right, below), (left, above), (left, below),
        ]  # fmt: skip
        options += [Box(left, y - half, left + width, y + half) for left, y in places]
    return options
