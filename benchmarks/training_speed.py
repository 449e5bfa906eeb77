"""Images a second at which networks of the space train: nasfit's trials against two usual loops on the same cores.

    python benchmarks/training_speed.py [--rounds 5] [--seconds 4] [--quick] [--json]

nasfit: as a search trains, one single-threaded worker a core, each training the same network; their speeds added up, in
fp32 and in bf16. eager: a plain PyTorch loop with a thread a core, a DataLoader of two workers and torchvision's
transforms of each picture, NCHW, fp32, SGD. timm: the loop of the training script in timm's repository, which the
package does not ship, built from the parts that it is built from (create_loader, create_optimizer_v2, its loss and
meter), with the script's defaults but for colour jitter, which is left out. Same networks, batch, pictures (random
ones, decoded in memory for all) and cores; sides alternate, loader processes are started and warm before the clock
runs. A figure is the median over rounds; of several networks the geometric mean of ratios. One process of all threads
in place of a worker a core is printed too.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from timed_training import lasting_training
from timm.data import create_loader
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.utils import AverageMeter
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from nasfit.architecture import Architecture, adapted, count
from nasfit.models import build
from nasfit.search import versions
from nasfit.space import named_space
from nasfit.tasks import Split, from_arrays, save
from nasfit.training import Pace, Recipe, TrainingJob
from nasfit.workers import Pool, available_cores

CLASSES, LOADERS, WARM_UP = 10, 2, 3


@dataclass(frozen=True)
class Case:
    """One input size and the networks trained at it. pictures: in the data set."""

    resolution: int
    width: float
    batch: int
    pictures: int
    networks: int


CASES = (Case(32, 0.35, 32, 4096, 6), Case(224, 0.5, 16, 256, 3))


@dataclass(frozen=True)
class Speeds:
    """Images a second of one network, by side, in order of rounds."""

    resolution: int
    network: str
    madds: int
    batch: int
    images_per_second: dict[str, list[float]]

    def median(self, side: str) -> float:
        """Over the rounds."""
        return statistics.median(self.images_per_second[side])


class Pictures(Dataset[tuple[Any, int]]):
    """Decoded pictures that a transform makes a tensor of, one by one, as torchvision's data sets do."""

    def __init__(self, split: Split, transform: Callable[[Image.Image], Tensor] | None) -> None:
        self.images, self.labels, self.transform = split.images_NHWC, split.labels_N, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        picture = Image.fromarray(self.images[place])
        return self.transform(picture) if self.transform else picture, int(self.labels[place])


