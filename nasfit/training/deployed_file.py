"""The file that ships: written and checked; its accuracy, where it computes otherwise than the network does: int8.

Shapes: N pictures, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn

from nasfit.export import export_model
from nasfit.tasks import ClassificationData, Predictions, Split
from nasfit.training.batches import as_images, normalised
from nasfit.training.shipping import Preparation, file_predictions, shipped

CALIBRATION_PICTURES = 128


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
    made = shipped(
        module,
        architecture,
        Preparation(data.mean, data.std, data.classes),
        (data.channels, data.resolution, data.resolution),
        model_format=model_format,
        precision=precision,
        inputs_BCHW=pictures_BCHW,
        told=told,
    )
    return made.content, made.parity


def deployed_predictions(
    network: nn.Module, data: ClassificationData, held_out: Split, *, model_format: str, precision: str
) -> Predictions:
    """What the network's exported file says of a split, run in the format's own engine on this machine."""
    shape = (data.channels, data.resolution, data.resolution)
    content = export_model(
        network,
        shape,
        model_format=model_format,
        precision=precision,
        calibration_BCHW=calibration_pictures(data),
    )
    return file_predictions(content, held_out, Preparation(data.mean, data.std), model_format=model_format)
