"""What the top of a report is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Said of an unfinished study by whoever cannot tell which it is.
GO_ON = "The search is still running or was interrupted; the same command goes on where it stopped."


@dataclass(frozen=True)
class Tile:
    """One figure of the headline: what it is, its value, and what to know with it."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Answer:
    """The top of the report.

    kind: `better`, `unclear`, `worse` (against the published networks), `none` (no network meets the limit) or
    `unfinished`.
    """

    kind: str
    headline: str
    tiles: tuple[Tile, ...] = ()
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def margin(a: float, b: float, pictures: int | None) -> float | None:
    """Half the 95 % interval of the difference of two accuracies, each from `pictures` independent test pictures.

    Normal approximation for unpaired samples: for two networks tested on the same pictures it is on the safe side.
    """
    return 1.96 * math.sqrt((a * (1 - a) + b * (1 - b)) / pictures) if pictures else None


def wilson(right: int, number: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); 0 to 1 without any picture."""
    if not number:
        return 0.0, 1.0
    z, share = 1.96, right / number
    middle, room = share + z * z / (2 * number), z * math.sqrt(share * (1 - share) / number + (z / (2 * number)) ** 2)
    scale = 1 + z * z / number
    return (middle - room) / scale, (middle + room) / scale
