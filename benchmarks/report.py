"""What looking at a study costs: `nasfit --help`, `nasfit show` and `nasfit report` on thousands of trials.

    python benchmarks/report.py                  # 8,000 trials, five runs of each command
    python benchmarks/report.py --quick --json   # one run of each

The study is made up, in the shape that a finished search leaves: trials of random networks, nine final networks with
all samples of their measurement and a test of 10,000 pictures each, times of parts. Each command runs in a fresh
process. Printed: seconds of wall time, median and range, beside those of starting Python; size of the page.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
# As it is after a first run anywhere: compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import numpy as np
from facts import document

from nasfit.architecture import Architecture, adapted, count
from nasfit.devices import Description, Sample
from nasfit.latency import Measurement
from nasfit.latency.part_times import PartTimes
from nasfit.objective import Reward
from nasfit.report.architecture_drawing import drawn_parts
from nasfit.search.documents import FINALS, LATENCIES, PARTS
from nasfit.search.goal import judged
from nasfit.search.plan import Plan
from nasfit.search.random_share import random_share
from nasfit.search.result import Contender, Result
from nasfit.search.settings import Settings
from nasfit.space import named_space
from nasfit.study import Proposal, Study, TrialState
from nasfit.tasks import Split, from_arrays, save

TARGET_MS, FILL, RANDOM = 0.5, 200, 64
FINAL = ("found-1", "found-2", "found-3", *(f"mobilenet-v2 x{width}" for width in (0.25, 0.35, 0.5)))
PICTURES, CLASSES = 10_000, 10
COMMANDS = {"python": ("-c", "pass"), "--help": ("-m", "nasfit", "--help"), "show": ("-m", "nasfit", "show")}
COMMANDS["report"] = ("-m", "nasfit", "report")


def main() -> None:
    """Makes the study, times each command, prints a line for each."""
    options = _options()
    with tempfile.TemporaryDirectory() as place, redirect_stdout(sys.stderr) if options.json else nullcontext():
        path = Path(place) / "study"
        _fill(path, options.trials)
        found = {}
        print(f"{'command':<10}{'median s':>10}{'fastest':>10}{'slowest':>10}")
        for name, words in COMMANDS.items():
            given = [*words, str(path)] if name in ("show", "report") else words
            found[name] = times = [_seconds(given) for _ in range(options.runs)]
            print(f"{name:<10}{statistics.median(times):>10.2f}{min(times):>10.2f}{max(times):>10.2f}", flush=True)
        size_mb = (path / "report.html").stat().st_size / 1e6
        print(f"the report of {options.trials:,} trials has {size_mb:.2f} MB")
    if options.json:
        print(document(options, seconds=found, size_mb=size_mb))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=8_000)
    parser.add_argument("--runs", type=int, default=5, help="of each command")
    parser.add_argument("--quick", action="store_true", help="one run of each")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    options = parser.parse_args()
    if options.quick:
        options.runs = 1
    return options


def _seconds(words: Sequence[str]) -> float:
    since = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - since


def _fill(path: Path, number: int) -> None:
    random, space = np.random.default_rng(0), named_space("mnasnet-lean")
    settings = Settings("made-up", TARGET_MS)
    with Study.create(path, settings.as_json()) as study:
        plan = Plan(0.5, "late", 32, 20_000, 300.0, 60.0, 0.1, 0.4, 1.5)
        study.put_document("plan", plan.as_json())
        for first in range(0, number, FILL):
            points = random.integers(space.option_counts, size=(min(FILL, number - first), len(space.option_counts)))
            texts = [str(_fitted(space.decode(tuple(map(int, point)), plan.width))) for point in points]
            origin = "random" if first < RANDOM else settings.strategy
            proposed = study.propose(
                [Proposal(tuple(map(int, p)), text, 0, origin) for p, text in zip(points, texts, strict=True)]
            )
            study.finish([_ended(trial, random) for trial in proposed])
        study.add_seconds("search", 3600.0)
        _finish(study, settings, random)


def _fitted(network: Architecture) -> Architecture:
    return adapted(network, resolution=32, channels=3, classes=CLASSES, strides="late")


def _ended(trial: Any, random: np.random.Generator) -> Any:
    latency_ms = float(random.lognormal(np.log(TARGET_MS), 0.3))
    seconds = {"measure": 0.3, "train": 60.0}
    if latency_ms > 1.1 * TARGET_MS:
        return replace(trial, state=TrialState.PRUNED, latency_ms=latency_ms, reason="slower than the limit allows")
    accuracy = float(random.normal(0.5 + 0.1 * latency_ms, 0.02))
    reward = Reward("soft", TARGET_MS)(accuracy, latency_ms)
    return replace(
        trial, state=TrialState.COMPLETE, accuracy=accuracy, latency_ms=latency_ms, reward=reward, seconds=seconds
    )


def _finish(study: Study, settings: Settings, random: np.random.Generator) -> None:
    """What the finale leaves."""
    text = next(trial.architecture for trial in study.trials() if trial.state is TrialState.COMPLETE)
    counts = count(Architecture.parse(text))
    contenders, finals, latencies = [], {}, {}
    for place, name in enumerate(FINAL):
        measured = _measured(0.1 * (place + 1), random)
        wrong = np.sort(random.choice(PICTURES, 3_000 - 100 * place, replace=False))
        mistakes = [[int(at), int(random.integers(CLASSES)), round(float(random.random()), 3)] for at in wrong]
        finals[name] = {"accuracy": 1 - len(wrong) / PICTURES, "mistakes": mistakes}
        latencies[name] = measured.to_dict()
        contenders.append(
            Contender(
                name,
                "found" if name.startswith("found") else "baseline",
                text,
                finals[name]["accuracy"],
                measured.latency_ms,
                measured.low_ms,
                measured.high_ms,
                counts.parameters,
                counts.madds,
                1e-6,
                f"models/{name}.tflite",
                f"models/{name}.safetensors",
                1_000_000,
            )
        )
    names = [part.name for part in drawn_parts(Architecture.parse(text))]
    cuts = [(0.01 * (place + 1), 0.01 * place + 0.0099, 0.01 * place + 0.0101) for place in range(len(names))]
    share = random_share(judged(study.trials(), Reward("soft", TARGET_MS)))
    result = Result(tuple(contenders), 0, 100_000, share, study.seconds(), {}, {})
    for name, value in (
        (FINALS, finals),
        (LATENCIES, latencies),
        (PARTS, PartTimes.of(text, names, cuts).as_json()),
        ("result", result.as_json()),
    ):
        study.put_document(name, value)
    images = random.integers(0, 256, (PICTURES, 32, 32, 3), np.uint8)
    split = Split(images, np.arange(PICTURES) % CLASSES)
    few = Split(images[:CLASSES], split.labels_N[:CLASSES])
    data = save(from_arrays("made-up", tuple(map(str, range(CLASSES))), few, few, split), study.path / "data/made-up")
    study.put_document("data", {"directory": "data/made-up", "fingerprint": data.fingerprint})


def _measured(base_ms: float, random: np.random.Generator) -> Measurement:
    description = Description(
        "a board", "an engine", "a processor", 4, 1, 1, True, "an OS", 1e-4, None, None, "2026-01-01T00:00:00Z"
    )
    factors = 1 + np.abs(random.normal(0, 0.01, 180))
    samples = [Sample(float(base_ms * f), float(base_ms * f), 16, 1.0) for f in factors]
    return Measurement.of(samples, description, 1.0, processes=3)


if __name__ == "__main__":
    main()
