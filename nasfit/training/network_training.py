"""Training and testing one network; the same code for proxy and full training.

Shapes: B batch, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nasfit.errors import TrialFailure
from nasfit.models.quick import quickened
from nasfit.tasks import Predictions, Split
from nasfit.training.batches import normalised, plain_batches, training_batches
from nasfit.training.pace import PLAIN, PRECISIONS, Pace
from nasfit.training.recipe import Recipe

Channels = tuple[float, ...]
Progress = Callable[[int, float], None]
Ends = Callable[[int], bool]


@dataclass(frozen=True)
class Trained:
    """What a training run tells: (images seen, mean training loss since the last point), speed and duration (s)."""

    curve: tuple[tuple[int, float], ...]
    images_per_second: float
    seconds: float


def best_device() -> torch.device:
    """The first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(
    network: nn.Module,
    split: Split,
    recipe: Recipe,
    *,
    mean: Channels,
    std: Channels,
    seed: int,
    device: torch.device | None = None,
    progress: Progress | None = None,
    ends: Ends | None = None,
    pace: Pace = PLAIN,
) -> Trained:
    """Trains `network` in place. mean, std: per channel, of pixels in 0..1.

    progress: told each point of the curve. ends: asked after every step, with the images seen, whether to end there.
    pace: how steps are computed. Same seed, pace and threads: same weights, on a CPU. Raises
    TrialFailure when the loss is no longer finite.
    """
    device = device or best_device()
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    curve, losses, started = [], [], time.perf_counter()
    report_every = max(1, recipe.steps // 20)
    batches = _shown(split, recipe, pace, np.random.default_rng(seed), mean, std, device)
    with quickened(network):
        for step, (images, loss) in enumerate(_losses(network, batches, recipe, pace), start=1):
            losses.append(loss)
            ended = ends is not None and ends(images)
            if step % report_every == 0 or step == recipe.steps or ended:
                curve.append((images, _mean(losses, step)))
                losses.clear()
                if progress:
                    progress(*curve[-1])
            if ended:
                break
    seconds = time.perf_counter() - started
    return Trained(tuple(curve), curve[-1][0] / seconds, seconds)


def _shown(
    split: Split,
    recipe: Recipe,
    pace: Pace,
    random: np.random.Generator,
    mean: Channels,
    std: Channels,
    device: torch.device,
) -> Iterator[tuple[Tensor, Tensor]]:
    """What the network sees at each step: images (B, C, H, W) float32, labels (B,)."""
    for step, (images_BCHW, labels_B) in enumerate(training_batches(split, recipe, random)):
        images_BCHW = normalised(images_BCHW.to(device, non_blocking=True), mean, std)
        yield pace.shown(images_BCHW, step / recipe.steps), labels_B.to(device, non_blocking=True)


def _losses(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], recipe: Recipe, pace: Pace
) -> Iterator[tuple[int, Tensor]]:
    """Takes a step for each batch; yields the images seen so far and the loss."""
    optimizer = sgd(network, recipe)
    # A hair more than the share: of three steps the warm-up would be exactly none, and the library divides by it.
    warm_up = recipe.warm_up + 1e-6
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.peak_rate, total_steps=recipe.steps + 1, pct_start=warm_up, cycle_momentum=False
    )
    loss_of, images = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing), 0
    for images_BCHW, labels_B in batches:
        loss = loss_of(_logits(network, images_BCHW, pace), labels_B)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        images += len(labels_B)
        yield images, loss.detach()


def _logits(network: nn.Module, images_BCHW: Tensor, pace: Pace) -> Tensor:
    """Float32 logits (B, K) of a network that is `quickened`."""
    precision, device = PRECISIONS[pace.precision], images_BCHW.device.type
    if device == "cpu":
        logits_BK: Tensor = network(images_BCHW.to(precision))
    else:
        with torch.autocast(device, precision, enabled=precision != torch.float32):
            logits_BK = network(images_BCHW)
    return logits_BK.float()


def predict(
    network: nn.Module, split: Split, *, mean: Channels, std: Channels, device: torch.device | None = None
) -> Predictions:
    """What the network says of every image of a split."""
    device = device or best_device()
    network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    found = []
    with torch.inference_mode():
        for images_BCHW, _ in plain_batches(split, batch=256):
            logits_BK = network(normalised(images_BCHW.to(device), mean, std))
            found.append(Predictions.of(logits_BK.float().cpu().numpy()))
    return Predictions.joined(found)


def accuracy(
    network: nn.Module, split: Split, *, mean: Channels, std: Channels, device: torch.device | None = None
) -> float:
    """Top-1 accuracy on a split, 0 to 1."""
    return predict(network, split, mean=mean, std=std, device=device).accuracy(split.labels_N)


def sgd(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum; weights decay, batch norm and biases do not."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    spared = [p for p in network.parameters() if p.ndim <= 1]
    return torch.optim.SGD(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": spared, "weight_decay": 0.0}],
        lr=recipe.peak_rate,
        momentum=recipe.momentum,
        nesterov=True,
        fused=True,
    )


def _mean(losses: list[Tensor], step: int) -> float:
    mean = float(torch.stack(losses).mean())
    if not math.isfinite(mean):
        raise TrialFailure(
            f"training loss is {mean} at step {step}; the learning rate may be too high for this network"
        )
    return mean
