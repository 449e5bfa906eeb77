"""Training and testing one network; the same code for proxy and full training.

Shapes: B batch, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nasfit.errors import TrialFailure
from nasfit.tasks import Split
from nasfit.training.batches import normalised, plain_batches, training_batches
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
) -> Trained:
    """Trains `network` in place. mean, std: per channel, of pixels in 0..1.

    progress: told each point of the curve. ends: asked after every step, with the images seen, whether to end there.
    On a GPU the forward pass runs in bfloat16. Same seed and threads: same weights, on a CPU. Raises TrialFailure when
    the loss is no longer finite.
    """
    device = device or best_device()
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = sgd(network, recipe)
    # A hair more than the share: of three steps the warm-up would be exactly none, and the library divides by it.
    warm_up = recipe.warm_up + 1e-6
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.peak_rate, total_steps=recipe.steps + 1, pct_start=warm_up, cycle_momentum=False
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    curve, losses, started = [], [], time.perf_counter()
    report_every = max(1, recipe.steps // 20)
    batches = training_batches(split, recipe, np.random.default_rng(seed))
    for step, (images_BCHW, labels_B) in enumerate(batches, start=1):
        images_BCHW = normalised(images_BCHW.to(device, non_blocking=True), mean, std)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of(network(images_BCHW), labels_B.to(device, non_blocking=True))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
        ended = ends is not None and ends(step * len(labels_B))
        if step % report_every == 0 or step == recipe.steps or ended:
            curve.append((step * len(labels_B), _mean(losses, step)))
            losses.clear()
            if progress:
                progress(*curve[-1])
        if ended:
            break
    seconds = time.perf_counter() - started
    return Trained(tuple(curve), curve[-1][0] / seconds, seconds)


def predict(
    network: nn.Module, split: Split, *, mean: Channels, std: Channels, device: torch.device | None = None
) -> Tensor:
    """Predicted class of every image of a split, (N,) on the CPU."""
    device = device or best_device()
    network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    found = []
    with torch.inference_mode():
        for images_BCHW, _ in plain_batches(split, batch=256):
            found.append(network(normalised(images_BCHW.to(device), mean, std)).argmax(1).cpu())
    return torch.cat(found)


def accuracy(
    network: nn.Module, split: Split, *, mean: Channels, std: Channels, device: torch.device | None = None
) -> float:
    """Top-1 accuracy on a split, 0 to 1."""
    predicted_N = predict(network, split, mean=mean, std=std, device=device)
    return float((predicted_N.numpy() == np.asarray(split.labels_N)).mean())


def sgd(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum; weights decay, batch norm and biases do not."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    spared = [p for p in network.parameters() if p.ndim <= 1]
    return torch.optim.SGD(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": spared, "weight_decay": 0.0}],
        lr=recipe.peak_rate,
        momentum=recipe.momentum,
        nesterov=True,
    )


def _mean(losses: list[Tensor], step: int) -> float:
    mean = float(torch.stack(losses).mean())
    if not math.isfinite(mean):
        raise TrialFailure(
            f"training loss is {mean} at step {step}; the learning rate may be too high for this network"
        )
    return mean
