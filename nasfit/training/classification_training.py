"""A full training of a classifier: network, pictures, loss and evaluation joined for the loop.

Shapes: B batch, K classes, N pictures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nasfit.architecture import Architecture
from nasfit.models import Network, build, calm
from nasfit.tasks import ClassificationData, Split, centred
from nasfit.training.batches import normalised
from nasfit.training.full_plan import FullPlan
from nasfit.training.full_recipe import FullRecipe
from nasfit.training.full_training import Training, full_training
from nasfit.training.network_training import predict
from nasfit.training.optimizers import made_optimizer
from nasfit.training.pace import PRECISIONS
from nasfit.training.picture_batches import PictureBatch, Shares, picture_batches
from nasfit.training.ranks import ALONE, Ranks

# Timed: enough steps to be past the first ones, which are slow.
WARM_STEPS, TIMED_STEPS = 2, 6
# Evaluation has no backward pass: a third of the time a picture.
EVALUATION_COST = 1 / 3


@dataclass(frozen=True)
class Setting:
    """Where and how exactly: what does not change the recipe. balanced: classes weigh the same however rare."""

    device: torch.device
    precision: str = "fp32"
    compiled: bool = False
    balanced: bool = False
    seed: int = 0
    ranks: Ranks = ALONE


def fresh_network(architecture: Architecture, recipe: FullRecipe, seed: int) -> Network:
    """Initialised as the recipe says."""
    torch.manual_seed(seed)
    network = build(architecture, dropout=recipe.dropout, bn_momentum=recipe.bn_momentum)
    if recipe.calm:
        calm(network)
    return network


def seen_in_evaluation(data: ClassificationData, side: int) -> ClassificationData:
    """The data as evaluation and the deployed network see it: the centre `side` px of every picture."""
    train, validation, test = (
        Split(centred(split.images_NHWC, side), split.labels_N) for split in data.splits().values()
    )
    return replace(data, train=train, validation=validation, test=test)


def described(architecture: Architecture) -> dict[str, str]:
    """What tells this network's weights from others'; classes first, as the plainest difference."""
    return {"classes": str(architecture.classes), "architecture": str(architecture)}


def classification_training(
    network: Network, data: ClassificationData, recipe: FullRecipe, plan: FullPlan, setting: Setting
) -> Training[PictureBatch]:
    """The training of `network`, moved to its device, on the train split, evaluated on the validation split.

    data: of the plan's `stored_side`; its train split is cropped from that.
    """
    device, seed = setting.device, setting.seed
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = made_optimizer(
        recipe.optimizer, network, weight_decay=recipe.weight_decay, decay_biases=recipe.decay_biases
    )
    shares = Shares(plan.batch, plan.steps_per_epoch, plan.accumulate, seed, setting.ranks)
    seen = seen_in_evaluation(data, plan.side)
    weights_K = balancing(data).to(device) if setting.balanced else None

    def batches(epoch: int, first: int) -> Iterator[PictureBatch]:
        return picture_batches(data.train, recipe, plan.side, shares, epoch, first)

    def loss_of(module: nn.Module, batch: PictureBatch) -> Tensor:
        images_BCSS = normalised(batch.images_BCSS.to(device, non_blocking=True), data.mean, data.std)
        if batch.share < 1:
            images_BCSS = images_BCSS.lerp(images_BCSS.flip(0), 1 - batch.share)
        logits_BK = _logits(module, images_BCSS, setting)
        return mixed_loss(logits_BK, batch, recipe.label_smoothing, weights_K)

    def evaluate(module: nn.Module) -> dict[str, float]:
        return metrics(module, seen.validation, seen, device)

    # How pictures are prepared, for whoever builds upon the weights.
    prepared = {what: json.dumps([*map(float, values)]) for what, values in (("mean", data.mean), ("std", data.std))}
    return Training(
        network=network,
        optimizer=optimizer,
        batches=batches,
        loss_of=loss_of,
        evaluate=evaluate,
        course=plan.course(recipe, seed),
        described={**described(network.architecture), **prepared},
        compiled=setting.compiled,
    )


def mixed_loss(logits_BK: Tensor, batch: PictureBatch, smoothing: float, weights_K: Tensor | None) -> Tensor:
    """Cross entropy with smoothed labels; of a mixture of two pictures, that of both labels by their shares.

    Zhang et al. 2018, mixup. weights_K: of the classes.
    """

    def loss(labels_B: Tensor) -> Tensor:
        labels_B = labels_B.to(logits_BK.device, non_blocking=True)
        return functional.cross_entropy(logits_BK, labels_B, weight=weights_K, label_smoothing=smoothing)

    own = loss(batch.labels_B)
    return own if batch.share == 1 else batch.share * own + (1 - batch.share) * loss(batch.others_B)


def balancing(data: ClassificationData) -> Tensor:
    """(K,) weights of the loss, one over a class's share of the training pictures, 1 on average over them."""
    counts_K = np.bincount(data.train.labels_N, minlength=len(data.classes))
    return torch.from_numpy(counts_K.sum() / (len(data.classes) * np.maximum(counts_K, 1))).float()


