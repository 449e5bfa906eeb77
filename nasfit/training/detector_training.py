"""The full training of a detector: what is trained on what, for `full_training` to run.

Shapes: B batch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nasfit.architecture import Detector
from nasfit.errors import DataError, TrainingError
from nasfit.models.detector_network import as_ssd, build_detector
from nasfit.tasks import DetectionData, require_coco_eval
from nasfit.training.detection_batches import Augmented, Batch, augmented_batches, draws
from nasfit.training.detection_scoring import scores_on
from nasfit.training.full_training import Course, Training
from nasfit.training.optimizers import made_optimizer
from nasfit.training.schedules import Schedule

# Of ImageNet's training pictures, in units of 0..1: what most published weights expect.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class DetectionRecipe:
    """How a detector is trained.

    epochs: passes over the training pictures. batch: pictures that a process holds at once. accumulate: batches a step.
    rate: AdamW's learning rate at the top of a cosine, for `RATE_PICTURES` pictures a step; it grows with the root of
    their number.
    warm_up: share of the steps in which it rises from 0. weight_decay: of weights; batch norm and biases have none.
    average: decay of the weights' moving average. flip: half of the pictures are mirrored. bn_momentum: torch's.
    """

    epochs: float = 100.0
    batch: int = 16
    accumulate: int = 1
    rate: float = 7e-3
    warm_up: float = 0.1
    weight_decay: float = 0.02
    average: float = 0.998
    flip: bool = True
    bn_momentum: float = 0.05


RATE_PICTURES = 16


@dataclass(frozen=True)
class Normalisation:
    """mean, std: per channel, of pixels in 0..1."""

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    @classmethod
    def told(cls, texts: Mapping[str, str]) -> Normalisation:
        """That of a file which tells `mean` and `std` as JSON texts; ImageNet's where it does not."""
        if "mean" not in texts or "std" not in texts:
            return cls()
        return cls(tuple(json.loads(texts["mean"])), tuple(json.loads(texts["std"])))


def steps_per_epoch(data: DetectionData, recipe: DetectionRecipe) -> int:
    """Steps in which every training picture is shown once; what does not fill a step is left for another epoch."""
    return max(1, len(data.train) // (recipe.batch * recipe.accumulate))


def detector_training(
    detector: Detector,
    data: DetectionData,
    recipe: DetectionRecipe,
    *,
    seed: int,
    device: torch.device,
    normalisation: Normalisation,
    backbone: Weights | None = None,
    workers: int = 0,
    is_one_look: bool = False,
) -> Training[Batch]:
    """A detector with fresh heads, to be trained on the train split and chosen by its map on the validation split.

    backbone: weights of a classification network with the names they have there, see `backbone_weights`. workers:
    processes that prepare batches. is_one_look: weights are scored at the end alone, not after each epoch. Its
    checkpoints hold the weights of a `DetectorNetwork`. Raises DataError where no box of the validation split is
    marked, TrainingError for weights that do not fit, MissingExtraError without the extra `detection`.
    """
    require_coco_eval()
    if data.validation.table.crowd_M.all():
        raise DataError(f"no box is marked in the validation pictures of {data.name}; mark more pictures")
    torch.manual_seed(seed)
    network = build_detector(detector, bn_momentum=recipe.bn_momentum)
    if backbone is not None:
        load_backbone(network.backbone, backbone)
    ssd = as_ssd(network, mean=normalisation.mean, std=normalisation.std)
    ssd.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    dataset = Augmented(str(data.directory), "train", detector.resolution, recipe.flip)
    steps = max(1, round(recipe.epochs * steps_per_epoch(data, recipe)))
    per_look = steps if is_one_look else steps_per_epoch(data, recipe)

    def batches(epoch: int, first: int) -> Iterator[Batch]:
        shown = draws(len(data.train), epoch, per_look * recipe.accumulate, recipe.batch, seed)
        return augmented_batches(dataset, shown[first * recipe.accumulate :], workers)

    def evaluate(weights: nn.Module) -> dict[str, float]:
        scores = scores_on(weights, data.validation, data.classes, detector.resolution)
        return {"map": scores.map, "map_50": scores.map_50}

    rate = recipe.rate * math.sqrt(recipe.batch * recipe.accumulate / RATE_PICTURES)
    schedule = Schedule("cosine", rate, steps, int(recipe.warm_up * steps))
    return Training(
        network=ssd,
        optimizer=made_optimizer("adamw", ssd, weight_decay=recipe.weight_decay, decay_biases=False),
        batches=batches,
        loss_of=detection_loss,
        evaluate=evaluate,
        course=Course(schedule, per_look, recipe.batch, recipe.accumulate, recipe.average, chosen_by="map", seed=seed),
        described=described(detector, data.classes, normalisation),
    )


def described(detector: Detector, classes: tuple[str, ...], normalisation: Normalisation) -> dict[str, str]:
    """What a file of a detector's weights says of itself; lists are JSON texts, as in exported files."""
    return {
        "detector": str(detector),
        "classes": json.dumps(classes, ensure_ascii=False),
        "mean": json.dumps(normalisation.mean),
        "std": json.dumps(normalisation.std),
    }


def detection_loss(ssd: nn.Module, batch: Batch) -> Tensor:
    """Liu et al. 2016, equations 1 to 3, as torchvision's SSD has it: three of the worst negatives to each positive."""
    device = next(ssd.parameters()).device
    images = [image.to(device, non_blocking=True) for image, _ in batch]
    targets = [{name: value.to(device) for name, value in target.items()} for _, target in batch]
    losses: dict[str, Tensor] = ssd(images, targets)
    return losses["bbox_regression"] + losses["classification"]


def load_backbone(backbone: nn.Module, weights: Weights) -> None:
    """Puts a classification network's weights into a detector's backbone; its extra layers stay as they are.

    Raises TrainingError naming the first that is missing or of another shape.
    """
    own = {name: value for name, value in backbone.state_dict().items() if not name.startswith("extra.")}
    for name, value in own.items():
        given = weights.get(name)
        if given is None or given.shape != value.shape:
            got = "are not there" if given is None else f"have the shape {tuple(given.shape)}"
            raise TrainingError(
                f"weights {name} of the backbone {got}, wanted is {tuple(value.shape)}; give a file that was trained "
                "with this architecture"
            )
    backbone.load_state_dict({name: weights[name] for name in own}, strict=False)
