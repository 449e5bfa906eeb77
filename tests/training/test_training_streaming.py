from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nasfit.errors import DataError
from nasfit.tasks import ClassificationData, load
from nasfit.tasks.decoding import decode, window_of
from nasfit.training import Recipe
from nasfit.training.batches import plain_batches, training_batches

STILL = Recipe(images=80, batch=8)
MOVED = Recipe(images=80, batch=8, shift=0.07, flip=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClassificationData, ClassificationData]:
    """The same pictures decoded as they are wanted, and once."""
    root = tmp_path_factory.mktemp("pictures")
    for label in range(2):
        (root / f"c{label}").mkdir()
        for number in range(20):
            pixels = np.random.default_rng((label, number)).integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"c{label}" / f"{number:02}.png")
    cache = tmp_path_factory.mktemp("cache")
    return load(root, cache=cache, resolution=32, stream=True), load(root, cache=cache, resolution=32)


def test_streamed_batches_are_those_of_decoded_pictures(data: tuple[ClassificationData, ClassificationData]) -> None:
    brought, decoded = (list(training_batches(found.train, STILL, np.random.default_rng(3))) for found in data)
    assert len(brought) == len(decoded) == 10
    for (images, labels), (expected, expected_labels) in zip(brought, decoded, strict=True):
        assert torch.equal(images, expected)
        assert torch.equal(labels, expected_labels)
        assert images.is_contiguous(memory_format=torch.channels_last)
    for (images, _), (expected, _) in zip(*(plain_batches(found.test, 4) for found in data), strict=True):
        assert torch.equal(images, expected)


def test_moved_batches_follow_the_seed_alone(data: tuple[ClassificationData, ClassificationData]) -> None:
    brought, _ = data
    once, again, other = (
        torch.cat([images for images, _ in training_batches(brought.train, MOVED, np.random.default_rng(seed))])
        for seed in (1, 1, 2)
    )
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    still = torch.cat([images for images, _ in training_batches(brought.train, STILL, np.random.default_rng(1))])
    assert (once != still).flatten(1).any(dim=1).all()


def test_half_of_the_pictures_are_mirrored(data: tuple[ClassificationData, ClassificationData]) -> None:
    brought, _ = data
    flipping = Recipe(images=80, batch=8, flip=True)
    still, flipped = (
        torch.cat([images for images, _ in training_batches(brought.train, recipe, np.random.default_rng(1))])
        for recipe in (STILL, flipping)
    )
    is_same = (still == flipped).flatten(1).all(dim=1)
    is_mirrored = (still.flip(3) == flipped).flatten(1).all(dim=1)
    # The draws of the order come first, so that both see the same pictures.
    assert (is_same ^ is_mirrored).all()
    assert 20 < is_mirrored.sum() < 60


def test_random_windows_lie_inside_and_cover_what_they_should() -> None:
    draws = np.random.default_rng(0).random((2000, 4))
    boxes = np.array([window_of(500, 375, drawn) for drawn in draws])
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= 500).all()
    assert (boxes[:, 3] <= 375).all()
    areas = widths * heights / (500 * 375)
    assert 0.07 < areas.min() < 0.1
    assert areas.max() > 0.9
    assert (widths / heights).min() > 0.74
    assert window_of(500, 375, np.array([1.0, 0.5, 0.0, 0.0])) == (0, 0, 433, 375)


def test_a_window_of_a_jpeg_is_the_same_part_however_small_it_is_decoded() -> None:
    """A ramp from left to right: the window's values tell where it lies."""
    ramp = np.broadcast_to(np.linspace(0, 255, 1600).astype(np.uint8), (1200, 1600))
    stream = io.BytesIO()
    Image.fromarray(ramp.copy()).convert("RGB").save(stream, "JPEG", quality=95)
    for draws in np.random.default_rng(1).random((6, 4)):
        left, _, right, _ = window_of(1600, 1200, draws)
        image = decode(io.BytesIO(stream.getvalue()), 32, draws)
        assert not isinstance(image, str)
        expected = 255 * (left + (np.arange(32) + 0.5) / 32 * (right - left)) / 1600
        assert np.abs(image[:, :, 0].mean(axis=0) - expected).max() < 5


def test_a_picture_that_is_gone_ends_the_training_with_its_name(tmp_path: Path) -> None:
    for label in range(2):
        (tmp_path / "set" / f"c{label}").mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (32, 32), (label, number, 0)).save(tmp_path / "set" / f"c{label}" / f"{number}.png")
    found = load(tmp_path / "set", cache=tmp_path / "cache", resolution=24, stream=True)
    (tmp_path / "set" / "c0" / "0.png").unlink()
    (tmp_path / "set" / "c0" / "1.png").unlink()
    (tmp_path / "set" / "c0" / "2.png").unlink()
    with pytest.raises(DataError, match=r"c0/\d\.png could be read when the study began"):
        list(training_batches(found.train, STILL, np.random.default_rng(0)))
