"""Pictures that a trained network is tested on from the command line, decoded once at its size."""

from __future__ import annotations

from pathlib import Path

from nasfit.tasks import ClassificationData, load
from nasfit.training import seen_in_evaluation

CACHE = Path("runs") / "data"
# Enough to calibrate int8 and to have some of each of ImageNet's classes; test pictures are all taken.
TRAINING_PICTURES = 10_000


def tested_pictures(source: str, resolution: int, crop: float = 1.0, cache: Path = CACHE) -> ClassificationData:
    """Data whose test split is whole and whose training split is thinned, at `resolution` px. Raises DataError.

    crop: side of the centre square that is looked at, as a share of a picture's shorter side.
    """
    data = load(source, cache=cache, resolution=round(resolution / crop), pictures=TRAINING_PICTURES)
    return seen_in_evaluation(data, resolution)
