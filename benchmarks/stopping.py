"""What early stopping saves, and what it misses.

    python benchmarks/stopping.py [--networks 40] [--images 6000] [--seed 0] [--data NAME] [--replay FILE] [--quick]

Random networks of the space are measured, then really trained to the end, with looks on the way. Then the search's rule
is replayed over many random orders of them, without training: what part of the cost is spent, how many are stopped, and
how much of the best is missed, for three goals. Beside it, successive halving: of each eight the half that looks worse
for the goal is stopped. Seconds depend on the machine, all other figures do not.

replay: JSON of an earlier run, whose trainings are taken.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

# Set before numpy and torch start their pools.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import torch

from nasfit.architecture import Architecture, adapted
from nasfit.devices import open_device
from nasfit.errors import TrialFailure
from nasfit.latency import Measurement
from nasfit.objective import Front, Goal, Reward
from nasfit.search.measuring import Instrument, measured
from nasfit.search.stopping import bar_for
from nasfit.space import named_space
from nasfit.study import Rung, Trial, TrialState
from nasfit.tasks import ClassificationData, load
from nasfit.training import StopRule, TrainingJob, recipe_for, run_training
from nasfit.training.stopping import RUNG_PICTURES
from nasfit.workers import Pool

SHARES = (0.2, 0.4, 0.5, 0.6, 0.7)
WIDTH = 0.35
LOOK_IMAGES = RUNG_PICTURES / 4  # what a look costs, in pictures trained on; timed on one core
EIGHT = 8
Kept = dict[str, Any]  # one trained network: latency_ms, accuracy, looks by share, seconds


def main() -> None:
    """Train or take trainings, replay, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--images", type=int, default=6_000, help="pictures a network trains on")
    parser.add_argument("--seed", type=int, default=0, help="other random networks")
    parser.add_argument("--data", default="fashion-mnist-small", help="name or folder of pictures")
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--replay", type=Path, help="JSON of an earlier run, in place of training")
    parser.add_argument(
        "--quick", action="store_true", help="16 networks, 640 pictures: tells nothing but that it runs"
    )
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the tables to stderr")
    arguments = parser.parse_args()
    networks, images, orders = (
        (16, 640, 20) if arguments.quick else (arguments.networks, arguments.images, arguments.orders)
    )
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        if arguments.replay:
            figures = json.loads(arguments.replay.read_text())
        else:
            kept = trainings(networks, images, arguments.data, arguments.seed, arguments.workers)
            figures = {
                **circumstances(),
                "data": arguments.data,
                "seed": arguments.seed,
                "images": images,
                "networks": kept,
            }
        figures["lines"] = lines(figures["networks"])
        figures["rows"] = replayed(figures["networks"], figures["images"], orders)
    if arguments.json:
        print(json.dumps(figures, indent=1))


def trainings(number: int, images: int, name: str, seed: int, workers: int) -> list[Kept]:
    """Random networks of the space, measured together, then trained."""
    with tempfile.TemporaryDirectory() as folder, Pool(workers) as pool:
        data = load(name, cache=Path(folder))
        networks = random_networks(number, seed, data)
        latencies = measured(networks, Instrument(open_device("local", engine="litert")))
        recipe = recipe_for(images, len(data.train))
        stops = tuple(StopRule(round(share * images)) for share in SHARES)
        jobs = [TrainingJob(str(network), str(data.directory), recipe, seed=0, stops=stops) for network in networks]
        kept = []
        for index, result in pool.run(run_training, jobs):
            latency = latencies[str(networks[index])]
            if isinstance(result, TrialFailure) or not isinstance(latency, Measurement):
                print(f"network {index} is left out: {result}; {latency}")
                continue
            looks = {f"{share:g}": reached for share, (_, reached) in zip(SHARES, result.looks, strict=True)}
            row = {"point": index, "latency_ms": latency.latency_ms, "accuracy": result.accuracy, "looks": looks}
            kept.append({**row, "seconds": result.seconds})
            print(f"{len(kept)} of {number}: {result.accuracy:.1%} after {result.seconds:.0f} s", flush=True)
    return sorted(kept, key=lambda row: int(row["point"]))


def random_networks(number: int, seed: int, data: ClassificationData) -> list[Architecture]:
    """Random points of the space, fitted to the pictures."""
    space, draw = named_space("mnasnet"), random.Random(seed)
    points = [tuple(draw.randrange(options) for options in space.option_counts) for _ in range(number)]
    shape = {"resolution": data.resolution, "channels": data.channels, "classes": len(data.classes)}
    return [adapted(space.decode(point, WIDTH), **shape, strides="early") for point in points]


def lines(kept: list[Kept]) -> list[dict[str, float]]:
    """How much a look says about the end."""
    end_N = np.array([row["accuracy"] for row in kept])
    print(f"\n{len(kept)} networks, {end_N.mean():.1%} on average at the end, sd {end_N.std():.1%}")
    print(f"{'look at':>8} {'correlation':>11} {'sd of the end given the look':>28}")
    found = []
    for share in SHARES:
        look_N = np.array([row["looks"][f"{share:g}"] for row in kept])
        correlation = float(np.corrcoef(look_N, end_N)[0, 1])
        residual = float(end_N.std(ddof=2) * np.sqrt(1 - correlation**2))
        found.append({"share": share, "correlation": correlation, "sd": residual})
        print(f"{share:8.0%} {correlation:11.2f} {residual:28.1%}")
    return found


