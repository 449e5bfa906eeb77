"""Small generated pictures for the tests of nasfit.tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Painter = Callable[..., Path]


def _paint(path: Path, *, seed: int = 0, size: tuple[int, int] = (28, 28), mode: str = "RGB") -> Path:
    """A noisy picture of its own seed; the format is that of the extension."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.fixture
def paint() -> Painter:
    return _paint


@pytest.fixture
def fill() -> Callable[..., Path]:
    """Fills root/<class>/ with pictures: fill(root, {"cat": 4, "dog": 5})."""

    def filled(root: Path, counts: dict[str, int], extension: str = "png", **options: object) -> Path:
        for index, (name, count) in enumerate(counts.items()):
            for number in range(count):
                seed = 1000 * index + number
                _paint(root / name / f"{number}.{extension}", seed=seed, **options)  # type: ignore[arg-type]
        return root

    return filled
