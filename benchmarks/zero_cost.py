"""How zero-cost scores rank networks: against full trainings, and against short ones.

    python benchmarks/zero_cost.py --data CIFAR10_FOLDER --truth ROWS.jsonl [--images 2000 5000]
    python benchmarks/zero_cost.py --truth benchmarks/results/stopping.json --images
    python benchmarks/zero_cost.py --quick                    # tells nothing but that it runs

truth: JSON lines with `architecture` (text form) and `accuracy` of full trainings, a network's seeds averaged, or the
JSON of `stopping.py`, whose trainings are those of trials; without it random networks of the space are trained here,
--networks of them on --full pictures. The same networks are trained shortly, on --images pictures each. Printed, a line
a score: Kendall's tau-b with these accuracies and with each short one, 90 % intervals by drawing networks again; and
its seconds of one core a network. The last lines are the short accuracies themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Set before numpy and torch start their pools.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import torch
from stopping import random_networks
from trials_rows import architectures

from nasfit.errors import TrialFailure
from nasfit.search import versions
from nasfit.search.rank_agreement import Agreement, agreement
from nasfit.tasks import ClassificationData, load
from nasfit.training import SCORES, TrainingJob, ZeroCostJob, recipe_for, run_training, run_zero_cost
from nasfit.workers import Pool

Scores = dict[str, list[float]]
FULL = "full"


def zero_cost_scores(networks: Sequence[str], data_directory: Path, seed: int) -> tuple[Scores, float]:
    """Every score of the networks (text forms), in their order, and the seconds of one core for all of it."""
    scores, seconds = timed_scores(networks, data_directory, seed)
    return scores, sum(seconds.values())


def timed_scores(networks: Sequence[str], data_directory: Path, seed: int) -> tuple[Scores, dict[str, float]]:
    """The same with seconds by score."""
    torch.set_num_threads(1)
    scores: Scores = {name: [] for name in SCORES}
    seconds = dict.fromkeys(SCORES, 0.0)
    for network in networks:
        for name in SCORES:
            began = time.process_time()
            scores[name].append(run_zero_cost(ZeroCostJob(network, str(data_directory), seed, (name,)))[name])
            seconds[name] += time.process_time() - began
    return scores, seconds


def main() -> None:
    """Score, train what is missing, print."""
    options = _options()
    with redirect_stdout(sys.stderr) if options.json else nullcontext():
        figures = _figures(options)
        _print(figures)
    if options.json:
        print(json.dumps(figures, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist-small", help="name or folder of pictures")
    parser.add_argument("--truth", type=Path, nargs="+", help="JSON lines of full trainings")
    parser.add_argument("--networks", type=int, default=16, help="without --truth")
    parser.add_argument("--full", type=int, default=50_000, help="pictures of a full training, without --truth")
    parser.add_argument("--images", type=int, nargs="*", default=[2_000, 5_000], help="pictures of short trainings")
    parser.add_argument("--seed", type=int, default=0, help="of scores and short trainings")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="5 networks, 640 pictures")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    options = parser.parse_args()
    if options.quick:
        options.data, options.truth = "fashion-mnist-small", None
        options.networks, options.full, options.images = 5, 640, [160]
    return options


def _figures(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, Pool(options.workers) as pool:
        data = load(options.data, cache=Path(folder))
        assert data.directory is not None, "loaded data lies on disk"
        pictures = len(data.train.labels_N)

        def trained(images: int, seed: int) -> list[float]:
            recipe = recipe_for(images, pictures)
            jobs = [TrainingJob(network, str(data.directory), recipe, seed) for network in networks]
            accuracies = [0.0] * len(jobs)
            for place, result in pool.run(run_training, jobs):
                if isinstance(result, TrialFailure):
                    raise result
                accuracies[place] = result.accuracy
            return accuracies

        if options.truth:
            networks, full = _truth(options.truth, data)
        else:
            networks = architectures(data, options.networks)
            full = trained(options.full, options.seed + 1000)
        scores, seconds = timed_scores(networks, data.directory, options.seed)
        short = {f"{images:,} pictures": trained(images, options.seed) for images in options.images}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        **versions(),
        "options": {name: str(value) for name, value in vars(options).items()},
        "networks": networks,
        "accuracies": {FULL: full, **short},
        "scores": scores,
        "seconds a network": {name: value / len(networks) for name, value in seconds.items()},
        "tau": _taus({**scores, **short}, {FULL: full, **short}),
    }


def _truth(files: Sequence[Path], data: ClassificationData) -> tuple[list[str], list[float]]:
    """Networks and their mean accuracy over the rows."""
    found: dict[str, list[float]] = {}
    for file in files:
        if file.suffix == ".json":
            kept = json.loads(file.read_text())
            networks = random_networks(max(row["point"] for row in kept["networks"]) + 1, kept["seed"], data)
            rows = [{"architecture": str(networks[row["point"]]), **row} for row in kept["networks"]]
        else:
            rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            found.setdefault(row["architecture"], []).append(row["accuracy"])
    return list(found), [float(np.mean(values)) for values in found.values()]


def _taus(orders: Scores, accuracies: Scores) -> dict[str, dict[str, dict[str, float] | None]]:
    """Of every order with every accuracy but itself."""
    return {
        name: {what: _plain(agreement(values, known)) for what, known in accuracies.items() if what != name}
        for name, values in orders.items()
    }


def _plain(found: Agreement | None) -> dict[str, float] | None:
    return None if found is None else asdict(found)


def _print(figures: dict[str, Any]) -> None:
    columns = list(figures["accuracies"])
    print(f"{len(figures['networks'])} networks; Kendall's tau-b with accuracy after training")
    print(f"{'score':<16}{'s':>7}" + "".join(f"{what:>26}" for what in columns))
    for name, row in figures["tau"].items():
        seconds = figures["seconds a network"].get(name)
        cells = "".join(f"{_cell(row.get(what)):>26}" for what in columns)
        print(f"{name:<16}{'' if seconds is None else format(seconds, '.2f'):>7}{cells}")


def _cell(found: dict[str, float] | None) -> str:
    return "" if found is None else f"{found['tau']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


if __name__ == "__main__":
    main()