def replayed(kept: list[Kept], images: int, orders: int) -> list[dict[str, Any]]:
    """One row a goal, rule and share."""
    latency_N = np.array([row["latency_ms"] for row in kept])
    low, middle, high = (float(value) for value in np.quantile(latency_N, (0.1, 0.5, 0.9)))
    goals: dict[str, Goal] = {kind: Reward(kind, middle) for kind in ("soft", "hard")}
    goals["front"] = Front(low, high)
    print(f"\nlimit {middle:.3f} ms; front from {low:.3f} to {high:.3f} ms; floor: the least accuracy; {orders} orders")
    heads = f"{'goal':>6} {'rule':>8} {'look at':>8} {'cost':>6} {'stopped':>8} {'lost, median':>12} {'mean':>6}"
    print(f"{heads} {'worst':>6} {'best stopped':>12}")
    rows = []
    for name, goal in goals.items():
        for rule, play in (("curve", by_curve), ("halving", by_halving)):
            for share in SHARES:
                row = over_orders(kept, goal, orders, partial(play, goal=goal, share=share, images=images), 1 - share)
                row["cost"] += LOOK_IMAGES / images
                rows.append({"goal": name, "rule": rule, "share": share, **row})
                print(f"{name:>6} {rule:>8} {share:8.0%} {cells(row)}", flush=True)
    return rows


def over_orders(
    kept: list[Kept], goal: Goal, orders: int, play: Callable[[list[Kept]], list[bool]], saved: float
) -> dict[str, float]:
    """saved: share of its cost that a stopped trial saves. cost (looks included), stopped: shares. lost: points of
    reward, or % of the front's area. best_stopped: share of the orders.
    """
    lost, stopped, best_gone = [], [], 0
    best = max(kept, key=lambda row: worth([row], goal, kept))
    for seed in range(orders):
        order = random.Random(seed).sample(kept, len(kept))
        gone = play(order)
        left = [row for row, away in zip(order, gone, strict=True) if not away]
        whole = worth(kept, goal, kept)
        missed = whole - worth(left, goal, kept)
        lost.append(100 * (missed / whole if isinstance(goal, Front) else missed))
        stopped.append(sum(gone) / len(gone))
        best_gone += best not in left
    mean = statistics.mean(stopped)
    return {
        "cost": 1 - mean * saved,
        "stopped": mean,
        "lost_median": statistics.median(lost),
        "lost_mean": statistics.mean(lost),
        "lost_worst": max(lost),
        "best_stopped": best_gone / orders,
    }


def cells(row: dict[str, float]) -> str:
    """One row of the table, after its names."""
    return (
        f"{row['cost']:6.1%} {row['stopped']:8.1%} {row['lost_median']:12.2f} {row['lost_mean']:6.2f} "
        f"{row['lost_worst']:6.2f} {row['best_stopped']:12.1%}"
    )


def worth(rows: Sequence[Kept], goal: Goal, everything: Sequence[Kept]) -> float:
    """The best reward, or the area of the front above the least accuracy of all."""
    accuracy_N = np.array([row["accuracy"] for row in rows])
    latency_N = np.array([row["latency_ms"] for row in rows])
    if isinstance(goal, Front):
        return goal.area(accuracy_N, latency_N, min(row["accuracy"] for row in everything))
    return float(goal.of(accuracy_N, latency_N).max())


def by_curve(order: list[Kept], *, goal: Goal, share: float, images: int) -> list[bool]:
    """Which the search's rule stops, one trial after the other, controls not stopped."""
    trials: list[Trial] = []
    gone = []
    for number, row in enumerate(order):
        trial = Trial(number, (number,), str(row["point"]), seed=0, latency_ms=row["latency_ms"])
        bar = bar_for(trial, trials, goal, images)
        look = row["looks"][f"{share:g}"]
        gone.append(look < bar.rule.below)
        if not gone[-1]:
            rung = Rung(round(share * images), look, bar.below)
            trials.append(replace(trial, state=TrialState.COMPLETE, accuracy=row["accuracy"], rung=rung))
    return gone


def by_halving(order: list[Kept], *, goal: Goal, share: float, images: int) -> list[bool]:
    """Of each eight, the half with the lower goal at the look; of a front the half that most are better than."""
    gone: list[bool] = []
    for start in range(0, len(order), EIGHT):
        group = order[start : start + EIGHT]
        seen = [(row["looks"][f"{share:g}"], row["latency_ms"]) for row in group]
        if isinstance(goal, Front):
            scores = [-sum(a > accuracy and ms <= latency for a, ms in seen) for accuracy, latency in seen]
        else:
            scores = [goal(*point) for point in seen]
        worst = sorted(range(len(group)), key=lambda place: scores[place])[: len(group) // 2]
        gone += [place in worst for place in range(len(group))]
    return gone


def circumstances() -> dict[str, str]:
    """Machine, versions and date."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


if __name__ == "__main__":
    main()
