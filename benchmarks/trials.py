"""What a cheap accuracy is worth: cost of a trial against the rank correlation with full training.

    python benchmarks/trials.py --data cifar10-folder      # hours; what is trained is kept in --rows and goes on
    python benchmarks/trials.py --quick                     # tells nothing but that it runs

Random networks of the space are trained fully with several seeds: the truth is their mean test accuracy. The same
networks are then scored by each cheap way, whose order is compared with the truth's (Kendall's tau-b, 90 % interval by
drawing networks again). Printed: seconds of one core a network, its share of a full training, trials an hour of this
machine, tau. The first line is the ceiling: one seed of the full training against the other.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

# Set before numpy and torch start their pools.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import torch
from facts import document, processor
from inheriting import inherited_scores
from shared_weights import pool_scores, supernet_scores
from trials_rows import Row, Rows, Wanted, architectures
from zero_cost import zero_cost_scores

from nasfit.architecture import STRIDE_RULES
from nasfit.search.rank_agreement import agreement
from nasfit.tasks import load
from nasfit.workers import Pool

SHARES = (0.02, 0.05, 0.1, 0.25)
LARGEST_SHARED = 0.1  # of a full training: above, networks that share weights are no cheaper than alone
WAYS = ("standalone", "inherit", "pool", "supernet", "zero-cost")
Scores = Sequence[float] | np.ndarray
Shared = Callable[[Sequence[str], Path, int, int], tuple[Sequence[float], float]]
SHARED: dict[str, Shared] = {"inherit": inherited_scores, "pool": pool_scores, "supernet": supernet_scores}


@dataclass(frozen=True)
class Point:
    """One line of the table. images: a network trained on, or its share of what was shared; cpu_s: of one network.

    share: of a full training on the same processor.
    """

    way: str
    images: int
    cpu_s: float
    share: float
    trials_an_hour: float
    tau: float
    low: float
    high: float
    processor: str


def main() -> None:
    """Train what is missing, print the table."""
    options = _options()
    torch.set_num_threads(1)
    with redirect_stdout(sys.stderr) if options.json else nullcontext():
        points = [*_points(options)]
        _print(points)
    if options.json:
        print(document(options, points=[*map(asdict, points)]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist", help="name or folder of pictures")
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--images", type=int, default=100_000, help="pictures of a full training")
    parser.add_argument("--seeds", type=int, default=2, help="of the full training")
    parser.add_argument("--strides", choices=STRIDE_RULES, default="early", help="which halvings the networks keep")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES, help="of a full training, each way at each")
    parser.add_argument("--rows", type=Path, default=Path("runs/trials"), help="directory that keeps what is trained")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="3 networks, 400 pictures, one share")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    options = parser.parse_args()
    if options.quick:
        options.shares = SHARES[-2:-1]
        options.data, options.networks, options.images, options.seeds = "fashion-mnist-small", 3, 400, 1
        options.rows = options.rows / "quick"
    return options


def _points(options: argparse.Namespace) -> Iterator[Point]:
    data = load(options.data, cache=options.rows / "data")
    assert data.directory is not None, "loaded data lies on disk"
    networks = architectures(data, options.networks, strides=options.strides)
    rows = Rows(options.rows / f"{data.name}-{data.fingerprint[:12]}.jsonl")
    pictures = len(data.train.labels_N)
    with Pool(options.workers) as pool:

        def trained(images: int, seed: int, *, full: bool) -> list[Row]:
            wanted = [Wanted(network, images, seed, full, str(data.directory), pictures) for network in networks]
            for done in rows.trained(wanted, pool):
                print(f"trained on {done.images:,}: {100 * done.accuracy:.2f} % in {done.cpu_s:.0f} s", file=sys.stderr)
            return rows.known(wanted)

        truths = [trained(options.images, seed, full=True) for seed in range(options.seeds)]
        truth = np.mean([_accuracies(found) for found in truths], axis=0)

        def point(way: str, images: int, scores: Sequence[float], cpu_s: float, on: str, against: Scores) -> Point:
            hour = 3600 * options.workers / cpu_s if cpu_s else float("inf")
            full_s = _mean_s([row for found in truths for row in found if row.processor == on])
            return Point(way, images, cpu_s, cpu_s / full_s, hour, *_tau(scores, against), on)

        def alone(way: str, found: list[Row], against: Scores) -> Point:
            on = found[0].processor
            return point(way, found[0].images, _accuracies(found), _mean_s(found), on, against)

        if options.seeds > 1:
            yield alone("full, other seed", truths[1], _accuracies(truths[0]))
        if "standalone" in options.ways:
            for share in options.shares:
                yield alone("standalone", trained(round(options.images * share), 10, full=False), truth)
        if "zero-cost" in options.ways:
            scores, cpu_s = zero_cost_scores(networks, data.directory, 0)
            for name, values in scores.items():
                yield point(name, 0, values, cpu_s / len(networks), processor(), truth)
    for way in (way for way in SHARED if way in options.ways):
        for share in (share for share in options.shares if share <= LARGEST_SHARED):
            images = round(options.images * share)
            accuracies, cpu_s = SHARED[way](networks, data.directory, images, 10)
            yield point(way, images, accuracies, cpu_s / len(networks), processor(), truth)


def _accuracies(rows: Sequence[Row]) -> list[float]:
    return [row.accuracy for row in rows]


def _mean_s(rows: Sequence[Row]) -> float:
    """Not a number where there are none: nothing tells what a full training costs on that processor."""
    return float(np.mean([row.cpu_s for row in rows])) if rows else math.nan


def _tau(scores: Sequence[float], truth: Scores) -> tuple[float, float, float]:
    """Kendall's tau-b and its 90 % interval, not numbers where one order does not vary."""
    found = agreement(scores, list(truth))
    return (found.tau, found.low, found.high) if found else (math.nan,) * 3


def _print(points: Sequence[Point]) -> None:
    print(f"{'':<18}{'pictures':>10}{'core s':>9}{'of full':>9}{'trials/h':>10}{'tau':>7}   90 %")
    for p in sorted(points, key=lambda p: -p.cpu_s):
        cost = f"{p.images:>10,}{p.cpu_s:>9.2f}{p.share:>9.3f}{p.trials_an_hour:>10,.0f}"
        print(f"{p.way:<18}{cost}{p.tau:>7.2f}   {p.low:.2f}..{p.high:.2f}")


if __name__ == "__main__":
    main()
