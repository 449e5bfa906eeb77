"""Weights of a classification network as a detector's backbone."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from nasfit.architecture import Architecture, Detector, detector_on
from nasfit.errors import NasfitError, TrainingError
from nasfit.models import read_tensors
from nasfit.training.detector_training import Normalisation


def backbone_weights(file: Path, detector: Detector) -> tuple[dict[str, Tensor], Normalisation]:
    """The weights in a file of a classification training, and a normalisation: as it tells, else ImageNet's.

    Number of classes, input size and the strides that follow from it may differ; all else must be the detector's
    backbone. Raises WeightsError for a file that is missing or damaged, TrainingError for one of no known or
    another network.
    """
    tensors, told = read_tensors(file)
    if "architecture" not in told:
        raise TrainingError(
            f"{str(file)!r} does not say of which network its weights are; give a .safetensors file that nasfit wrote"
        )
    trained = Architecture.parse(told["architecture"])
    if trained.channels != detector.backbone.channels:
        raise TrainingError(
            f"{str(file)!r} was trained on pictures of {trained.channels} channel(s), and a detector looks at "
            f"{detector.backbone.channels}; train the backbone on colour pictures"
        )
    try:
        same = detector_on(trained, classes=detector.classes, resolution=detector.resolution).backbone
    except NasfitError as error:
        raise TrainingError(f"{str(file)!r} has weights that no detector takes: {error}") from error
    if same != detector.backbone:
        raise TrainingError(
            f"{str(file)!r} has the weights of another network, {told['architecture']}; wanted is {detector.backbone}"
        )
    return tensors, Normalisation.told(told)
