"""Weights that many networks share: what an accuracy costs that way, against the rank correlation with full training.

    python benchmarks/shared_weights.py --rows runs/trials/cifar10-....jsonl --data DIRECTORY
    python benchmarks/shared_weights.py --quick             # tells nothing but that it runs

--rows: JSON lines with `architecture` and `accuracy` of full trainings (`full` false is left out; seeds are averaged),
as `trials.py` keeps them. --data: the directory of saved pictures they were trained on. Printed: seconds of one core a
network, Kendall's tau-b with its 90 % interval (networks drawn again), for each way at each number of pictures.
`--batches` tells how far apart batches are: the networks come in two batches, and pairs across them are counted alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Set before numpy and torch start their pools.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import torch
from facts import document
from trials_rows import architectures as random_networks

from nasfit.architecture import Architecture, count
from nasfit.errors import TrialFailure
from nasfit.latency.ranking_correlations import kendall
from nasfit.models.shared import SharedWeights
from nasfit.search.pooled import SHARED_SHARE, Scale, log_odds, shared_recipe
from nasfit.search.supernet import LARGEST_SHARE, SUPERNET_MEMBERS, SUPERNET_RATE
from nasfit.tasks import load, open_saved
from nasfit.training.recipe import Recipe
from nasfit.training.shared_file import SharedFacts, write_shared
from nasfit.training.shared_rounds import train_together
from nasfit.training.shared_scoring import Scored, ScoringJob, run_scoring

RESAMPLES = 2000
TUNED_RATE, TUNED_WARM_UP = 0.02, 0.1
FAILED = 0.0  # what a network counts that did not train
Scores = tuple[list[float], float]


@dataclass(frozen=True)
class Line:
    """One line of the table. images: a network's own and its share of what was shared; cpu_s: of one network."""

    way: str
    images: int
    cpu_s: float
    tau: float
    low: float
    high: float


def pool_scores(architectures: Sequence[str], data_directory: Path, images_per_architecture: int, seed: int) -> Scores:
    """Accuracies of networks that train together as the evaluator `pool` has them do, and CPU seconds of all."""
    return _pool(architectures, data_directory, images_per_architecture, seed, 0.0)


def tuned_scores(architectures: Sequence[str], data_directory: Path, images_per_architecture: int, seed: int) -> Scores:
    """As `pool_scores`, with half of the pictures for a training of each network by itself, after that."""
    return _pool(architectures, data_directory, images_per_architecture, seed, 0.5)


def supernet_scores(
    architectures: Sequence[str], data_directory: Path, images_per_architecture: int, seed: int
) -> Scores:
    """Accuracies from a supernet that trained on other networks of like sizes, and CPU seconds of all."""
    return _supernet(architectures, data_directory, images_per_architecture, seed, LARGEST_SHARE)


def uniform_scores(
    architectures: Sequence[str], data_directory: Path, images_per_architecture: int, seed: int
) -> Scores:
    """As `supernet_scores`, without the training of the largest networks first."""
    return _supernet(architectures, data_directory, images_per_architecture, seed, 0.0)


WAYS: dict[str, Callable[[Sequence[str], Path, int, int], Scores]] = {
    "pool": pool_scores,
    "pool, tuned": tuned_scores,
    "supernet": supernet_scores,
    "supernet, uniform": uniform_scores,
}


