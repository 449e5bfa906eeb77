"""What the charts are made of besides axes: points, stairs, clouds of points, labels that make way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from nasfit.report.placement import Box, Label, placed
from nasfit.report.svg import Frame, dots, element

Point = tuple[float, float]

FONT = 13.0
# More points than this are drawn without tooltips, so that the page stays small.
MOST_TOOLTIPS = 1000


def mark(at: Point, kind: str, tip: str, radius: float = 4.5) -> Markup:
    """A point with a tooltip; kind: class names."""
    return element("circle", element("title", tip), class_=f"mark {kind}", cx=at[0], cy=at[1], r=radius)


def square(at: Point, kind: str, tip: str, side: float = 10.0) -> Markup:
    """A square point with a tooltip."""
    half = side / 2
    tip_element = element("title", tip)
    return element("rect", tip_element, class_=f"mark {kind}", x=at[0] - half, y=at[1] - half, width=side, height=side)


def cloud(points: Sequence[Point], tips: Sequence[str], kind: str) -> Markup:
    """Many points alike."""
    if len(points) > MOST_TOOLTIPS:
        return dots(points, kind)
    return Markup("").join(mark(at, kind, tip, 4.0) for at, tip in zip(points, tips, strict=True))


def stairs(points: Sequence[Point]) -> list[Point]:
    """Level up to the next point's x, then up to the point."""
    steps = list(points[:1])
    for (_, y1), (x2, y2) in pairwise(points):
        steps += [(x2, y1), (x2, y2)]
    return steps


def along(points: Sequence[Point]) -> list[Box]:
    """Small boxes along a polyline, for labels to avoid."""
    boxes = []
    for (x1, y1), (x2, y2) in pairwise(points):
        pieces = max(1, int(max(abs(x2 - x1), abs(y2 - y1)) / 6))
        for i in range(pieces + 1):
            x, y = x1 + (x2 - x1) * i / pieces, y1 + (y2 - y1) * i / pieces
            boxes.append(Box(x - 2, y - 2, x + 2, y + 2))
    return boxes


def labels(
    frame: Frame, words: Sequence[str], points: Sequence[Point], target_ms: float, lines: Sequence[Box] = ()
) -> list[Label]:
    """Labels inside the frame that cover neither each other nor the limit nor `lines`."""
    edge = Box(frame.x.start, frame.y.end, frame.x.end, frame.y.start)
    return placed(words, points, edge, size=FONT, obstacles=[*_limit(frame, target_ms), *lines])


def _limit(frame: Frame, target_ms: float) -> list[Box]:
    """The limit's line and its words, as `Frame.limit` draws them."""
    at, width = frame.x(target_ms), 8 * FONT
    left = at - width - 6 if at > (frame.x.start + frame.x.end) / 2 else at
    words = Box(left, frame.y.end - 2, left + width + 6, frame.y.end + 16)
    return [Box(at - 5, frame.y.end, at + 5, frame.y.start), words]
