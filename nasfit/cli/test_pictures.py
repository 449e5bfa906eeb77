"""Pictures that a trained network is tested on from the command line, decoded once at its size."""

from __future__ import annotations

from pathlib import Path

from nasfit.tasks import ClassificationData, load

CACHE = Path("runs") / "data"
# Enough to calibrate int8 and to have some of each of ImageNet's classes; test pictures are all taken.
TRAINING_PICTURES = 10_000


def test_pictures(source: str, resolution: int, cache: Path = CACHE) -> ClassificationData:
    """Data whose test split is whole and whose training split is thinned, at `resolution` px. Raises DataError."""
    return load(source, cache=cache, resolution=resolution, pictures=TRAINING_PICTURES)
