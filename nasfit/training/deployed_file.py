"""The file that ships: written and checked; its accuracy, where it computes otherwise than the network does: int8.

Shapes: N pictures, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

import nasfit
from nasfit.export import check_parity, export_model, run_file
from nasfit.tasks import ClassificationData, Split
from nasfit.training.batches import as_images, normalised

CALIBRATION_PICTURES = 128
CHECKED_PICTURES = 16
_BATCH = 256


def calibration_pictures(data: ClassificationData, number: int = CALIBRATION_PICTURES) -> Tensor:
    """The first training pictures, normalised, (number, C, H, W) float32; every prefix of a split is a fair sample."""
    return normalised(as_images(np.array(data.train.images_NHWC[:number])), data.mean, data.std)


def shipped_file(
    module: nn.Module,
    architecture: str,
    data: ClassificationData,
    pictures_BCHW: Tensor,
    *,
    model_format: str,
    precision: str = "fp32",
    told: Mapping[str, str] | None = None,
) -> tuple[bytes, float]:
    """The module's file, which describes its input and classes, and how far it is from the module on real pictures.

    pictures_BCHW: normalised, for calibration and check. told: further metadata. Raises TrialFailure where they differ.
    """
    metadata = {
        "nasfit": nasfit.__version__,
        "architecture": architecture,
        "classes": json.dumps(data.classes),
        "input": "float32, (pixel / 255 - mean) / std",
        "mean": json.dumps(data.mean),
        "std": json.dumps(data.std),
        "precision": precision,
        **(told or {}),
    }
    content = export_model(
        module,
        (data.channels, data.resolution, data.resolution),
        model_format=model_format,
        precision=precision,
        metadata=metadata,
        calibration_BCHW=pictures_BCHW,
    )
    parity = check_parity(
        module, content, pictures_BCHW[:CHECKED_PICTURES], model_format=model_format, precision=precision
    )
    return content, parity


def deployed_accuracy(
    network: nn.Module, data: ClassificationData, held_out: Split, *, model_format: str, precision: str
) -> float:
    """Top-1 on a split, 0 to 1, of the network's exported file run in the format's own engine on this machine."""
    shape = (data.channels, data.resolution, data.resolution)
    content = export_model(
        network,
        shape,
        model_format=model_format,
        precision=precision,
        calibration_BCHW=calibration_pictures(data),
    )
    right = 0
    for start in range(0, len(held_out), _BATCH):
        images = as_images(np.array(held_out.images_NHWC[start : start + _BATCH]))
        logits_NK = run_file(content, normalised(images, data.mean, data.std), model_format=model_format)
        right += int((torch.from_numpy(logits_NK).argmax(1).numpy() == held_out.labels_N[start : start + _BATCH]).sum())
    return right / len(held_out)
