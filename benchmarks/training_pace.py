"""What a faster pace costs in accuracy: bfloat16 and, in about equal time, progressive trainings.

    python benchmarks/training_pace.py [--data NAME] [--networks 3] [--seeds 2] [--images 8000] [--quick] [--json]

Random networks of the space, width 0.35, late strides, one thread each. A progressive training sees 1.25 times the
pictures, which costs about the same. Printed: mean validation accuracy and seconds of a core by pace, and the mean
difference to float32 over networks and seeds with its standard error.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from timed_training import timed

from nasfit.architecture import adapted
from nasfit.search import versions
from nasfit.space import named_space
from nasfit.tasks import ClassificationData, load
from nasfit.training import Pace, TrainingJob, recipe_for
from nasfit.workers import Pool, available_cores

WIDTH, STRIDES, MORE = 0.35, "late", 1.25
PACES = {"fp32": (Pace(), 1.0), "bf16": (Pace("bf16"), 1.0), "progressive": (Pace(progressive=True), MORE)}


@dataclass(frozen=True)
class Trained:
    """One training: accuracy 0 to 1, seconds of its core."""

    network: str
    seed: int
    pace: str
    images: int
    accuracy: float
    cpu_s: float


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist-small", help="name or folder of pictures")
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--images", type=int, default=8_000, help="of a training in fp32")
    parser.add_argument(
        "--quick", action="store_true", help="two networks, 640 pictures: tells nothing but that it runs"
    )
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    arguments = parser.parse_args()
    number, seeds, images = (2, 1, 640) if arguments.quick else (arguments.networks, arguments.seeds, arguments.images)
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        with tempfile.TemporaryDirectory() as cache:
            data = load(arguments.data, cache=Path(cache))
            found = trainings(data, networks(data, number), range(seeds), images)
        told = [summary(found, pace) for pace in PACES]
        for line in told:
            print(
                f"{line['pace']:12} accuracy {line['accuracy']:.2%}, {line['cpu_s']:.1f} s; "
                f"against fp32 {100 * line['gain']:+.2f} points (standard error {100 * line['error']:.2f}), "
                f"{line['time']:.2f} times the time"
            )
    if arguments.json:
        document = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": platform.processor() or platform.machine(),
            "versions": versions(),
            "data": arguments.data,
            "summary": told,
            "trainings": [asdict(training) for training in found],
        }
        print(json.dumps(document, indent=1))


def networks(data: ClassificationData, number: int) -> list[str]:
    """Random networks of the space as a search on these pictures samples them."""
    space, random = named_space("mnasnet"), np.random.default_rng(0)
    points = [[int(random.integers(options)) for options in space.option_counts] for _ in range(number)]
    fitted = {"resolution": data.resolution, "channels": data.channels, "classes": len(data.classes)}
    return [str(adapted(space.decode(point, WIDTH), strides=STRIDES, **fitted)) for point in points]


def trainings(data: ClassificationData, chosen: Sequence[str], seeds: Sequence[int], images: int) -> list[Trained]:
    """Every network with every seed at every pace; paces next to each other, so that they share the machine's mood."""
    assert data.directory is not None, "loaded data is kept"
    wanted = [(network, seed, pace) for seed in seeds for network in chosen for pace in PACES]
    jobs = [
        TrainingJob(
            network,
            str(data.directory),
            recipe_for(round(images * PACES[pace][1]), len(data.train)),
            seed,
            pace=PACES[pace][0],
        )
        for network, seed, pace in wanted
    ]
    with Pool(available_cores()) as pool:
        results = timed(pool, jobs)
    return [Trained(*what, job.recipe.images, *result) for what, job, result in zip(wanted, jobs, results, strict=True)]


def summary(found: Sequence[Trained], pace: str) -> dict[str, str | float]:
    """Means of a pace, and its differences to fp32, training by training."""
    mine, plain = ([training for training in found if training.pace == which] for which in (pace, "fp32"))
    gains = [ours.accuracy - theirs.accuracy for ours, theirs in zip(mine, plain, strict=True)]
    return {
        "pace": pace,
        "accuracy": statistics.fmean(training.accuracy for training in mine),
        "cpu_s": statistics.fmean(training.cpu_s for training in mine),
        "gain": statistics.fmean(gains),
        "error": statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else 0.0,
        "time": sum(training.cpu_s for training in mine) / sum(training.cpu_s for training in plain),
    }


if __name__ == "__main__":
    main()
