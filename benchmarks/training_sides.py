"""One full training by nasfit's loop or by timm's parts, for `training.py`; apart, so that worker processes find it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm
import torch
from PIL import Image
from timm.data import create_loader
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import StepLRScheduler
from timm.utils import ModelEmaV3
from torch import nn
from torch.utils.data import Dataset

from nasfit.architecture import Architecture
from nasfit.tasks import ClassificationData, Split, open_saved
from nasfit.training import (
    Completed,
    FullPlan,
    FullRecipe,
    Setting,
    Wishes,
    classification_training,
    fresh_network,
    full_plan,
    full_recipe,
    full_training,
    metrics,
    seen_in_evaluation,
)

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Job:
    """own, kept: directories of the same pictures, at their own size and at that of nasfit's crops. pictures: used."""

    side: str
    architecture: str
    own: str
    kept: str
    pictures: int
    batch: int
    epochs: float
    seed: int
    tested: int

    @property
    def recipe(self) -> FullRecipe:
        """As published."""
        return full_recipe("mnasnet")

    @property
    def plan(self) -> FullPlan:
        """The published recipe over so many epochs, its warm-up and falls shortened alike."""
        wishes = Wishes(epochs=self.epochs, batch=self.batch, accumulate=1)
        return full_plan(
            self.recipe, wishes, pictures=self.pictures, side=Architecture.parse(self.architecture).resolution
        )


def trained(job: Job) -> float:
    """Top-1 of the averaged weights after the last step, on the first `tested` test pictures, 0 to 1."""
    return ours(job) if job.side == "nasfit" else timms(job)


def ours(job: Job) -> float:
    """nasfit's loop."""
    data = cut(open_saved(Path(job.kept)), job)
    network = fresh_network(Architecture.parse(job.architecture), job.recipe, job.seed)
    training = classification_training(network, data, job.recipe, job.plan, Setting(CPU, seed=job.seed))
    seen = seen_in_evaluation(data, job.plan.side)
    training = replace(training, evaluate=lambda module: metrics(module, seen.test, seen, CPU))
    for event in full_training(training, keep=lambda name, content: None):
        if isinstance(event, Completed):
            return event.history[-1]["accuracy"]
    raise AssertionError("a training ends")


def timms(job: Job) -> float:
    """What timm's training script does, from its parts; the package does not ship the script itself."""
    data, recipe, plan = cut(open_saved(Path(job.own)), job), job.recipe, job.plan
    random.seed(job.seed)
    network = fresh_network(Architecture.parse(job.architecture), recipe, job.seed)
    shape = (data.channels, plan.side, plan.side)
    usual: dict[str, Any] = {
        "mean": data.mean,
        "std": data.std,
        "num_workers": 0,
        "use_prefetcher": False,
        "device": CPU,
    }
    usual |= {"interpolation": "bicubic", "input_size": shape}
    loader = create_loader(
        Pictures(data.train),  # type: ignore[arg-type]
        batch_size=plan.batch,
        is_training=True,
        scale=(0.08, 1.0),
        ratio=(3 / 4, 4 / 3),
        hflip=0.5,
        color_jitter=0.0,
        **usual,
    )
    optimizer = create_optimizer_v2(
        network, opt="rmsproptf", lr=plan.peak, weight_decay=recipe.weight_decay, momentum=0.9, eps=1e-3
    )
    schedule = plan.course(recipe, job.seed).schedule
    scheduler = StepLRScheduler(
        optimizer,
        decay_t=schedule.period,
        decay_rate=schedule.factor,
        warmup_t=schedule.warm_up,
        warmup_lr_init=0.0,
        t_in_epochs=False,
    )
    average = ModelEmaV3(network, decay=recipe.average, use_warmup=True)
    loss_of, updates = LabelSmoothingCrossEntropy(recipe.label_smoothing), 0
    network.train()
    while updates < plan.steps:
        for images_BCHW, labels_B in loader:
            loss = loss_of(network(images_BCHW), labels_B)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update(network, step=updates)
            updates += 1
            scheduler.step_update(updates)
            if updates == plan.steps:
                break
    tests = create_loader(
        Pictures(data.test),  # type: ignore[arg-type]
        batch_size=256,
        is_training=False,
        crop_pct=recipe.test_crop,
        **usual,
    )
    return right(average.module, tests)


class Pictures(Dataset[tuple[Any, int]]):
    """Decoded pictures as timm's loaders want them."""

    def __init__(self, split: Split) -> None:
        self.images, self.labels = split.images_NHWC, split.labels_N
        self.transform: Any = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        image_HWC = self.images[place]
        picture = Image.fromarray(image_HWC[:, :, 0] if image_HWC.shape[2] == 1 else image_HWC)
        return self.transform(picture), int(self.labels[place])


def right(network: nn.Module, loader: Any) -> float:
    """Share of pictures."""
    network.eval()
    found = total = 0
    with torch.inference_mode():
        for images_BCHW, labels_B in loader:
            found += int((network(images_BCHW).argmax(1) == labels_B).sum())
            total += len(labels_B)
    return found / total


def cut(data: ClassificationData, job: Job) -> ClassificationData:
    """The first pictures of the training and test splits; any prefix is a fair sample."""

    def first(split: Split, number: int) -> Split:
        return Split(split.images_NHWC[:number], split.labels_N[:number])

    return replace(data, train=first(data.train, job.pictures), test=first(data.test, job.tested))


def timm_version() -> str:
    """As installed."""
    return str(timm.__version__)
