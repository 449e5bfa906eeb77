"""One training run as plain data, so that a worker process can take it, and the function that does it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from nasfit.architecture import Architecture
from nasfit.export import model_metadata
from nasfit.models import build, calm, save_network
from nasfit.tasks import ClassificationData, Mistake, Split, joined, open_saved
from nasfit.training.deployed_file import deployed_predictions
from nasfit.training.memory import keep_memory
from nasfit.training.network_training import best_device, predict, train
from nasfit.training.pace import PLAIN, Pace
from nasfit.training.recipe import Recipe
from nasfit.training.starting import start_from
from nasfit.training.stopping import StopRule, Watch


@dataclass(frozen=True)
class TrainingJob:
    """architecture: in text form. data: directory of saved pictures. seed: of weights and batches.

    final: train on training and validation pictures together and test on the test set; else train on the training
    pictures and report accuracy on the validation set. weights: file (safetensors) to write, or None. precision: of the
    file whose accuracy counts; `int8` tests the exported file of this model_format in place of the network. stops: when
    to look at the network's validation accuracy on the way, and perhaps to end there; not of a final job. start: file
    (safetensors) of a trained network, of this or another architecture, to inherit from before training; None: from
    fresh weights. pace: how its steps are computed.
    """

    architecture: str
    data: str
    recipe: Recipe
    seed: int
    final: bool = False
    weights: str | None = None
    precision: str = "fp32"
    model_format: str = "tflite"
    stops: tuple[StopRule, ...] = ()
    start: str | None = None
    pace: Pace = PLAIN

    def __post_init__(self) -> None:
        assert not (self.final and self.stops), "a final job trains on the pictures that the looks would test on"


@dataclass(frozen=True)
class TrainingResult:
    """What came of a job.

    accuracy: top-1, 0 to 1; where the training was stopped, that of its last look. fp32_accuracy: of the network before
    it became an int8 file, else None. curve: (images seen, mean training loss). seconds: of training, looks included.
    looks: (images seen, accuracy of the float network on the first validation pictures) on the way. stopped: whether
    the last look was the end. inherited: share of the parameters, 0 to 1, that came from the network it started from.
    worker: process that trained it, HOST:PID. mistakes: of a final job, what the test set was used for once: every
    picture of it that was given another class; else None.
    """

    accuracy: float
    curve: tuple[tuple[int, float], ...]
    images_per_second: float
    seconds: float
    device: str
    fp32_accuracy: float | None = None
    looks: tuple[tuple[int, float], ...] = ()
    stopped: bool = False
    inherited: float = 0.0
    worker: str = ""
    mistakes: tuple[Mistake, ...] | None = None


def run_training(job: TrainingJob) -> TrainingResult:
    """Builds, trains and tests one network. Raises TrialFailure if it does not converge to finite values."""
    keep_memory()
    worker = f"{platform.node()}:{os.getpid()}"
    data = _opened(job.data)
    torch.manual_seed(job.seed)
    network = build(
        Architecture.parse(job.architecture), dropout=job.recipe.dropout, bn_momentum=job.recipe.bn_momentum
    )
    calm(network)
    inherited = start_from(network, Path(job.start)) if job.start else 0.0
    device = best_device()
    split = _joined(job.data) if job.final else data.train
    watch = Watch(network, data.validation, job.stops, mean=data.mean, std=data.std)
    trained = train(
        network,
        split,
        job.recipe,
        mean=data.mean,
        std=data.std,
        seed=job.seed,
        device=device,
        ends=watch,
        pace=job.pace,
    )
    looks, told = tuple(watch.looks), (trained.curve, trained.images_per_second, trained.seconds, str(device))
    if watch.stopped:
        return TrainingResult(looks[-1][1], *told, looks=looks, stopped=True, inherited=inherited, worker=worker)
    held_out = data.test if job.final else data.validation
    found = predict(network, held_out, mean=data.mean, std=data.std, device=device)
    if job.weights:
        described = model_metadata(architecture=job.architecture, mean=data.mean, std=data.std, classes=data.classes)
        save_network(network, Path(job.weights), described)
    before = None
    if job.precision != "fp32":
        before = found.accuracy(held_out.labels_N)
        found = deployed_predictions(
            network.cpu(), data, held_out, model_format=job.model_format, precision=job.precision
        )
    reached = found.accuracy(held_out.labels_N)
    mistakes = found.mistakes(held_out.labels_N) if job.final else None
    return TrainingResult(reached, *told, before, looks, inherited=inherited, worker=worker, mistakes=mistakes)


def training_speed(job: TrainingJob) -> float:
    """Images a second that one worker trains this network at, from a few steps after a warm-up."""
    keep_memory()
    data = _opened(job.data)
    network = build(Architecture.parse(job.architecture))
    for steps in (2, 8):
        recipe = job.recipe.lasting(steps * job.recipe.batch)
        trained = train(network, data.train, recipe, mean=data.mean, std=data.std, seed=job.seed, pace=job.pace)
    return trained.images_per_second


@lru_cache(maxsize=1)
def _opened(directory: str) -> ClassificationData:
    return open_saved(Path(directory))


@lru_cache(maxsize=1)
def _joined(directory: str) -> Split:
    data = _opened(directory)
    return joined(data.train, data.validation)
