"""What weights inherited from another network are worth, to a trial and to a final training.

    python benchmarks/inheriting.py --data cifar10-folder [--networks 24] [--images 100000]
    python benchmarks/inheriting.py --quick            # tells nothing but that it runs

Random networks of the space are trained fully: the truth. At several costs each is then trained briefly from fresh
weights, and as briefly by the evaluator `inherit`. Printed: mean accuracy, seconds of one core a network, parents
included, and rank correlation (Kendall's tau-b) with the truth and with multiply-adds. Below, for the best networks,
the final training from fresh weights against the one that starts from a promotion's, of as many pictures.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

# Set before numpy and torch start their pools.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
from timed_training import timed
from trials_rows import architectures

from nasfit.architecture import Architecture, count
from nasfit.latency.ranking_correlations import kendall
from nasfit.search import versions
from nasfit.search.finale import PROMOTION_FACTOR
from nasfit.search.inherited import CHILD_SHARE, PARENTS, child_recipe, closest
from nasfit.tasks import load, open_saved
from nasfit.training import Recipe, TrainingJob, recipe_for
from nasfit.workers import Pool, available_cores

SHARES = (1 / 50, 1 / 20, 1 / 10)
PROMOTED_SHARE = 0.1  # of a full training: what a trial of the longest kind takes
FINALS = 3


@dataclass(frozen=True)
class Scored:
    """One way at one cost. images: of a network's own training. cpu_s: of one network, parents included."""

    way: str
    images: int
    mean_accuracy: float
    cpu_s: float
    tau: float | None
    tau_madds: float | None


@dataclass(frozen=True)
class Final:
    """Test accuracies of one network; promoted: pictures that the inherited weights had seen before."""

    architecture: str
    images: int
    promoted: int
    scratch: float
    inherited: float


def inherited_scores(
    networks: Sequence[str], data_directory: Path, images_per_architecture: int, seed: int
) -> tuple[list[float], float]:
    """Validation accuracies as the evaluator `inherit` finds them, in order, and seconds of one core for all of them.

    images_per_architecture: of each network's own training; the parents, the first of the networks, train longer
    before, as in a search.
    """
    pictures = len(open_saved(data_directory).train.labels_N)
    parents = list(dict.fromkeys(networks))[:PARENTS]
    with TemporaryDirectory() as folder, Pool(available_cores()) as pool:
        files = {text: str(Path(folder) / f"{place}.safetensors") for place, text in enumerate(parents)}
        alone = recipe_for(round(images_per_architecture / CHILD_SHARE), pictures)
        first = [TrainingJob(text, str(data_directory), alone, 0, weights=files[text]) for text in parents]
        brief = child_recipe(alone)
        starts = [files[closest(text, [other for other in parents if other != text] or parents)] for text in networks]
        children = [
            TrainingJob(text, str(data_directory), brief, seed, start=start)
            for text, start in zip(networks, starts, strict=True)
        ]
        reared, trained = timed(pool, first), timed(pool, children)
    return [accuracy for accuracy, _ in trained], sum(seconds for _, seconds in (*reared, *trained))


def main() -> None:
    """Train, print the tables."""
    options = _options()
    with redirect_stdout(sys.stderr) if options.json else nullcontext(), TemporaryDirectory() as folder:
        data = load(options.data, cache=Path(folder))
        assert data.directory is not None, "loaded data lies on disk"
        networks = architectures(data, options.networks)
        recipe = recipe_for(options.images, len(data.train.labels_N) + len(data.validation.labels_N))
        with Pool(available_cores()) as pool:
            truth = timed(pool, [TrainingJob(text, str(data.directory), recipe, 0, final=True) for text in networks])
        accuracies = [accuracy for accuracy, _ in truth]
        scored = list(_scored(networks, data.directory, options, accuracies))
        print(f"{'':<12}{'pictures':>10}{'accuracy':>10}{'core s':>8}{'tau':>7}{'tau with MAdds':>16}")
        for s in scored:
            cost = f"{s.images:>10,}{100 * s.mean_accuracy:>9.1f}%{s.cpu_s:>8.1f}"
            print(f"{s.way:<12}{cost}{_told(s.tau):>7}{_told(s.tau_madds):>16}")
        best = sorted(range(len(networks)), key=lambda place: -accuracies[place])[: 1 if options.quick else FINALS]
        finals = _finals([networks[place] for place in best], data.directory, recipe)
        for final in finals:
            gain = 100 * (final.inherited - final.scratch)
            print(f"final: {100 * final.scratch:.2f} % fresh, {100 * final.inherited:.2f} % inherited ({gain:+.2f})")
    if options.json:
        told = {"options": {name: str(value) for name, value in vars(options).items()}}
        told |= {"platform": platform.platform(), "time": datetime.now(UTC).isoformat(timespec="seconds")}
        tables = {"scored": [*map(asdict, scored)], "finals": [*map(asdict, finals)]}
        print(json.dumps(told | versions() | tables, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist", help="name or folder of pictures")
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--images", type=int, default=100_000, help="pictures of a full training")
    parser.add_argument("--quick", action="store_true", help="3 networks, 640 pictures")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the tables to stderr")
    options = parser.parse_args()
    if options.quick:
        options.data, options.networks, options.images = "fashion-mnist-small", 3, 640
    return options


def _scored(
    networks: Sequence[str], directory: Path, options: argparse.Namespace, truth: Sequence[float]
) -> Iterator[Scored]:
    pictures = len(open_saved(directory).train.labels_N)
    madds = [count(Architecture.parse(text)).madds for text in networks]
    for share in SHARES[-1:] if options.quick else SHARES:
        each = round(share * options.images)
        with Pool(available_cores()) as pool:
            recipe = recipe_for(each, pictures)
            alone = timed(pool, [TrainingJob(text, str(directory), recipe, 10) for text in networks])
        ways = {
            "standalone": ([accuracy for accuracy, _ in alone], sum(seconds for _, seconds in alone)),
            "inherit": inherited_scores(networks, directory, each, 10),
        }
        for way, (found, cpu_s) in ways.items():
            yield Scored(
                way, each, float(np.mean(found)), cpu_s / len(networks), _tau(found, truth), _tau(found, madds)
            )


def _told(tau: float | None) -> str:
    return "–" if tau is None else f"{tau:.2f}"


def _tau(a: Sequence[float], b: Sequence[float]) -> float | None:
    tau = kendall(a, b)
    return None if math.isnan(tau) else tau


def _finals(networks: Sequence[str], directory: Path, recipe: Recipe) -> list[Final]:
    """The final training of each from fresh weights and from its promotion's, with another seed than the truth's."""
    promotion = recipe_for(
        round(PROMOTION_FACTOR * PROMOTED_SHARE * recipe.images), len(open_saved(directory).train.labels_N)
    )
    with TemporaryDirectory() as folder, Pool(available_cores()) as pool:
        files = [str(Path(folder) / f"{place}.safetensors") for place in range(len(networks))]
        timed(
            pool,
            [
                TrainingJob(text, str(directory), promotion, 1, weights=file)
                for text, file in zip(networks, files, strict=True)
            ],
        )
        fresh = [TrainingJob(text, str(directory), recipe, 1, final=True) for text in networks]
        ahead = [replace(job, start=file) for job, file in zip(fresh, files, strict=True)]
        found = [accuracy for accuracy, _ in timed(pool, [*fresh, *ahead])]
    pairs = zip(networks, found[: len(networks)], found[len(networks) :], strict=True)
    return [Final(text, recipe.images, promotion.images, *pair) for text, *pair in pairs]


if __name__ == "__main__":
    main()