def two_batches(architectures: Sequence[str], data_directory: Path, images: int, seed: int) -> dict[str, list[float]]:
    """Scores of networks that come in two batches: as they are, and on the scale of the first by its anchors."""
    proxy_images = round(images / SHARED_SHARE)
    first, second = architectures[::2], architectures[1::2]
    with _Shared(architectures, data_directory, seed) as shared:
        shared.learn(first, shared_recipe(proxy_images, len(first)))
        before, _ = shared.scores(first)
        ranked = sorted(range(len(first)), key=lambda place: before[place])
        anchors = [ranked[place] for place in np.linspace(0, len(first) - 1, min(6, len(first))).round().astype(int)]
        members = [*second, *(first[place] for place in anchors)]
        shared.learn(members, shared_recipe(proxy_images, len(members)))
        after, _ = shared.scores(members)
    rises = [
        log_odds(score) - log_odds(before[place]) for score, place in zip(after[len(second) :], anchors, strict=True)
    ]
    scale = Scale(float(np.mean(rises)))
    raw, mapped = [0.0] * len(architectures), [0.0] * len(architectures)
    raw[::2] = mapped[::2] = before
    raw[1::2] = after[: len(second)]
    mapped[1::2] = [scale.at_first(score) for score in raw[1::2]]
    return {"as they are": raw, "on one scale": mapped}


class _Shared:
    """Shared weights in a directory that goes with them; what is done with them is counted in CPU seconds."""

    def __init__(self, largest: Sequence[str], data: Path, seed: int) -> None:
        self._data, self._seed, self._since = data, seed, time.process_time()
        self._directory = tempfile.TemporaryDirectory()
        self._file = Path(self._directory.name) / "weights.safetensors"
        self._failures: set[str] = set()
        torch.manual_seed(seed)
        weights = SharedWeights.fresh([Architecture.parse(text) for text in largest])
        write_shared(self._file, weights, SharedFacts(tuple(largest)))

    def __enter__(self) -> _Shared:
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def learn(self, members: Sequence[str], recipe: Recipe) -> None:
        weights, facts = train_together(
            serially, 1, self._file, members, self._data, recipe, seed=self._seed, scratch=self._file.parent
        )
        self._failures |= facts.failures.keys()
        write_shared(self._file, weights, facts)

    def scores(self, architectures: Sequence[str], tuning: Recipe | None = None) -> Scores:
        """Accuracies, and the CPU seconds since the weights were made."""
        jobs = [ScoringJob(str(self._file), text, str(self._data), self._seed, tuning=tuning) for text in architectures]
        found = [value.accuracy if isinstance(value, Scored) else FAILED for _, value in serially(run_scoring, jobs)]
        scores = [FAILED if text in self._failures else s for text, s in zip(architectures, found, strict=True)]
        return scores, time.process_time() - self._since


