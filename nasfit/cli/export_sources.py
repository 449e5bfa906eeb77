"""What `nasfit export SOURCE` exports: a study's network, a full training's, a file of weights, or a named network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from nasfit.architecture import PUBLISHED
from nasfit.cli.networks import Fitting, architecture_named
from nasfit.errors import DataError, UsageError
from nasfit.export import read_metadata
from nasfit.models import IMAGENET_MEAN, IMAGENET_STD, Network, build, created, load_network
from nasfit.search import open_study
from nasfit.search.cards import origin_of, recipe_of, trained_on
from nasfit.search.full_run import FACTS, RESULT
from nasfit.study import holds_study
from nasfit.tasks import ClassificationData, open_saved
from nasfit.training import Preparation, seen_in_evaluation, told_preparation


@dataclass(frozen=True)
class Wanted:
    """The options that say which network: all of a source that can have them, None where not given."""

    network: str | None = None
    weights: Path | None = None
    new_classifier: bool = False
    same_padding: bool = False
    fitting: Fitting = field(default_factory=Fitting)


@dataclass(frozen=True)
class Source:
    """A network to export, and what is known of it. name: of its files.

    preparation: None where nobody tells how pictures are normalised. data: the pictures it was trained on, where they
    are at hand. trained: whether its weights are. tested: what was tested on what before, -> top-1, 0 to 1.
    """

    name: str
    network: Network
    origin: str
    preparation: Preparation | None
    data: ClassificationData | None = None
    trained_on: str | None = None
    recipe: str | None = None
    trained: bool = True
    tested: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = field(default=())


def source_of(text: str, wanted: Wanted) -> Source:
    """What a SOURCE means. Raises UsageError, UnknownNameError, StudyError, WeightsError, ArchitectureError."""
    path = Path(text)
    if "|" not in text and path.is_dir():
        _refuse(wanted, "a directory", ("weights", "new_classifier", "same_padding", "fitting"))
        if holds_study(path):
            return _of_study(path, wanted.network)
        if (path / RESULT).is_file():
            _refuse(wanted, "a full training", ("network",))
            return _of_training(path)
        raise UsageError(f"{text!r} is neither a study nor a finished training; give one, a file or a network's name")
    _refuse(wanted, "what is no study", ("network",))
    if path.suffix == ".safetensors":
        _refuse(wanted, "a network's name", ("weights", "new_classifier", "same_padding", "fitting"))
        return _of_file(path)
    if path.suffix in (".pth", ".pt", ".bin"):
        raise UsageError(
            f"{text!r} does not say of which network it is; name that: nasfit export NAME --weights {text}"
        )
    return _of_name(text, wanted)


def _refuse(wanted: Wanted, what: str, options: tuple[str, ...]) -> None:
    """Raises UsageError where one of these options was given: it would do nothing."""
    for option in options:
        if getattr(wanted, option) != getattr(Wanted(), option):
            names = "--width, --resolution and --classes" if option == "fitting" else f"--{option.replace('_', '-')}"
            suits = "a study" if option == "network" else "the name of a published network"
            raise UsageError(f"{names} goes with {suits}, not with {what}; leave it out")


def _of_study(path: Path, name: str | None) -> Source:
    found = open_study(path)
    contender = found.best() if name is None else found.network(name)
    network, _ = load_network(path / contender.weights)
    data = found.pictures()
    assert found.result is not None, "there are networks"
    return Source(
        name=Path(contender.weights).stem,
        network=network,
        origin=origin_of(contender),
        preparation=Preparation(data.mean, data.std, data.classes),
        data=data,
        trained_on=trained_on(data),
        recipe=recipe_of(data, found.result.final_images),
    )


def _of_training(path: Path) -> Source:
    """A finished `nasfit train`: its files tell how pictures are prepared."""
    try:
        result: dict[str, Any] = json.loads((path / RESULT).read_text(encoding="utf-8"))
        weights, exchange = path / result["weights"], path / result["files"]["onnx"]
        recipe = f"{result['recipe']}, {result['epochs']:g} epochs of {result['pictures']:,} pictures"
        facts: dict[str, Any] = json.loads((path / FACTS).read_text(encoding="utf-8"))["data"]
        shown = f"{facts['name']}, {result['test']['pictures']:,} test pictures"
        tested = {shown: float(result["test"]["accuracy"])}
        told = read_metadata(exchange.read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{str(path)!r} is no finished training that reads: {error}") from error
    network, _ = load_network(weights)
    return Source(
        name=path.absolute().name,
        network=network,
        origin="Trained fully by nasfit.",
        preparation=told_preparation(told),
        data=_kept_pictures(path / "data", facts["fingerprint"], network.architecture.resolution),
        trained_on=f"{facts['name']}: {facts['pictures']:,} pictures, {network.architecture.classes:,} classes",
        recipe=recipe,
        tested=tested,
    )


def _kept_pictures(directory: Path, fingerprint: str, side: int) -> ClassificationData | None:
    """The pictures of a training as evaluation sees them; None where they were removed."""
    for place in sorted(directory.iterdir()) if directory.is_dir() else []:
        with suppress(DataError):
            data = open_saved(place)
            if data.fingerprint == fingerprint:
                return seen_in_evaluation(data, side)
    return None


def _of_file(path: Path) -> Source:
    network, told = load_network(path)
    return Source(path.stem, network, f"Weights of `{path.name}`, written by nasfit.", told_preparation(told))


def _of_name(text: str, wanted: Wanted) -> Source:
    fitting = wanted.fitting
    torch.manual_seed(0)
    if text not in PUBLISHED:
        _refuse(wanted, "a text form", ("weights", "new_classifier", "same_padding"))
        architecture = architecture_named(text, fitting)
        return _untrained("network", build(architecture).eval())
    made = created(
        text,
        num_classes=fitting.classes or 1000,
        width=1.0 if fitting.width is None else fitting.width,
        resolution=fitting.resolution or 224,
        weights=wanted.weights,
        new_classifier=wanted.new_classifier,
        same_padding=wanted.same_padding,
    )
    name = text if fitting.width in (None, 1.0) else f"{text}-x{fitting.width:g}"
    if made.source is None:
        return _untrained(name, made.network.eval())
    preparation = (
        Preparation(made.mean, made.std, crop=made.crop)
        if made.source != "nasfit"
        else told_preparation(made.metadata or {})
    )
    origin = f"The published {text}, weights of {made.source}."
    fresh = ("The last layer is fresh and has to be trained.",) if wanted.new_classifier else ()
    on = "ImageNet" if made.source != "nasfit" and made.network.architecture.classes == 1000 else None
    return Source(name, made.network.eval(), origin, preparation, trained_on=on, remarks=fresh)


def _untrained(name: str, network: Network) -> Source:
    channels = network.architecture.channels
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else ((0.5,) * channels, (0.5,) * channels)
    remark = "The weights are random: this network is good for measuring, and for nothing else."
    return Source(
        name,
        network,
        "Untrained.",
        Preparation(mean, std),
        trained_on="nothing",
        recipe="none",
        trained=False,
        remarks=(remark,),
    )
