"""Trained weights -> the files that ship: exported, checked on real pictures, measured together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file

import nasfit
from nasfit.architecture import Architecture, count
from nasfit.errors import TrialFailure
from nasfit.export import check_parity, to_onnx
from nasfit.latency import Measurement, Timing, measure
from nasfit.models import build
from nasfit.search.entrants import Entrant
from nasfit.search.result import Contender
from nasfit.search.setup import Setup
from nasfit.training import as_images, normalised

CHECKED_PICTURES = 16
THOROUGH = Timing(precision=0.005, min_rounds=31, max_rounds=120)


@dataclass(frozen=True)
class Delivered:
    """An exported file: its name in the study directory, its bytes, and its parity with the module."""

    name: str
    content: bytes
    parity: float


@dataclass(frozen=True)
class Comparison:
    """The networks that got through, why others did not, and the conditions of the measurement."""

    contenders: tuple[Contender, ...]
    failures: dict[str, str]
    conditions: dict[str, Any]


def compared(setup: Setup, entrants: Sequence[Entrant]) -> Comparison:
    """Exports what was trained, checks each file against its module, and measures all files in one session.

    A network whose training, file or measurement failed is left out, with its reason.
    """
    finals: dict[str, Any] = setup.study.document("finals") or {}
    failures: dict[str, str] = {name: final["failed"] for name, final in finals.items() if "failed" in final}
    files: dict[str, Delivered] = {}
    for entrant in entrants:
        if entrant.name not in failures:
            try:
                files[entrant.name] = delivered(setup, entrant.architecture, entrant.weights)
            except TrialFailure as failure:
                failures[entrant.name] = str(failure)
    latencies = measure(setup.device, {name: file.content for name, file in files.items()}, timing=THOROUGH)
    contenders, conditions = [], {}
    for entrant in entrants:
        latency = latencies.get(entrant.name)
        if isinstance(latency, Measurement):
            accuracy = finals[entrant.name]["accuracy"]
            contenders.append(_contender(entrant, accuracy, files[entrant.name], latency))
            conditions = dict(latency.conditions)
        elif latency is not None:
            failures[entrant.name] = str(latency)
    return Comparison(tuple(contenders), failures, conditions)


def _contender(entrant: Entrant, accuracy: float, file: Delivered, latency: Measurement) -> Contender:
    counts = count(Architecture.parse(entrant.architecture))
    return Contender(
        name=entrant.name,
        origin=entrant.origin,
        architecture=entrant.architecture,
        accuracy=accuracy,
        latency_ms=latency.latency_ms,
        low_ms=latency.low_ms,
        high_ms=latency.high_ms,
        parameters=counts.parameters,
        madds=counts.madds,
        parity=file.parity,
        onnx=file.name,
        weights=entrant.weights,
        warnings=tuple(latency.warnings),
    )


def delivered(setup: Setup, architecture: str, weights: str) -> Delivered:
    """Builds the network, loads its weights, writes the .onnx beside them. Raises TrialFailure if the two differ."""
    network = Architecture.parse(architecture)
    module = build(network)
    try:
        module.load_state_dict(load_file(setup.study.path / weights))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise TrialFailure(f"weights {weights} do not read: {str(error).splitlines()[0]}") from error
    module.eval()
    data = setup.data
    metadata = {
        "nasfit": nasfit.__version__,
        "architecture": architecture,
        "classes": json.dumps(data.classes),
        "input": "float32 NCHW, (pixel / 255 - mean) / std",
        "mean": json.dumps(data.mean),
        "std": json.dumps(data.std),
    }
    content = to_onnx(module, (network.channels, network.resolution, network.resolution), metadata)
    pictures = np.array(data.validation.images_NHWC[:CHECKED_PICTURES])
    parity = check_parity(module, content, normalised(as_images(pictures), data.mean, data.std))
    name = str(Path(weights).with_suffix(".onnx"))
    setup.study.write_file(name, content)
    return Delivered(name, content, parity)
