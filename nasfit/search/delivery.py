"""Trained weights -> the file that ships, checked against the module on real pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

import nasfit
from nasfit.architecture import Architecture
from nasfit.export import check_parity, to_onnx
from nasfit.models import build
from nasfit.search.setup import Setup
from nasfit.training import as_images, normalised

CHECKED_PICTURES = 16


@dataclass(frozen=True)
class Delivered:
    """An exported file: its name in the study directory, its bytes, and its parity with the module."""

    name: str
    content: bytes
    parity: float


def delivered(setup: Setup, architecture: str, weights: str) -> Delivered:
    """Builds the network, loads its weights, writes the .onnx beside them. Raises TrialFailure if the two differ."""
    network = Architecture.parse(architecture)
    module = build(network)
    module.load_state_dict(load_file(setup.study.path / weights))
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
