"""A search for the detector that fits a device: mean average precision for accuracy, its latency for latency.

The strategies, the study and its resumption are those of every search; a trial is a short training of a detector.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from nasfit.architecture import Architecture, Detector, adapted, detector_on
from nasfit.devices import Device
from nasfit.export import RMS_TOLERANCE, export_model
from nasfit.export.detector_tflite import detector_to_tflite
from nasfit.latency import Candidate, Check, Measurement, measure
from nasfit.models import Network, build, read_tensors
from nasfit.models.detector_network import build_detector, decoded
from nasfit.objective import Reward
from nasfit.search.detector_study import MAY_CHANGE, DetectorSearchSettings, winner_begun
from nasfit.search.patience import until_back
from nasfit.search.plan import SEARCH_SHARE
from nasfit.search.table import TableSearch, search_table
from nasfit.space import Tokens, named_space
from nasfit.tasks import DetectionData, load_detection, require_coco_eval
from nasfit.training import best_device
from nasfit.training.detector_training import DetectionRecipe, Normalisation, detector_training
from nasfit.training.full_training import full_training
from nasfit.training.memory import keep_memory
from nasfit.training.starting import start_from
from nasfit.training.training_events import Completed

LOG = logging.getLogger("nasfit.search")
# As in every search: what is slower by more than this is not trained.
PRUNED_ABOVE = 1.1


@dataclass(frozen=True)
class DetectorSearch:
    """What came of it. best: backbone of the winner, None where no detector within the limit was trained."""

    found: TableSearch
    best: Architecture | None

    @property
    def trained(self) -> int:
        """Detectors that were trained and scored."""
        return len(self.found.complete)


def search_detectors(
    settings: DetectorSearchSettings,
    study: Path,
    *,
    kept: Path,
    device: Device,
    clock: Callable[[], float] = time.monotonic,
) -> DetectorSearch:
    """Searches for trials, budget or both, or goes on in `study`. kept: where decoded pictures are.

    Once the winner's training has begun, nothing more is tried. A candidate's latency is measured before it is chosen;
    one beyond the limit is PRUNED without a training. Each trial's mean average precision is of the validation
    pictures, after a training whose seed is the search's. Raises DataError, StudyError, UsageError, DeviceError,
    MissingExtraError, TrainingError.
    """
    require_coco_eval()
    keep_memory()
    until = math.inf if settings.budget_s is None else clock() + SEARCH_SHARE * settings.budget_s
    space = named_space(settings.space)
    data = load_detection(settings.data, cache=kept, resolution=settings.resolution, seed=settings.seed)

    def detector(tokens: Tokens) -> Detector:
        backbone = space.decode(tokens, settings.width)
        return detector_on(backbone, classes=len(data.classes), resolution=settings.resolution)

    @cache
    def latency_ms(tokens: Tokens) -> float:
        return measured_ms(detector(tokens), device)

    def evaluate(tokens: Tokens) -> tuple[float, float, float]:
        needed_ms = latency_ms(tokens)
        excess = needed_ms / (PRUNED_ABOVE * settings.target_ms) - 1
        precision = 0.0 if excess > 0 else proxy_precision(detector(tokens), data, settings)
        LOG.info("%s", _told(precision, needed_ms, excess))
        return precision, needed_ms, excess

    found = search_table(
        space.option_counts,
        evaluate,
        goal=Reward("soft", settings.target_ms),
        samples=settings.most or sys.maxsize,
        strategy=settings.strategy,
        latency=latency_ms,
        groups=space.groups,
        seed=settings.seed,
        # What is trained is stored before anything else is.
        batch=1,
        study=study,
        question={**settings.as_json(), "pictures": data.fingerprint},
        may_change=MAY_CHANGE,
        text=lambda tokens: str(detector(tokens)),
        is_over=lambda: clock() >= until or winner_begun(study),
    )
    best = found.best_under(settings.target_ms)
    return DetectorSearch(found, None if best is None else space.decode(best.tokens, settings.width))


def measured_ms(detector: Detector, device: Device) -> float:
    """Latency of a detector with random weights, checked against torch. Raises TrialFailure, DeviceError."""
    name, candidate = str(detector), detector_candidate(detector, device.model_format)
    measured = until_back(device, lambda: measure(device, {name: candidate}))[name]
    if not isinstance(measured, Measurement):
        raise measured
    return measured.latency_ms


def detector_candidate(detector: Detector, model_format: str) -> Candidate:
    """A detector's file with random weights, and what torch gives. Raises TrialFailure for what cannot be written.

    What does not depend on the picture: in TFLite with decoding, in other formats the maps alone.
    """
    torch.manual_seed(0)
    network = build_detector(detector).eval()
    side = detector.resolution
    image_1CHW = torch.randn(1, 3, side, side)
    with torch.no_grad():
        if model_format == "tflite":
            content, expected = detector_to_tflite(network), decoded(network, image_1CHW)[0]
        else:
            content = export_model(network, (3, side, side), model_format=model_format)
            expected = network(image_1CHW)[0]
    return Candidate(content, Check(image_1CHW.numpy(), np.asarray(expected), RMS_TOLERANCE["fp32"]))


def proxy_precision(detector: Detector, data: DetectionData, settings: DetectorSearchSettings) -> float:
    """mAP on the validation pictures at the end of a short training, 0 to 1. Raises TrainingError, UsageError."""
    recipe = DetectionRecipe(epochs=settings.trial_epochs(len(data.train)), batch=settings.batch)
    parent = inherited_backbone(detector, settings)
    training = detector_training(
        detector,
        data,
        recipe,
        seed=settings.seed,
        device=best_device(),
        normalisation=Normalisation() if parent is None else parent.normalisation,
        backbone=None if parent is None else dict(parent.network.state_dict()),
        is_one_look=True,
    )
    last = None
    for event in full_training(training, keep=_nothing):
        if isinstance(event, Completed):
            last = event
    assert last is not None, "a training that ends says so"
    return float(last.best["map"])


@dataclass(frozen=True)
class InheritedBackbone:
    """network: a classification network like the detector's backbone. normalisation: that its weights are used to."""

    network: Network
    normalisation: Normalisation


def inherited_backbone(detector: Detector, settings: DetectorSearchSettings) -> InheritedBackbone | None:
    """What a backbone takes over from the trained network of the settings; None without one.

    Raises WeightsError, UsageError for a file of no network that it could inherit from.
    """
    if settings.weights is None:
        return None
    file = Path(settings.weights)
    _, told = read_tensors(file)
    parent = Architecture.parse(told["architecture"]) if "architecture" in told else detector.backbone
    kin = adapted(
        replace(detector.backbone, classes=parent.classes, hidden_filters=parent.hidden_filters),
        resolution=detector.resolution,
        channels=parent.channels,
        classes=parent.classes,
    )
    network = build(kin)
    start_from(network, file)
    return InheritedBackbone(network, Normalisation.told(told))


def _told(precision: float, needed_ms: float, excess: float) -> str:
    if excess > 0:
        return f"{needed_ms:.3g} ms: too slow, not trained"
    return f"{needed_ms:.3g} ms, mAP {100 * precision:.2f} %"


def _nothing(name: str, content: bytes) -> None:
    """A trial's weights are not kept."""
