"""How good estimated latencies are: Spearman, Kendall, errors and coverage of the interval, on networks held out.

    python benchmarks/predictor.py [--quick] [--table PATH] [--minutes 10] [--engine litert] [--json]

table: Accel-NASBench (Apache-2.0), networks really timed on four accelerators; from 300 and from 1,000 of them the
others are estimated, for several random choices. Throughputs become 1,000 / throughput. Beside it, for each column,
what bounds any predictor: how far networks measured twice are apart, the correlation of residuals that follow each
other in the file (the order of measuring, which no network can explain), and Spearman within the faster and the slower
half.
device: 100 random networks of the space at 224 px held out, and a designed sample measured for about `--minutes`, all
in two passes at different times, the smaller headline counting. Then whether multiply-adds would have done as well.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

# One thread, set before numpy starts its pool: two that wait for each other on a busy machine take five times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from nasfit.architecture import count
from nasfit.devices import Device, engine_named, open_device
from nasfit.latency import Measurement, Timing, measure
from nasfit.latency.predictor import LEAST_ROWS, Predictor
from nasfit.latency.predictor_form import TokenTable
from nasfit.latency.predictor_quality import Quality
from nasfit.latency.ranking import rank_by_counts
from nasfit.latency.ranking_correlations import spearman
from nasfit.latency.sampling import Tokens, designed_sample
from nasfit.space import SearchSpace, named_space

TABLE = Path(__file__).resolve().parents[1] / "../shared/benchmarks/accel_nasbench.csv.gz"
COLUMNS = ("latency_zcu102", "throughput_3090", "throughput_tpuv2", "throughput_tpuv3")
BLOCKS = 7
OPTION_COUNTS = tuple(n for block in range(BLOCKS) for n in (3, 2, 4 if block == 5 else 3, 2))
TOKENS = TokenTable(OPTION_COUNTS, tuple(tuple(range(4 * block, 4 * block + 4)) for block in range(BLOCKS)))
# Short looks in two passes tell more than one long look: disturbances last longer than a look.
TIMING = Timing(min_rounds=15, max_rounds=30, span_s=0.0, network_s=4.0)
PASSES = 2
HELD_OUT = 100
RESERVED = 0.75  # share of the minutes planned for: on a busy machine more rounds are needed than at first


def main() -> None:
    """Run both parts and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one choice of rows, few networks: below 50 s")
    parser.add_argument("--table", type=Path, default=TABLE, help="accel_nasbench.csv.gz; skipped where absent")
    parser.add_argument("--minutes", type=float, default=10.0, help="measuring the designed sample; 0 skips the device")
    parser.add_argument("--space", default="mnasnet", help="search space of the device part")
    parser.add_argument("--engine", default="litert", help="engine on this machine")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the tables to stderr")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"numpy": np.__version__}
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        if arguments.table.exists():
            figures["table"] = on_table(arguments.table, (300,) if arguments.quick else (300, 1000), arguments.quick)
        else:
            print(f"no table at {arguments.table}: this part is skipped; give its place with --table PATH")
        if arguments.minutes > 0:
            minutes = min(arguments.minutes, 0.15) if arguments.quick else arguments.minutes
            device = open_device("local", engine=arguments.engine)
            figures["device"] = on_device(device, named_space(arguments.space), minutes, arguments)
    if arguments.json:
        print(json.dumps(figures, indent=1))


def on_table(path: Path, sizes: Sequence[int], quick: bool) -> list[dict[str, Any]]:
    """One row a column, number of measured rows and seed."""
    tokens_ND, latencies, repeats = read_table(path)
    print("networks that stand in the table twice, fastest first, and how far their two measurements are apart:")
    for column, found in repeats.items():
        print(f"{column:>17} " + " ".join(f"{apart:.1%}" for _, apart in found))
    rows = []
    print(f"{'column':>17} {'rows':>5} {'seed':>4} {'Spearman':>9} {'Kendall':>8} {'+-5 %':>6} {'+-10 %':>6}", end=" ")
    print(f"{'coverage':>8} {'fit s':>6} | {'next in file':>12} {'fast half':>9} {'slow half':>9}")
    for column, latency_N in latencies.items():
        usable = np.flatnonzero(np.isfinite(latency_N))
        for size in sizes:
            for seed in range(1 if quick else 5):
                order = np.random.default_rng(seed).permutation(usable)
                row = {"column": column, "rows": size, "seed": seed}
                rows.append({**row, **from_rows(tokens_ND, latency_N, order[:size], np.sort(order[size:]))})
                print(line(rows[-1]), flush=True)
    return rows


