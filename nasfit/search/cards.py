"""Model cards of the networks that a search hands over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasfit.architecture import Architecture
from nasfit.export import CardFile, CardLatency, ModelCard, model_card
from nasfit.search.result import Contender
from nasfit.tasks import ClassificationData
from nasfit.training import CHECKED_PICTURES, recipe_for


def card_name(file: str) -> str:
    """Where the card of a network lies in the study directory, by the name of its weights."""
    return str(Path(file).with_suffix(".md"))


def contender_card(
    contender: Contender,
    data: ClassificationData,
    final_images: int,
    files: tuple[CardFile, ...],
    conditions: Mapping[str, object],
) -> str:
    """The card of a network after the finale. conditions: of its measurement."""
    shown = f"{data.name}, {len(data.test):,} test pictures"
    accuracies = {shown: contender.accuracy}
    if contender.fp32_accuracy is not None:
        accuracies = {f"{shown}, float32 before int8": contender.fp32_accuracy, f"{shown}, int8": contender.accuracy}
    file = Path(contender.file).name
    return model_card(
        ModelCard(
            name=contender.name,
            architecture=Architecture.parse(contender.architecture),
            origin=origin_of(contender),
            files=files,
            mean=data.mean,
            std=data.std,
            classes=data.classes,
            data=trained_on(data),
            recipe=recipe_of(data, final_images),
            accuracies=accuracies,
            latency=CardLatency(file, contender.latency_ms, contender.low_ms, contender.high_ms, conditions),
            weights=Path(contender.weights).name,
            remarks=contender.warnings,
        )
    )


def training_card(
    name: str, result: Mapping[str, Any], data: ClassificationData, crop: float, sizes: Mapping[str, int]
) -> str:
    """The card of a full training. result: as it is kept. data: as evaluation sees it. sizes: of its files, bytes."""
    files = [(file, form, result["parity"][form]) for form, file in result["files"].items()]
    return model_card(
        ModelCard(
            name=name,
            architecture=Architecture.parse(result["architecture"]),
            origin="Trained fully by nasfit.",
            files=tuple(card_file(file, form, "fp32", sizes[file], parity) for file, form, parity in files),
            mean=data.mean,
            std=data.std,
            crop=crop,
            classes=data.classes,
            data=f"{data.name}: {len(data.train):,} pictures, {len(data.classes):,} classes",
            recipe=f"{result['recipe']}, {result['epochs']:.3g} epochs",
            accuracies={f"{data.name}, {len(data.test):,} test pictures": result["test"]["accuracy"]},
            weights=result["weights"],
        )
    )


def card_file(name: str, model_format: str, precision: str, size_bytes: int, parity: float) -> CardFile:
    """A row of a card, for a file that was checked on training pictures."""
    return CardFile(Path(name).name, model_format, precision, size_bytes, parity, f"{CHECKED_PICTURES} pictures")


def origin_of(contender: Contender) -> str:
    """One sentence."""
    if contender.origin == "found":
        return "Found by nasfit's search, then trained and tested once."
    return "A published network, trained and tested once beside what nasfit's search found."


def trained_on(data: ClassificationData) -> str:
    """The pictures of a final training."""
    number = len(data.train) + len(data.validation)
    return f"{data.name}: {number:,} pictures, {len(data.classes):,} classes"


def recipe_of(data: ClassificationData, final_images: int) -> str:
    """The final training's recipe in a line."""
    pictures = len(data.train) + len(data.validation)
    recipe = recipe_for(final_images, pictures)
    augmented = ", shifted and mirrored" if recipe.flip else ""
    return (
        f"{final_images:,} pictures shown ({final_images / pictures:.1f} passes){augmented}; SGD with Nesterov "
        f"momentum {recipe.momentum:g}, {recipe.batch} a step, one cycle up to rate {recipe.peak_rate:g}, weight decay "
        f"{recipe.weight_decay:g}, label smoothing {recipe.label_smoothing:g}"
    )