def metrics(module: nn.Module, split: Split, data: ClassificationData, device: torch.device) -> dict[str, float]:
    """Top-1 accuracy over pictures, and the mean over classes, of those that the split has; 0 to 1."""
    predicted_N = predict(module, split, mean=data.mean, std=data.std, device=device).classes_N
    labels_N = np.asarray(split.labels_N)
    is_right_N = predicted_N == labels_N
    of_classes = [float(is_right_N[labels_N == label].mean()) for label in np.unique(labels_N)]
    return {"accuracy": float(is_right_N.mean()), "mean_class_accuracy": float(np.mean(of_classes))}


def seconds_per_step(
    network: Network,
    data: ClassificationData,
    recipe: FullRecipe,
    plan: FullPlan,
    setting: Setting,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """What a step takes here, measured with a copy of the network; every process has to call it."""
    seconds = 0.0
    for steps in (WARM_STEPS, TIMED_STEPS):
        steps = min(steps, plan.steps_per_epoch)
        training = classification_training(deepcopy(network), data, recipe, plan.lasting(steps), setting)
        training = replace(training, evaluate=lambda module: {"accuracy": 0.0})
        since = clock()
        for _ in full_training(training, keep=lambda name, content: None, ranks=setting.ranks):
            pass
        seconds = (clock() - since) / steps
    return setting.ranks.agreed([seconds])[0]


def planned_seconds(plan: FullPlan, step_s: float, validation: int) -> float:
    """Seconds of the whole training with its evaluations on so many pictures."""
    return plan.steps * step_s + -(-plan.steps // plan.steps_per_epoch) * _evaluation_s(plan, step_s, validation)


def fitted(plan: FullPlan, budget_s: float, step_s: float, validation: int) -> FullPlan:
    """The plan over as many steps as `budget_s` allows, evaluations included; at least one."""
    epoch_s = plan.steps_per_epoch * step_s + _evaluation_s(plan, step_s, validation)
    return plan.lasting(max(1, int(budget_s / epoch_s * plan.steps_per_epoch)))


def _evaluation_s(plan: FullPlan, step_s: float, pictures: int) -> float:
    # The first process evaluates alone.
    return pictures / (plan.batch * plan.accumulate) * step_s * EVALUATION_COST


def _logits(module: nn.Module, images_BCSS: Tensor, setting: Setting) -> Tensor:
    """Float32 logits (B, K)."""
    precision, device = PRECISIONS[setting.precision], setting.device.type
    if device == "cpu" and not setting.compiled:
        logits_BK: Tensor = module(images_BCSS.to(precision))
    else:
        with torch.autocast(device, precision, enabled=precision != torch.float32):
            logits_BK = module(images_BCSS)
    return logits_BK.float()