def read_table(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, list[tuple[float, float]]]]:
    """Option indices (N, 28) of the different networks, in the order of the file, and by column their latencies (N,).

    Last, by column: latency of those that stand there twice, and the share by which the two differ; fastest first.
    """
    with gzip.open(path, "rt", newline="") as lines:
        found = list(csv.DictReader(lines))
    tokens_ND = np.array([list(tokens_of(row)) for row in found])
    _, first, place = np.unique(tokens_ND, axis=0, return_index=True, return_inverse=True)
    kept = np.sort(first)
    latencies, repeats = {}, {}
    for column in COLUMNS:
        values = np.array([float(row[column] or "nan") for row in found])
        values = 1000 / values if column.startswith("throughput") else values
        pairs = [values[place.ravel() == at] for at in np.flatnonzero(np.bincount(place.ravel()) > 1)]
        repeats[column] = sorted((float(v.min()), float(v.max() / v.min() - 1)) for v in pairs if np.isfinite(v).all())
        latencies[column] = values[kept]
    return tokens_ND[kept], latencies, repeats


def tokens_of(row: dict[str, str]) -> Iterator[int]:
    """Expansion, kernel, layers, SE of each block as option indices."""
    for block in range(1, BLOCKS + 1):
        yield (1, 4, 6).index(int(row[f"block{block}_expansion"]))
        yield (3, 5).index(int(row[f"block{block}_kernel"]))
        yield int(row[f"block{block}_layers"]) - 1
        yield int(row[f"block{block}_se"])


def from_rows(tokens_ND: np.ndarray, latency_N: np.ndarray, known: np.ndarray, others: np.ndarray) -> dict[str, Any]:
    """Fit on `known`, judge on `others`, which are in the order of the file."""
    began = time.perf_counter()
    predictor = Predictor.fit(tokens_ND[known], latency_N[known], table=TOKENS)
    seconds = time.perf_counter() - began
    estimates = predictor.predict(tokens_ND[others])
    guessed, measured = np.array([estimate.latency_ms for estimate in estimates]), latency_N[others]
    residual = measured / guessed - 1
    fast = guessed < np.median(guessed)
    return {
        **asdict(Quality.of(estimates, measured)),
        "fit_s": seconds,
        "next_in_file": float(np.corrcoef(residual[:-1], residual[1:])[0, 1]),
        "spearman_fast_half": spearman(guessed[fast], measured[fast]),
        "spearman_slow_half": spearman(guessed[~fast], measured[~fast]),
    }


def line(row: dict[str, Any]) -> str:
    """One row of the table part."""
    return (
        f"{row['column']:>17} {row['rows']:5} {row['seed']:4} {row['spearman']:9.4f} {row['kendall']:8.4f} "
        f"{row['within_5']:6.3f} {row['within_10']:6.3f} {row['coverage']:8.3f} {row['fit_s']:6.1f} | "
        f"{row['next_in_file']:12.2f} {row['spearman_fast_half']:9.3f} {row['spearman_slow_half']:9.3f}"
    )