def serially(function: Callable[[Any], Any], payloads: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """As a pool of workers does it, in this process."""
    for index, payload in enumerate(payloads):
        try:
            yield index, function(payload)
        except TrialFailure as failure:
            yield index, failure


def _pool(architectures: Sequence[str], data: Path, images: int, seed: int, tuned: float) -> Scores:
    recipe = shared_recipe(round((1 - tuned) * images / SHARED_SHARE), len(architectures))
    with _Shared(architectures, data, seed) as shared:
        shared.learn(architectures, recipe)
        tuning = Recipe(images=round(tuned * images), peak_rate=TUNED_RATE, warm_up=TUNED_WARM_UP) if tuned else None
        return shared.scores(architectures, tuning)


def _supernet(architectures: Sequence[str], data: Path, images: int, seed: int, largest: float) -> Scores:
    # In the search as many whatever there is to score; here no more than pictures for a step of each.
    members_wanted = min(SUPERNET_MEMBERS, max(4, images * len(architectures) // 64))
    sizes = [count(Architecture.parse(text)).madds for text in architectures]
    # One in about three is of their sizes.
    drawn = random_networks(open_saved(data), 4 * members_wanted, seed + 1000)
    fitting = [text for text in drawn if min(sizes) <= count(Architecture.parse(text)).madds <= max(sizes)]
    members = [text for text in fitting if text not in architectures][:members_wanted]
    # The widest of what there is stand for the largest of the space.
    widest = sorted(members, key=lambda text: -count(Architecture.parse(text)).madds)[:4]
    total = images * len(architectures)
    with _Shared([*members, *architectures], data, seed) as shared:
        if largest:
            shared.learn(widest, Recipe(images=round(largest * total), peak_rate=SUPERNET_RATE))
        shared.learn(members, Recipe(images=round((1 - largest) * total), peak_rate=SUPERNET_RATE))
        return shared.scores(architectures)


def main() -> None:
    """Score the networks of the rows in every way and print the table."""
    options = _options()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch, redirect_stdout(sys.stderr) if options.json else nullcontext():
        networks, truth, data = _quick(Path(scratch)) if options.quick else _given(options)
        lines = [*_lines(options, networks, truth, data)]
    if options.json:
        print(document(options, number=len(networks), lines=[*map(asdict, lines)]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, help="JSON lines of full trainings")
    parser.add_argument("--data", type=Path, help="directory of saved pictures")
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 2000, 4000, 10_000], help="for each network")
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    parser.add_argument("--batches", action="store_true", help="also score the networks in two batches")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="3 networks, 64 pictures each, truth made up")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    options = parser.parse_args()
    if options.quick:
        options.images, options.batches, options.ways = [64], True, ["pool", "supernet"]
    elif options.rows is None or options.data is None:
        parser.error("give --rows and --data, or --quick")
    return options


def _given(options: argparse.Namespace) -> tuple[list[str], list[float], Path]:
    accuracies: dict[str, list[float]] = {}
    for row in map(json.loads, options.rows.read_text().splitlines()):
        if row.get("full", True):
            accuracies.setdefault(row["architecture"], []).append(row["accuracy"])
    return list(accuracies), [float(np.mean(values)) for values in accuracies.values()], options.data


def _quick(scratch: Path) -> tuple[list[str], list[float], Path]:
    data = load("fashion-mnist-small", cache=scratch)
    assert data.directory is not None, "loaded data lies on disk"
    return random_networks(data, 3), [0.1, 0.2, 0.3], data.directory


def _lines(options: argparse.Namespace, networks: list[str], truth: list[float], data: Path) -> Iterator[Line]:
    print(f"{len(networks)} networks\n{'':<30}{'pictures':>10}{'core s':>9}{'tau':>7}   90 %")
    for images in options.images:
        for way in options.ways:
            scores, cpu_s = WAYS[way](networks, data, images, options.seed)
            yield _told(Line(way, images, cpu_s / len(networks), *_tau(scores, truth)))
        if options.batches:
            since = time.process_time()
            batches = two_batches(networks, data, images, options.seed)
            cpu_s = (time.process_time() - since) / len(networks)
            for what, scores in batches.items():
                yield _told(Line(f"two batches, {what}", images, cpu_s, *_tau(scores, truth, across=True)))


def _told(line: Line) -> Line:
    cost = f"{line.images:>10,}{line.cpu_s:>9.2f}{line.tau:>7.2f}"
    print(f"{line.way:<30}{cost}   {line.low:.2f}..{line.high:.2f}", flush=True)
    return line


def _tau(scores: Sequence[float], truth: Sequence[float], *, across: bool = False) -> tuple[float, float, float]:
    """Kendall's tau and its 90 % interval; across: of pairs with one network of each batch alone."""
    a, b = np.asarray(scores), np.asarray(truth)
    places = np.arange(len(a))

    def of(places: np.ndarray) -> float:
        return _tau_across(a, b, places) if across else kendall(a[places], b[places])

    draws = np.random.default_rng(0).integers(0, len(a), (RESAMPLES, len(a)))
    taus = [of(chosen) for chosen in draws]
    return of(places), float(np.nanquantile(taus, 0.05)), float(np.nanquantile(taus, 0.95))


def _tau_across(a: np.ndarray, b: np.ndarray, places: np.ndarray) -> float:
    """Share of pairs across the batches in the same order minus those in the other."""
    first, second = places[places % 2 == 0], places[places % 2 == 1]
    signs = np.sign(a[first][:, None] - a[second]) * np.sign(b[first][:, None] - b[second])
    return float(signs.mean()) if signs.size else float("nan")


if __name__ == "__main__":
    main()
