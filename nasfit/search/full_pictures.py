"""The pictures of a full training, at the size it wants them, and the network fitted to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nasfit.architecture import Architecture, adapted
from nasfit.errors import UsageError
from nasfit.search.full_settings import FullSettings
from nasfit.tasks import MAX_RESOLUTION, ClassificationData, find, load
from nasfit.training import FullRecipe, fitting_recipe, full_recipe, stored_side

# Published networks see larger pictures at this side, px; smaller ones at their own.
PUBLISHED_SIDE = 224
# From this side on pictures are brought as they are wanted: crops of the whole picture, and no disk full of pixels.
STREAMED_SIDE = 128
# A class this many times as frequent as another is worth a word.
IMBALANCE = 10


@dataclass(frozen=True)
class FullPictures:
    """data: of `stored_side(recipe, side)` px. network: as it is trained. notes: sentences for the user."""

    data: ClassificationData
    network: Architecture
    recipe: FullRecipe
    side: int
    notes: tuple[str, ...]


def full_pictures(settings: FullSettings, cache: Path, progress: Callable[[int, int], None] | None) -> FullPictures:
    """Raises DataError, UsageError."""
    network = Architecture.parse(settings.network)
    nature = find(settings.data).nature(PUBLISHED_SIDE)
    side = settings.resolution or (network.resolution if settings.is_fixed else nature.side)
    stream = nature.streams and side >= STREAMED_SIDE if settings.stream is None else settings.stream
    # Which recipe fits is known once the pictures are counted; all that are chosen so test on one share of them.
    test_crop = full_recipe(settings.recipe or "modern").test_crop
    data = _loaded(settings, cache, side, test_crop, stream, progress)
    notes = list(data.notes)
    if settings.recipe is None:
        recipe = fitting_recipe(len(data.train))
        assert recipe.test_crop == test_crop, "the recipes to choose from test on one share"
        notes.append(f"recipe {recipe.name}, for {len(data.train):,} training pictures; --recipe takes another")
    else:
        recipe = full_recipe(settings.recipe)
    fitted, said = _fitted(network, data, side, settings)
    notes += said
    if stream and settings.stream is None:
        notes.append("pictures are decoded as they are wanted; --no-stream decodes them once, to disk")
    notes += _imbalance(data, balanced=settings.balanced)
    return FullPictures(data, fitted, recipe, side, tuple(notes))


def _loaded(
    settings: FullSettings,
    cache: Path,
    side: int,
    test_crop: float,
    stream: bool,
    progress: Callable[[int, int], None] | None,
) -> ClassificationData:
    stored = stored_side(test_crop, side)
    if stored > MAX_RESOLUTION:
        raise UsageError(
            f"pictures of {side} px are cropped from {stored} px, and {MAX_RESOLUTION} is the most; "
            f"give --resolution {int(side * MAX_RESOLUTION / stored)} or less"
        )
    return load(
        settings.data,
        cache=cache,
        resolution=stored,
        seed=settings.seed,
        pictures=settings.pictures,
        stream=stream,
        progress=progress,
    )


def _fitted(
    network: Architecture, data: ClassificationData, side: int, settings: FullSettings
) -> tuple[Architecture, list[str]]:
    classes = len(data.classes)
    if not settings.is_fixed:
        strides = settings.strides
        return adapted(network, resolution=side, channels=data.channels, classes=classes, strides=strides), []
    fitted = replace(network, resolution=side, channels=data.channels, classes=classes)
    facts = {"classes": "classes", "channels": "colour channels", "resolution": "px"}
    said = [
        f"{getattr(network, name)} {what} become {getattr(fitted, name)}"
        for name, what in facts.items()
        if getattr(network, name) != getattr(fitted, name)
    ]
    return fitted, [f"the network is fitted to the pictures: {', '.join(said)}"] if said else []


def _imbalance(data: ClassificationData, *, balanced: bool) -> list[str]:
    counts = np.bincount(data.train.labels_N, minlength=len(data.classes))
    rare, frequent = int(counts.argmin()), int(counts.argmax())
    if counts[frequent] < IMBALANCE * counts[rare]:
        return []
    said = (
        f"classes are unequal: {data.classes[frequent]!r} has {counts[frequent]:,} training pictures, "
        f"{data.classes[rare]!r} {counts[rare]:,}"
    )
    return [f"{said}; they weigh the same in the loss" if balanced else f"{said}; --balance has them weigh the same"]
