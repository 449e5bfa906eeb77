"""A trained network -> a file that says how it is used, checked against the network, and tested.

Shapes: B or N pictures, C channels, H and W pixels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

import nasfit
from nasfit.errors import UsageError
from nasfit.export import check_parity, export_model, run_file, with_preprocessing
from nasfit.tasks import Predictions, Split
from nasfit.training.batches import as_images, normalised

CHECKED_PICTURES = 16
_BATCH = 256
_CROP = re.compile(r"centre, (0\.\d+|1) of the shorter side")


@dataclass(frozen=True)
class Preparation:
    """How a picture becomes the file's input, and what the logits stand for.

    mean, std: per channel, of pixels in 0..1. classes: their names in the order of the logits; None where nobody tells.
    crop: side of the centre square that the network looks at, as a share of a picture's shorter side. inside: whether
    the file normalises by itself and takes pixels of 0 to 255.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...] | None = None
    crop: float = 1.0
    inside: bool = False

    def inputs(self, images_BCHW: Tensor) -> Tensor:
        """uint8 pictures as the file takes them, float32."""
        if self.inside:
            return images_BCHW.float()
        return normalised(images_BCHW, self.mean, self.std)

    def module(self, network: nn.Module) -> nn.Module:
        """What is exported of a network that takes normalised pictures."""
        return with_preprocessing(network, self.mean, self.std) if self.inside else network

    def metadata(self) -> dict[str, str]:
        """For the file: lists are JSON texts."""
        told = {} if self.classes is None else {"classes": json.dumps(self.classes, ensure_ascii=False)}
        if self.crop != 1:
            told["crop"] = f"centre, {self.crop:g} of the shorter side"
        if self.inside:
            return {**told, "input": "float32, pixel 0 to 255; the file normalises"}
        return {
            **told,
            "input": "float32, (pixel / 255 - mean) / std",
            "mean": json.dumps(self.mean),
            "std": json.dumps(self.std),
        }


def told_preparation(metadata: Mapping[str, str]) -> Preparation | None:
    """How a file of nasfit says that its pictures are prepared, normalised outside; None where it does not."""
    try:
        mean, std = json.loads(metadata["mean"]), json.loads(metadata["std"])
        classes = json.loads(metadata.get("classes", "null"))
    except (KeyError, ValueError):
        return None
    crop = _CROP.fullmatch(metadata.get("crop", ""))
    names = tuple(map(str, classes)) if isinstance(classes, list) else None
    return Preparation(tuple(mean), tuple(std), names, float(crop[1]) if crop else 1.0)


@dataclass(frozen=True)
class Shipped:
    """A file and how far it is from its network, see `check_parity`. on_pictures: whether on real ones, not noise."""

    content: bytes
    parity: float
    on_pictures: bool


def shipped(
    network: nn.Module,
    architecture: str,
    preparation: Preparation,
    shape: tuple[int, int, int],
    *,
    model_format: str,
    precision: str = "fp32",
    inputs_BCHW: Tensor | None = None,
    told: Mapping[str, str] | None = None,
) -> Shipped:
    """Writes the network in evaluation mode as a file and compares both.

    shape: (C, H, W) of a picture. inputs_BCHW: training pictures as `Preparation.inputs` gives them, which
    int8 is calibrated on and the file is checked with; None checks with noise. told: further metadata. Raises
    TrialFailure where file and network differ, UsageError for int8 without pictures, and as `export_model` does.
    """
    if precision != "fp32" and inputs_BCHW is None:
        raise UsageError(f"{precision} is calibrated on pictures, and none are at hand; give --data")
    module = preparation.module(network)
    content = export_model(
        module,
        shape,
        model_format=model_format,
        precision=precision,
        metadata={
            "nasfit": nasfit.__version__,
            "architecture": architecture,
            "precision": precision,
            **preparation.metadata(),
            **(told or {}),
        },
        calibration_BCHW=inputs_BCHW,
    )
    shown_BCHW = _noise(preparation, shape) if inputs_BCHW is None else inputs_BCHW[:CHECKED_PICTURES]
    parity = check_parity(module, content, shown_BCHW, model_format=model_format, precision=precision)
    return Shipped(content, parity, inputs_BCHW is not None)


def file_accuracy(content: bytes, split: Split, preparation: Preparation, *, model_format: str) -> float:
    """Top-1 of a file on a split, 0 to 1, run in the format's own engine on this machine."""
    return file_predictions(content, split, preparation, model_format=model_format).accuracy(split.labels_N)


def file_predictions(content: bytes, split: Split, preparation: Preparation, *, model_format: str) -> Predictions:
    """What a file says of every picture of a split, run in the format's own engine on this machine."""
    found = []
    for start in range(0, len(split), _BATCH):
        images_BCHW = as_images(np.array(split.images_NHWC[start : start + _BATCH]))
        logits_BK = run_file(content, preparation.inputs(images_BCHW), model_format=model_format)
        found.append(Predictions.of(logits_BK))
    return Predictions.joined(found)


def _noise(preparation: Preparation, shape: tuple[int, int, int]) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return preparation.inputs(torch.randint(0, 256, (4, *shape), generator=random, dtype=torch.uint8))
