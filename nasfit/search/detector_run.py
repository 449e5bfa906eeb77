"""One detector from marked pictures to files: trained, tested once, exported, measured."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nasfit.architecture import Architecture, Detector, count_detector, detector_on
from nasfit.devices import Device
from nasfit.errors import DeviceError, TrainingError, TrialFailure
from nasfit.export import export_model
from nasfit.export.detector_onnx import detector_to_onnx
from nasfit.export.detector_parity import check_detector_onnx, check_detector_tflite
from nasfit.export.detector_tflite import detector_to_tflite
from nasfit.latency import THOROUGH, Candidate, Measurement, measure
from nasfit.models.detector_network import DetectorNetwork, as_ssd, build_detector
from nasfit.search.detector_settings import RESULT, DetectorPlan, DetectorSettings, keep_plan, kept_plan
from nasfit.study.files import write_whole
from nasfit.tasks import DetectionData, DetectionScores, load_detection
from nasfit.tasks.sources import Progress
from nasfit.training import best_device
from nasfit.training.backbone_file import backbone_weights
from nasfit.training.checkpoints import described_weights
from nasfit.training.detection_batches import Batch, plain_pictures
from nasfit.training.detection_scoring import scores_on
from nasfit.training.detector_training import (
    DetectionRecipe,
    Normalisation,
    described,
    detector_training,
    steps_per_epoch,
)
from nasfit.training.full_training import BEST, LAST, Training, full_training
from nasfit.training.memory import keep_memory
from nasfit.training.training_events import EpochEnded, Stepped, TrainingEvent
from nasfit.workers import available_cores

# Of the budget: the rest is for the test, files and latency.
TRAINING_SHARE = 0.9
_PROBED_STEPS = 4
_CHECKED_PICTURES = 4


@dataclass(frozen=True)
class DetectorReady:
    """Before the first step: the pictures, and what training on them comes to.

    seconds: of everything, an estimate from some steps; None where none was made.
    """

    data: DetectionData
    detector: Detector
    epochs: float
    steps: int
    seconds: float | None


@dataclass(frozen=True)
class DetectorResult:
    """What came of it. validation, test: COCO's figures of the best weights. files: in the directory, by format.

    latency: of the file that the engine reads, None where none was measured; untold: why. seconds: of this run.
    """

    detector: str
    classes: tuple[str, ...]
    parameters: int
    madds: int
    epochs: float
    validation: DetectionScores
    test: DetectionScores
    files: dict[str, str]
    latency: dict[str, Any] | None
    untold: str | None
    notes: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Plain values, as `result.json` has them."""
        return asdict(self)


DetectorEvent = DetectorReady | TrainingEvent | DetectorResult