def on_device(device: Device, space: SearchSpace, minutes: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, fit, judge; the held-out networks are measured between the others, so that they see the same hours."""
    draw = random.Random(0)
    number, first = (12, 6) if arguments.quick else (HELD_OUT, 32)
    held = [tuple(draw.randrange(options) for options in space.option_counts) for _ in range(number)]
    bench = Bench(device, space, engine_named(arguments.engine).model_format)
    passes = 1 if arguments.quick else PASSES
    began = time.perf_counter()
    bench.measured(held[:first])
    each_s = (time.perf_counter() - began) / first * passes
    known = designed_sample(
        space.option_counts,
        max(LEAST_ROWS, int(60 * minutes * RESERVED / each_s)),
        cost=lambda tokens: float(count(space.decode(tokens)).madds),
        avoid=held,
    )
    seconds = in_passes(bench, [*held, *known], passes, draw)
    known, held = [t for t in known if t in bench.seen], [t for t in held if t in bench.seen]
    spent = sum(seconds[t] for t in known)
    print(f"\n{len(known)} networks measured in {spent / 60:.1f} minutes, {passes} passes;", end=" ")
    print(f"{len(held)} random ones held out; one network in two passes: sd {bench.repeatability():.1%} of one")
    rows = judged(bench, known, held)
    latency = {tokens: min(values) for tokens, values in bench.seen.items()}
    counts = [count(space.decode(tokens)) for tokens in latency]
    ranking = rank_by_counts([c.madds for c in counts], [c.parameters for c in counts], list(latency.values()))
    print(ranking)
    return {
        "machine": asdict(device.describe()),
        "minutes": spent / 60,
        "one_pass_sd": bench.repeatability(),
        "rows": rows,
        "ranking": ranking.to_dict(),
        "data": [[str(space.decode(tokens)), tokens in held, *values] for tokens, values in bench.seen.items()],
    }


def judged(bench: Bench, known: list[Tokens], held: list[Tokens]) -> list[dict[str, Any]]:
    """One row a number of measured networks; the last one with the first pass alone."""
    fresh = [bench.space.decode(tokens) for tokens in held]
    truth = [min(bench.seen[tokens]) for tokens in held]
    sizes = [size for size in (100, 200, 400) if size < len(known)]
    rows = []
    print(f"{'networks':>8} {'passes':>6} {'+-5 %':>6} {'+-10 %':>6} {'error':>6} {'Kendall':>8}", end=" ")
    print(f"{'Spearman':>8} {'coverage':>8} {'width':>6} {'fit s':>6}")
    for size, passes in [*((size, PASSES) for size in sizes), (len(known), PASSES), (len(known), 1)]:
        networks = [bench.space.decode(tokens) for tokens in known[:size]]
        began = time.perf_counter()
        predictor = Predictor.fit(networks, [min(bench.seen[tokens][:passes]) for tokens in known[:size]])
        fit_s = time.perf_counter() - began
        quality = Quality.of(predictor.predict(fresh), truth)
        rows.append({"measured": size, "passes": passes, "fit_s": fit_s, **asdict(quality)})
        print(
            f"{size:8} {passes:6} {quality.within_5:6.3f} {quality.within_10:6.3f} {quality.rmse_share:6.1%} "
            f"{quality.kendall:8.4f} {quality.spearman:8.4f} {quality.coverage:8.3f} {quality.width:6.1%} {fit_s:6.1f}"
        )
    return rows


def in_passes(bench: Bench, points: list[Tokens], passes: int, draw: random.Random) -> dict[Tokens, float]:
    """Measure every network in `passes` orders; seconds spent on each, exporting included."""
    seconds = dict.fromkeys(points, 0.0)
    for _ in range(passes):
        order = draw.sample(points, len(points))
        for start in range(0, len(order), TIMING.together):
            group = order[start : start + TIMING.together]
            began = time.perf_counter()
            for point, found in bench.measured(group).items():
                bench.seen.setdefault(point, []).append(found)
            for point in group:
                seconds[point] += (time.perf_counter() - began) / len(group)
    return seconds


class Bench:
    """Points of a space -> headlines; `seen` keeps those of all passes."""

    def __init__(self, device: Device, space: SearchSpace, model_format: str) -> None:
        self.space, self._device, self._model_format = space, device, model_format
        self.seen: dict[Tokens, list[float]] = {}

    def measured(self, points: Sequence[Tokens]) -> dict[Tokens, float]:
        """Latency in ms of those that run."""
        import torch

        from nasfit.export import export_model
        from nasfit.models import build

        torch.set_num_threads(1)
        files: dict[str, bytes] = {}
        for point in points:
            network = self.space.decode(point)
            shape = (network.channels, network.resolution, network.resolution)
            files[str(network)] = export_model(build(network).eval(), shape, model_format=self._model_format)
        results = measure(self._device, files, timing=TIMING)
        pairs = [(point, results[str(self.space.decode(point))]) for point in points]
        return {point: found.latency_ms for point, found in pairs if isinstance(found, Measurement)}

    def repeatability(self) -> float:
        """Standard deviation of one headline, as a share, from networks seen in two passes; nan from one pass."""
        ratios = [np.log(values[1] / values[0]) for values in self.seen.values() if len(values) > 1]
        return float(np.std(ratios) / np.sqrt(2)) if ratios else float("nan")


if __name__ == "__main__":
    main()
