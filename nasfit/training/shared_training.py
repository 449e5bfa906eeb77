"""Training many networks as one: each step trains another of them on the weights that all share.

Shapes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nasfit.architecture import Architecture
from nasfit.models.network import Network
from nasfit.models.quick import quickened
from nasfit.models.shared import SharedWeights
from nasfit.tasks import Split, open_saved
from nasfit.training.batches import normalised, order, training_batches
from nasfit.training.memory import keep_memory
from nasfit.training.network_training import best_device
from nasfit.training.recipe import Recipe
from nasfit.training.shared_file import read_shared, write_shared

# Of the norm of a step's gradient: one network's outlier must not spoil what all share.
LARGEST_GRADIENT = 2.0


@dataclass(frozen=True)
class SharedTrainingJob:
    """A worker's part of one round of shared training, as plain data.

    start: file of shared weights to begin with. result: file to write. members: texts of the networks. recipe: its
    images are all that this worker shows in all rounds. first, last: steps of this round, 0 <= first < last <=
    recipe.steps. seed: of member order and pictures, one for each worker.
    """

    start: str
    result: str
    members: tuple[str, ...]
    data: str
    recipe: Recipe
    seed: int
    first: int
    last: int


@dataclass(frozen=True)
class SharedTrained:
    """failures: reason of each member, by its text, that diverged and was left out from there on. seconds: taken."""

    seconds: float
    failures: dict[str, str] = field(default_factory=dict)


def run_shared_training(job: SharedTrainingJob) -> SharedTrained:
    """Trains the members for one round and writes the weights; raises what reading the files raises."""
    keep_memory()
    started, device = time.perf_counter(), best_device()
    weights, facts, momentum = read_shared(Path(job.start), device)
    windows = {text: weights.window(Architecture.parse(text)).train() for text in job.members}
    optimizer = SharedOptimizer(weights, job.recipe, momentum)
    failures: dict[str, str] = {}
    data = open_saved(Path(job.data))
    turns = members_in_turn(job.members, np.random.default_rng((job.seed, 0)))
    skipped = [next(turns) for _ in range(job.first)]
    assert len(skipped) == job.first
    for step, (images_BCHW, labels_B) in enumerate(_round_batches(data.train, job), start=job.first):
        text = next(turns)
        if text in failures:
            continue
        images_BCHW = normalised(images_BCHW.to(device, non_blocking=True), data.mean, data.std)
        reason = optimizer.learn(windows[text], images_BCHW, labels_B.to(device, non_blocking=True), step)
        if reason:
            failures[text] = reason
    write_shared(Path(job.result), weights, facts, optimizer.momentum)
    return SharedTrained(time.perf_counter() - started, failures)


class SharedOptimizer:
    """SGD with Nesterov momentum on the flat shared weights, with the one cycle of `cycle_rate`."""

    def __init__(self, weights: SharedWeights, recipe: Recipe, momentum: Tensor | None = None) -> None:
        self._weights, self._recipe = weights, recipe
        self.momentum = torch.zeros_like(weights.values) if momentum is None else momentum
        self._loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)

    def learn(self, window: Network, images_BCHW: Tensor, labels_B: Tensor, step: int) -> str | None:
        """One step, on one network; the reason why it was not taken where loss or gradient are not finite."""
        device_type = images_BCHW.device.type
        self._weights.gradients.zero_()
        with warnings.catch_warnings():
            # Slices are not laid out as torch likes gradients best; copying them would take longer.
            warnings.filterwarnings("ignore", "grad and param do not obey")
            with quickened(window), torch.autocast(device_type, torch.bfloat16, enabled=device_type == "cuda"):
                loss = self._loss(window(images_BCHW), labels_B)
            loss.backward()
        norm = float(self._weights.gradients.norm())
        if not (math.isfinite(norm) and math.isfinite(float(loss.detach()))):
            return f"training loss is {float(loss.detach()):.3g} with a gradient of {norm:.3g} at step {step + 1}"
        self._step(min(1.0, LARGEST_GRADIENT / max(norm, 1e-12)), step)
        return None

    @torch.no_grad()
    def _step(self, scale: float, step: int) -> None:
        recipe, values, gradients = self._recipe, self._weights.values, self._weights.gradients
        gradients.mul_(scale)
        decayed = slice(0, self._weights.decayed)
        gradients[decayed].add_(values[decayed], alpha=recipe.weight_decay)
        self.momentum.mul_(recipe.momentum).add_(gradients)
        rate = cycle_rate(step, recipe)
        values.add_(gradients, alpha=-rate).add_(self.momentum, alpha=-rate * recipe.momentum)


def cycle_rate(step: int, recipe: Recipe) -> float:
    """Learning rate of a step, from 0: half a cosine up to the peak, half a cosine down to nothing (Smith 2018)."""
    done = (step + 0.5) / recipe.steps
    if done < recipe.warm_up:
        return recipe.peak_rate * (1 - math.cos(math.pi * done / recipe.warm_up)) / 2
    return recipe.peak_rate * (1 + math.cos(math.pi * (done - recipe.warm_up) / (1 - recipe.warm_up))) / 2


def members_in_turn(members: Sequence[str], random: np.random.Generator) -> Iterator[str]:
    """All members in shuffled passes: in every pass each is trained once (strict fairness, Chu et al. 2019)."""
    while True:
        yield from (members[place] for place in random.permutation(len(members)))


def _round_batches(split: Split, job: SharedTrainingJob) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of the steps of this round, of the order of all rounds: fresh pictures before any repeats."""
    batch = min(job.recipe.batch, len(split))
    chosen = order(len(split), job.recipe.steps * batch, np.random.default_rng((job.seed, 1)))
    chosen = np.sort(chosen[job.first * batch : job.last * batch])
    part = Split(split.images_NHWC[chosen], split.labels_N[chosen])
    yield from training_batches(part, job.recipe.lasting(len(chosen)), np.random.default_rng((job.seed, 2, job.first)))