def train_detector(
    settings: DetectorSettings,
    directory: Path,
    *,
    cache: Path,
    device: Device | None,
    decoding: Progress | None = None,
    only_plan: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[DetectorEvent]:
    """Trains a detector in `directory`, or goes on there; the last event is its result.

    cache: where decoded pictures are kept. device: what latency is measured on, None for no measurement. only_plan: end
    after the first event, which then tells how long the training takes, and keep no plan. Same settings and threads:
    on a CPU the same weights, however often it was stopped; where a budget is given, from the moment on at which it
    was turned into epochs.

    Raises DataError, UsageError, TrainingError, ArchitectureError, MissingExtraError, each with what to do.
    """
    since = clock()
    keep_memory()
    plan = kept_plan(directory, settings)
    data = load_detection(
        settings.data, cache=cache, resolution=settings.resolution, seed=settings.seed, progress=decoding
    )
    backbone = Architecture.parse(settings.architecture)
    detector = detector_on(backbone, classes=len(data.classes), resolution=settings.resolution)
    recipe = _recipe(settings)
    cost = None
    if only_plan or (plan is None and settings.budget_s is not None):
        cost = _cost(_made(detector, data, recipe, settings), data, recipe, clock)
    if plan is None:
        epochs = settings.epochs
        if epochs is None:
            assert settings.budget_s is not None and cost is not None, "one of the two is given"
            epochs = cost.epochs_within((settings.budget_s - (clock() - since)) * TRAINING_SHARE)
        plan = DetectorPlan(str(detector), epochs, data.fingerprint)
        if not only_plan:
            keep_plan(directory, settings, plan)
    if (plan.fingerprint, plan.detector) != (data.fingerprint, str(detector)):
        raise TrainingError(
            f"the pictures in {settings.data} changed since the training in {str(directory)!r} began; "
            "name another --out"
        )
    training = _made(detector, data, replace(recipe, epochs=plan.epochs), settings)
    seconds = None if cost is None else cost.seconds(plan.epochs) / TRAINING_SHARE
    yield DetectorReady(data, detector, plan.epochs, training.course.steps, seconds)
    if only_plan:
        return
    start = directory / LAST
    yield from full_training(
        training,
        keep=lambda name, content: write_whole(directory, name, content),
        start=start if start.exists() else None,
    )
    yield _delivered(detector, data, settings, plan, directory, device, lambda: clock() - since)


def _recipe(settings: DetectorSettings) -> DetectionRecipe:
    recipe = DetectionRecipe(batch=settings.batch, accumulate=settings.accumulate, flip=settings.flip)
    return recipe if settings.rate is None else replace(recipe, rate=settings.rate)


def _made(
    detector: Detector, data: DetectionData, recipe: DetectionRecipe, settings: DetectorSettings
) -> Training[Batch]:
    device = best_device()
    weights, normalisation = _started(settings, detector)
    # A CPU that trains has no cores to spare for processes that prepare its batches.
    workers = min(8, available_cores() - 1) if device.type == "cuda" else 0
    return detector_training(
        detector,
        data,
        recipe,
        seed=settings.seed,
        device=device,
        normalisation=normalisation,
        backbone=weights,
        workers=workers,
    )


def _started(settings: DetectorSettings, detector: Detector) -> tuple[dict[str, torch.Tensor] | None, Normalisation]:
    if settings.weights is None:
        return None, Normalisation()
    return backbone_weights(Path(settings.weights), detector)


@dataclass(frozen=True)
class _Cost:
    """epoch_s, evaluation_s: of one pass over the training pictures, and of the validation after it."""

    epoch_s: float
    evaluation_s: float

    def epochs_within(self, seconds: float) -> float:
        return max(1.0, round(seconds / (self.epoch_s + self.evaluation_s), 2))

    def seconds(self, epochs: float) -> float:
        return epochs * (self.epoch_s + self.evaluation_s)


def _cost(training: Training[Batch], data: DetectionData, recipe: DetectionRecipe, clock: Callable[[], float]) -> _Cost:
    """What a few steps and one evaluation promise."""
    per_epoch = steps_per_epoch(data, recipe)
    steps = min(_PROBED_STEPS, per_epoch)
    course = replace(training.course, schedule=replace(training.course.schedule, steps=steps))
    probe = replace(training, course=replace(course, steps_per_epoch=steps))
    speeds, stepped_at = [], clock()
    for event in full_training(probe, keep=lambda name, content: None):
        if isinstance(event, Stepped):
            speeds.append(event.examples_per_second)
            stepped_at = clock()
        if isinstance(event, EpochEnded):
            evaluation_s = clock() - stepped_at
            break
    return _Cost(per_epoch * recipe.batch * recipe.accumulate / max(speeds), evaluation_s)


def _delivered(
    detector: Detector,
    data: DetectionData,
    settings: DetectorSettings,
    plan: DetectorPlan,
    directory: Path,
    device: Device | None,
    seconds: Callable[[], float],
) -> DetectorResult:
    """Tests the best weights once, writes and checks the files, measures one of them."""
    _, normalisation = _started(settings, detector)
    network = build_detector(detector)
    told = described(detector, data.classes, normalisation)
    network.load_state_dict(described_weights(directory / BEST, {"detector": told["detector"]}))
    network.eval()
    ssd = as_ssd(network, mean=normalisation.mean, std=normalisation.std).to(best_device())
    validation, test = (
        scores_on(ssd, split, data.classes, detector.resolution) for split in (data.validation, data.test)
    )
    ssd.cpu()
    contents = _exported(network, data, normalisation, told)
    files = {form: f"detector.{form}" for form in contents}
    for form, content in contents.items():
        write_whole(directory, files[form], content)
    latency, untold = _latency(device, network, contents)
    counts = count_detector(detector)
    result = DetectorResult(
        detector=str(detector),
        classes=data.classes,
        parameters=counts.parameters,
        madds=counts.madds,
        epochs=plan.epochs,
        validation=validation,
        test=test,
        files={**files, "safetensors": BEST},
        latency=latency,
        untold=untold,
        notes=data.notes,
        seconds=round(seconds(), 1),
    )
    write_whole(directory, RESULT, json.dumps(result.as_json(), indent=1, ensure_ascii=False).encode())
    return result


def _exported(
    network: DetectorNetwork, data: DetectionData, normalisation: Normalisation, told: dict[str, str]
) -> dict[str, bytes]:
    """The files by format, checked on pictures of the test. Raises TrialFailure where one differs from the module."""
    metadata = {**told, "input": "float32, (pixel / 255 - mean) / std, the whole picture squeezed to a square"}
    contents = {"onnx": detector_to_onnx(network, metadata), "tflite": detector_to_tflite(network, metadata)}
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (normalisation.mean, normalisation.std))
    pictures = next(plain_pictures(data.test, network.detector.resolution, _CHECKED_PICTURES))
    for picture in pictures:
        image_1CHW = ((picture - mean) / std)[None]
        check_detector_onnx(network, contents["onnx"], image_1CHW)
        check_detector_tflite(network, contents["tflite"], image_1CHW)
    return contents


def _latency(
    device: Device | None, network: DetectorNetwork, contents: dict[str, bytes]
) -> tuple[dict[str, Any] | None, str | None]:
    """The latency as plain values, or why there is none: a training of hours is not lost for it."""
    if device is None:
        return None, "no measurement was asked for"
    side = network.detector.resolution
    try:
        content = contents.get(device.model_format) or export_model(
            network, (3, side, side), model_format=device.model_format
        )
        measured = measure(device, {"detector": Candidate(content)}, timing=THOROUGH, resources=True)["detector"]
    except (DeviceError, TrialFailure) as error:
        return None, str(error)
    return (measured.to_dict(), None) if isinstance(measured, Measurement) else (None, str(measured))