def main() -> None:
    """Time all sides in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each timing, about")
    parser.add_argument("--seed", type=int, default=0, help="other random networks")
    parser.add_argument("--quick", action="store_true", help="one network of each size, one round: tells little")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    arguments = parser.parse_args()
    cores = available_cores()
    torch.set_num_threads(cores)
    found: list[Speeds] = []
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext(), tempfile.TemporaryDirectory() as folder:
        with Pool(cores) as trials, Pool(1, threads=cores) as one:
            for case in CASES:
                split = random_pictures(case)
                directory = Path(folder) / str(case.resolution)
                # What is not timed is short.
                few = Split(split.images_NHWC[:64], split.labels_N[:64])
                save(from_arrays("random", tuple("abcdefghij"), split, few, few), directory)
                for network in networks(case, arguments.seed)[: 1 if arguments.quick else None]:
                    sides = side_by_side(case, network, split, directory, trials, one)
                    rounds, seconds = (1, 1.0) if arguments.quick else (arguments.rounds, arguments.seconds)
                    found.append(timed(case, network, sides, rounds, seconds))
                    print(line(found[-1]), flush=True)
        print_ratios(found)
    if arguments.json:
        document = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": platform.processor() or platform.machine(),
            "cores": cores,
            "versions": {**versions(), "timm": timm.__version__},
            "speeds": [asdict(speeds) for speeds in found],
            "ratios": {f"{case.resolution}": ratios(found, case.resolution) for case in CASES},
        }
        print(json.dumps(document, indent=1))


def networks(case: Case, seed: int) -> list[Architecture]:
    """Random networks of the space as a search at this input size would sample them."""
    space, random = named_space("mnasnet"), np.random.default_rng(seed)
    points = [[int(random.integers(options)) for options in space.option_counts] for _ in range(case.networks)]
    return [
        adapted(
            space.decode(point, case.width),
            resolution=case.resolution,
            channels=3,
            classes=CLASSES,
            strides="late",
        )
        for point in points
    ]


def random_pictures(case: Case) -> Split:
    """Noise, which trains as fast as anything else."""
    random = np.random.default_rng(0)
    shape = (case.pictures, case.resolution, case.resolution, 3)
    return Split(random.integers(0, 256, shape, dtype=np.uint8), random.integers(0, CLASSES, case.pictures))


Side = Callable[[float], float]


def side_by_side(
    case: Case, network: Architecture, split: Split, directory: Path, trials: Pool, one: Pool
) -> dict[str, Side]:
    """Each side as a function from seconds to images a second."""
    job = TrainingJob(str(network), str(directory), Recipe(images=0, batch=case.batch, shift=0.125, flip=True), seed=0)
    bf16 = TrainingJob(**{**vars(job), "pace": Pace("bf16")})
    return {
        "nasfit fp32": partial(ours, job, trials),
        "nasfit bf16": partial(ours, bf16, trials),
        "one process": partial(ours, job, one),
        "eager": partial(looped, eager_steps, case, network, split),
        "timm": partial(looped, timm_steps, case, network, split),
    }


def timed(case: Case, network: Architecture, sides: dict[str, Side], rounds: int, seconds: float) -> Speeds:
    """All sides in turns."""
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, speed in sides.items():
            speeds[side].append(speed(seconds))
    return Speeds(case.resolution, str(network), count(network).madds, case.batch, speeds)


def ours(job: TrainingJob, pool: Pool, seconds: float) -> float:
    """Images a second of all workers together, each training the network."""
    speeds = dict(pool.run(lasting_training, [(job, seconds)] * pool.workers))
    return float(sum(speeds.values()))  # type: ignore[arg-type]


def looped(
    steps: Callable[[Case, Architecture, Split], Iterator[int]],
    case: Case,
    network: Architecture,
    split: Split,
    seconds: float,
) -> float:
    """Images a second of a loop that yields the images of each step."""
    taken = steps(case, network, split)
    for _ in range(WARM_UP):
        next(taken)
    images, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        images += next(taken)
    speed = images / (time.perf_counter() - started)
    taken.close()  # type: ignore[attr-defined]
    return speed


def eager_steps(case: Case, network: Architecture, split: Split) -> Iterator[int]:
    """The loop of PyTorch's tutorials."""
    transform = transforms.Compose(
        [
            transforms.RandomCrop(case.resolution, padding=case.resolution // 8),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * 3, (0.25,) * 3),
        ]
    )
    loader = DataLoader(
        Pictures(split, transform),
        case.batch,
        shuffle=True,
        drop_last=True,
        num_workers=LOADERS,
        persistent_workers=True,
    )
    model = build(network).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
    while True:
        for images_BCHW, labels_B in loader:
            loss = loss_of(model(images_BCHW), labels_B)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield len(labels_B)


def timm_steps(case: Case, network: Architecture, split: Split) -> Iterator[int]:
    """One epoch after another as timm's training script runs them on a CPU."""
    loader = create_loader(
        Pictures(split, None),  # type: ignore[arg-type]  # it asks for images and sets the transform
        input_size=(3, case.resolution, case.resolution),
        batch_size=case.batch,
        is_training=True,
        color_jitter=0.0,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        num_workers=LOADERS,
        use_prefetcher=False,
        device=torch.device("cpu"),
    )
    model = build(network).train()
    optimizer = create_optimizer_v2(model, opt="sgd", lr=0.05, momentum=0.9, weight_decay=1e-4)
    loss_of, meter = LabelSmoothingCrossEntropy(0.1), AverageMeter()
    while True:
        for images_BCHW, labels_B in loader:
            loss = loss_of(model(images_BCHW), labels_B)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            meter.update(loss.item(), len(labels_B))
            yield len(labels_B)


def line(speeds: Speeds) -> str:
    """Of the table."""
    values = ", ".join(f"{side} {speeds.median(side):,.0f}" for side in speeds.images_per_second)
    return f"{speeds.resolution} px, {speeds.madds / 1e6:.1f} M multiply-adds, batch {speeds.batch}: {values} images/s"


def ratios(found: list[Speeds], resolution: int) -> dict[str, float]:
    """nasfit in fp32 and in the faster precision against each rival: geometric mean over networks."""
    mine = [speeds for speeds in found if speeds.resolution == resolution]
    named: dict[str, Callable[[Speeds], float]] = {
        "fp32": lambda speeds: speeds.median("nasfit fp32"),
        "best": lambda speeds: max(speeds.median("nasfit fp32"), speeds.median("nasfit bf16")),
    }
    return {
        f"{name} / {rival}": math.exp(statistics.fmean(math.log(of(speeds) / speeds.median(rival)) for speeds in mine))
        for name, of in named.items()
        for rival in ("eager", "timm", "one process")
    }


def print_ratios(found: list[Speeds]) -> None:
    """What the documents quote."""
    for case in CASES:
        told = ", ".join(f"{name} {value:.2f}" for name, value in ratios(found, case.resolution).items())
        print(f"{case.resolution} px, times as fast: {told}")


if __name__ == "__main__":
    main()
