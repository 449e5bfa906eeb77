"""`nasfit export SOURCE`: a network as the file that ships, checked, tested, measured, and described in a card."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nasfit.architecture import count
from nasfit.cli.export_sources import Source, Wanted, source_of
from nasfit.cli.tested_pictures import tested_pictures
from nasfit.devices import ENGINES, open_device
from nasfit.devices.engines import engine_named
from nasfit.errors import DataError, TrialFailure, UnknownNameError, UsageError
from nasfit.export import CardFile, CardLatency, ModelCard, model_card, ncnn_files
from nasfit.latency import THOROUGH, Candidate, Measurement, measure
from nasfit.study.files import write_whole_file
from nasfit.tasks import ClassificationData
from nasfit.training import (
    CALIBRATION_PICTURES,
    CHECKED_PICTURES,
    Preparation,
    Shipped,
    accuracy,
    as_images,
    file_accuracy,
    shipped,
)

FORMATS = {"tflite": "tflite", "onnx": "onnx", "ncnn": "ncnn", "executorch": "pte"}
PREPROCESSING = ("outside", "inside")


@dataclass(frozen=True)
class Asked:
    """device: to measure on; None: nowhere. engine: None for the one that comes first for the format."""

    source: str
    wanted: Wanted
    format: str = "tflite"
    precision: str = "fp32"
    preprocessing: str = "outside"
    data: str | None = None
    out: Path | None = None
    device: str | None = None
    engine: str | None = None
    licence: str | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UnknownNameError("format", self.format, FORMATS)
        if self.preprocessing not in PREPROCESSING:
            raise UnknownNameError("preprocessing", self.preprocessing, PREPROCESSING)
        if self.engine is not None and self.device is None:
            raise UsageError("--engine says what measures the file; give --device too, such as --device local")
        if self.engine is not None and engine_named(self.engine).model_format != self.model_format:
            raise UsageError(f"engine {self.engine} does not read {self.format} files; leave --engine out")

    @property
    def model_format(self) -> str:
        """As files end."""
        return FORMATS[self.format]

    @property
    def measured_by(self) -> str:
        """The engine that measures."""
        return self.engine or next(name for name, one in ENGINES.items() if one.model_format == self.model_format)


@dataclass(frozen=True)
class Exported:
    """What was made. accuracies: what was tested on what -> top-1, 0 to 1."""

    source: Source
    file: Path
    shipped: Shipped
    accuracies: dict[str, float]
    latency: Measurement | None
    card: str


def run(asked: Asked, *, as_json: bool) -> None:
    """Writes file and card, and prints what they are. Raises NasfitError for what the user can mend."""
    source = source_of(asked.source, asked.wanted)
    network = source.network.architecture
    crop = 1.0 if source.preparation is None else source.preparation.crop
    data = source.data if asked.data is None else tested_pictures(asked.data, network.resolution, crop)
    _require_fitting(source, data, asked.data)
    preparation = replace(_preparation(source, data), inside=asked.preprocessing == "inside")
    images_NHWC = None if data is None else np.array(data.train.images_NHWC[:CALIBRATION_PICTURES])
    made = shipped(
        source.network,
        str(network),
        preparation,
        (network.channels, network.resolution, network.resolution),
        model_format=asked.model_format,
        precision=asked.precision,
        inputs_BCHW=None if images_NHWC is None else preparation.inputs(as_images(images_NHWC)),
        told={} if source.trained else {"weights": "random"},
    )
    file = asked.out or Path(f"{source.name}{'' if asked.precision == 'fp32' else '.' + asked.precision}")
    file = file if asked.out else file.with_name(f"{file.name}.{asked.model_format}")
    accuracies = _accuracies(asked, source, data, preparation, made)
    latency = _latency(asked, made)
    card = _card(asked, source, data, preparation, made, file, accuracies, latency)
    exported = Exported(source, file, made, accuracies, latency, card)
    paths = _write(asked, exported)
    if as_json:
        print(json.dumps(_document(exported, paths), indent=1))
        return
    for line in _lines(asked, exported, paths):
        print(line)


def _require_fitting(source: Source, data: ClassificationData | None, named: str | None) -> None:
    if data is None or named is None:
        return
    network = source.network.architecture
    for what, theirs, ours in (
        ("classes", len(data.classes), network.classes),
        ("channels", data.channels, network.channels),
    ):
        if theirs != ours:
            raise DataError(f"{named!r} has {theirs} {what}, the network {ours}; give the pictures it was trained for")


def _preparation(source: Source, data: ClassificationData | None) -> Preparation:
    known = source.preparation
    if known is None:
        if data is None:
            raise UsageError(
                f"{source.name} does not say how its pictures are normalised; give --data with the pictures it was "
                "trained on"
            )
        return Preparation(data.mean, data.std, data.classes)
    if known.classes is None and data is not None:
        return replace(known, classes=data.classes)
    return known


def _accuracies(
    asked: Asked, source: Source, data: ClassificationData | None, preparation: Preparation, made: Shipped
) -> dict[str, float]:
    """Of the network in float32, and of the file where that computes otherwise."""
    if data is None or not source.trained:
        return dict(source.tested) if asked.precision == "fp32" else {}
    shown = f"{data.name}, {len(data.test):,} test pictures"
    print(f"testing on {len(data.test):,} pictures ...", file=sys.stderr)
    before = accuracy(source.network, data.test, mean=preparation.mean, std=preparation.std)
    source.network.cpu()
    if asked.precision == "fp32":
        return {shown: before}
    after = file_accuracy(made.content, data.test, preparation, model_format=asked.model_format)
    return {f"{shown}, float32 before {asked.precision}": before, f"{shown}, {asked.precision}": after}


def _latency(asked: Asked, made: Shipped) -> Measurement | None:
    if asked.device is None:
        return None
    device = open_device(asked.device, engine=asked.measured_by)
    print(f"measuring on {device.describe().device} ...", file=sys.stderr)
    found = measure(device, {"file": Candidate(made.content)}, timing=THOROUGH, resources=True)["file"]
    if isinstance(found, TrialFailure):
        raise found
    return found


def _card(
    asked: Asked,
    source: Source,
    data: ClassificationData | None,
    preparation: Preparation,
    made: Shipped,
    file: Path,
    accuracies: dict[str, float],
    latency: Measurement | None,
) -> str:
    seen = f"{CHECKED_PICTURES} pictures" if made.on_pictures else "noise"
    return model_card(
        ModelCard(
            name=source.name,
            architecture=source.network.architecture,
            origin=source.origin,
            files=(CardFile(file.name, asked.model_format, asked.precision, len(made.content), made.parity, seen),),
            mean=preparation.mean,
            std=preparation.std,
            crop=preparation.crop,
            inside=preparation.inside,
            classes=preparation.classes,
            data=source.trained_on,
            recipe=source.recipe,
            accuracies=accuracies,
            latency=None
            if latency is None
            else CardLatency(file.name, latency.latency_ms, latency.low_ms, latency.high_ms, latency.conditions),
            licence=asked.licence,
            remarks=(*source.remarks, *(() if latency is None else latency.warnings)),
        )
    )


def _write(asked: Asked, exported: Exported) -> dict[str, Path]:
    """File and card, and for ncnn what its own tools take."""
    file = exported.file
    contents = {"file": (file, exported.shipped.content), "card": (file.with_suffix(".md"), exported.card.encode())}
    if asked.model_format == "ncnn":
        param, weights = ncnn_files(exported.shipped.content)
        contents |= {"param": (file.with_suffix(".param"), param), "bin": (file.with_suffix(".bin"), weights)}
    for path, content in contents.values():
        try:
            write_whole_file(path, content)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}; give another --out") from error
    return {what: path for what, (path, _) in contents.items()}


def _document(exported: Exported, paths: dict[str, Path]) -> dict[str, Any]:
    latency, counts = exported.latency, count(exported.source.network.architecture)
    return {
        **{what: str(path) for what, path in paths.items()},
        "architecture": str(exported.source.network.architecture),
        "origin": exported.source.origin,
        "parameters": counts.parameters,
        "madds": counts.madds,
        "size_bytes": len(exported.shipped.content),
        "parity": exported.shipped.parity,
        "checked_on": "pictures" if exported.shipped.on_pictures else "noise",
        "accuracy": exported.accuracies,
        "latency": None if latency is None else asdict(latency),
        "remarks": list(exported.source.remarks),
    }


def _lines(asked: Asked, exported: Exported, paths: dict[str, Path]) -> Iterator[str]:
    made, counts = exported.shipped, count(exported.source.network.architecture)
    seen = "pictures" if made.on_pictures else "noise, as no pictures are at hand"
    yield exported.source.origin
    yield f"file      {paths['file']}, {asked.precision}, {len(made.content):,} bytes"
    yield f"network   {counts.parameters:,} parameters, {counts.madds:,} multiply-adds"
    yield f"parity    {made.parity:.1e} from the network, seen on {seen}"
    yield from (f"accuracy  {100 * value:.2f} %  {what}" for what, value in exported.accuracies.items())
    if exported.latency is not None:
        found = exported.latency
        yield f"latency   {found.latency_ms:.3g} ms, batch 1, {found.engine} on {found.device}"
        yield from (f"warning: {warning}" for warning in found.warnings)
    yield from (f"note: {remark}" for remark in exported.source.remarks)
    yield f"card      {paths['card']}"
