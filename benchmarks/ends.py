"""How a network ends: the published last block and 1,280-filter head, against leaner ends of the same searched blocks.

    python benchmarks/ends.py [--data fashion-mnist] [--networks 5] [--images 40000]
    python benchmarks/ends.py --quick            # tells nothing but that it runs

Random points of the space, each with every end, trained alike by one seed and judged on validation pictures; latency is
LiteRT's, one thread, the shortest of many runs of a network's ends in turn. Printed for each end: the mean over
networks of accuracy and of what it gains on the published end, with the standard error of that; latency, parameters and
multiply-adds as a share of the published end's (geometric means).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

# Set before numpy and torch start their pools.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from facts import document
from timed_training import timed

from nasfit.architecture import STRIDE_RULES, Architecture, adapted, count, scaled
from nasfit.export.tflite_writer import to_tflite
from nasfit.models import build
from nasfit.space import named_space
from nasfit.tasks import ClassificationData, load
from nasfit.training import TrainingJob, recipe_for
from nasfit.workers import Pool, available_cores

PUBLISHED = "published"


@dataclass(frozen=True)
class End:
    """Figures of one way to end, over all networks."""

    end: str
    accuracy: float
    gain_points: float
    gain_error: float
    latency: float
    parameters: float
    madds: float


def main() -> None:
    """Train and time every network with every end, print the table."""
    options = _options()
    torch.set_num_threads(1)
    with redirect_stdout(sys.stderr) if options.json else nullcontext(), TemporaryDirectory() as folder:
        data = load(options.data, cache=Path(folder))
        networks = _networks(data, options)
        accuracy = _accuracies(networks, data, options)
        latency = [_latencies(row, data, 20 if options.quick else 500) for row in networks]
        ends = _ends(networks, accuracy, latency)
        _print(ends)
    if options.json:
        print(document(options, ends=[*map(asdict, ends)]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist", help="name or folder of pictures")
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--images", type=int, default=40_000, help="pictures of a training")
    parser.add_argument("--width", type=float, default=0.35)
    parser.add_argument("--strides", choices=STRIDE_RULES, default="early")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="2 networks, 200 pictures")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    options = parser.parse_args()
    if options.quick:
        options.data, options.networks, options.images = "fashion-mnist-small", 2, 200
    return options


def _networks(data: ClassificationData, options: argparse.Namespace) -> list[dict[str, str]]:
    """For each point its network by end."""
    option_counts, random = named_space("mnasnet").option_counts, np.random.default_rng(options.seed)
    points = [[int(random.integers(count)) for count in option_counts] for _ in range(options.networks)]
    shape = {"resolution": data.resolution, "channels": data.channels, "classes": len(data.classes)}
    rows = [_with_every_end(point, options.width) for point in points]
    return [{end: str(adapted(net, **shape, strides=options.strides)) for end, net in row.items()} for row in rows]


def _with_every_end(point: Sequence[int], width: float) -> dict[str, Architecture]:
    published, lean = named_space("mnasnet"), named_space("mnasnet-lean").decode(point, width)
    return {
        PUBLISHED: published.decode(point, width),
        "published, head narrowed": scaled(published.decode(point), width, head=True),
        "expansion, hidden 1280": replace(lean, hidden_filters=1280),
        "expansion alone": lean,
    }


def _accuracies(
    networks: Sequence[dict[str, str]], data: ClassificationData, options: argparse.Namespace
) -> list[dict[str, float]]:
    recipe = recipe_for(options.images, len(data.train.labels_N))
    keys = [(place, end) for place, row in enumerate(networks) for end in row]
    jobs = [TrainingJob(networks[place][end], str(data.directory), recipe, 0) for place, end in keys]
    found: list[dict[str, float]] = [{} for _ in networks]
    with Pool(available_cores()) as pool:
        for (place, end), (accuracy, _) in zip(keys, timed(pool, jobs), strict=True):
            found[place][end] = accuracy
    return found


def _latencies(row: dict[str, str], data: ClassificationData, runs: int) -> dict[str, float]:
    """Milliseconds of the shortest run."""
    shape = (data.channels, data.resolution, data.resolution)
    interpreters = {}
    for end, text in row.items():
        content = to_tflite(build(Architecture.parse(text)).eval(), shape)
        interpreters[end] = Interpreter(model_content=content, num_threads=1)
        interpreters[end].allocate_tensors()
    best = dict.fromkeys(row, float("inf"))
    for _ in range(runs):
        for end, interpreter in interpreters.items():
            start = time.perf_counter()
            interpreter.invoke()
            best[end] = min(best[end], 1e3 * (time.perf_counter() - start))
    return best


def _ends(
    networks: Sequence[dict[str, str]], accuracy: Sequence[dict[str, float]], latency: Sequence[dict[str, float]]
) -> list[End]:
    counts = [{end: count(Architecture.parse(text)) for end, text in row.items()} for row in networks]
    ends = []
    for end in networks[0]:
        gains = 100 * np.array([row[end] - row[PUBLISHED] for row in accuracy])
        shares = [
            [row[end] / row[PUBLISHED] for row in latency],
            [row[end].parameters / row[PUBLISHED].parameters for row in counts],
            [row[end].madds / row[PUBLISHED].madds for row in counts],
        ]
        error = float(gains.std(ddof=1) / len(gains) ** 0.5)
        mean = float(np.mean([row[end] for row in accuracy]))
        ends.append(End(end, mean, float(gains.mean()), error, *(float(np.exp(np.log(s).mean())) for s in shares)))
    return ends


def _print(ends: Sequence[End]) -> None:
    print(f"{'':<26}{'accuracy':>10}{'gain':>8}{'+-':>6}{'latency':>9}{'params':>8}{'MAdds':>7}")
    for e in ends:
        figures = f"{100 * e.accuracy:>8.2f} %{e.gain_points:>+8.2f}{e.gain_error:>6.2f}"
        print(f"{e.end:<26}{figures}{e.latency:>9.2f}{e.parameters:>8.2f}{e.madds:>7.2f}")


if __name__ == "__main__":
    main()
