"""The accuracy of one network with shared weights: batch norms recalibrated, perhaps after a short training of its own.

Shapes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nasfit.architecture import Architecture
from nasfit.models.network import Network
from nasfit.tasks import ClassificationData, Split, open_saved
from nasfit.training.batches import normalised, plain_batches
from nasfit.training.deployed_file import deployed_predictions
from nasfit.training.network_training import accuracy, best_device, train
from nasfit.training.recipe import Recipe
from nasfit.training.shared_file import read_shared

# Statistics of so many pictures are as good as those of all; a validation accuracy of so many is known to 1 point, and
# better than that against another network's on the same pictures.
CALIBRATION_IMAGES = 256
TEST_PICTURES = 2000


@dataclass(frozen=True)
class ScoringJob:
    """shared: file of shared weights. architecture: text. data: directory of saved pictures. precision, model_format:
    as in `TrainingJob`. tuning: a short training of the network's own from there, on pictures drawn with seed, or None.
    """

    shared: str
    architecture: str
    data: str
    seed: int
    precision: str = "fp32"
    model_format: str = "tflite"
    tuning: Recipe | None = None


@dataclass(frozen=True)
class Scored:
    """accuracy: top-1 on the first validation pictures, 0 to 1. seconds: taken."""

    accuracy: float
    seconds: float


def run_scoring(job: ScoringJob) -> Scored:
    """Takes the network out of the shared weights and tests it. Raises TrialFailure if its tuning diverges."""
    started, device = time.perf_counter(), best_device()
    data = open_saved(Path(job.data))
    weights, _, _ = read_shared(Path(job.shared))
    network = weights.extract(Architecture.parse(job.architecture))
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if job.tuning is not None:
        train(network, data.train, job.tuning, mean=data.mean, std=data.std, seed=job.seed, device=device)
    recalibrate(network, data)
    held_out = Split(data.validation.images_NHWC[:TEST_PICTURES], data.validation.labels_N[:TEST_PICTURES])
    if job.precision == "fp32":
        reached = accuracy(network, held_out, mean=data.mean, std=data.std, device=device)
    else:
        found = deployed_predictions(
            network.cpu(), data, held_out, model_format=job.model_format, precision=job.precision
        )
        reached = found.accuracy(held_out.labels_N)
    return Scored(reached, time.perf_counter() - started)


@torch.no_grad()
def recalibrate(network: Network, data: ClassificationData, images: int = CALIBRATION_IMAGES) -> None:
    """Sets batch-norm statistics to the mean over the first training pictures; weights stay as they are."""
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
    network.train()
    device = next(network.parameters()).device
    chosen = Split(np.asarray(data.train.images_NHWC[:images]), data.train.labels_N[:images])
    for images_BCHW, _ in plain_batches(chosen, batch=128):
        network(normalised(images_BCHW.to(device), data.mean, data.std))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
