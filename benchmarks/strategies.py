"""Samples that each strategy needs, on a table of networks really trained on ImageNet and really timed.

    python benchmarks/strategies.py --table DIR

DIR holds `accel_nasbench.py` and its table: Accel-NASBench (Apache-2.0) as a search problem with a known optimum, over
a MnasNet-like space of 1e11 points. Rewards: soft, top1 * (ms / T)^-0.07, and hard, top1 up to T and top1 * T / ms
above, T = 4 ms on ZCU102. Printed: the gap of the best sample so far to the optimum, in % of it, median over seeds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nasfit.strategies import STRATEGIES, Outcome, make_strategy

TABLE = Path(__file__).resolve().parents[1] / "../shared/benchmarks"
TARGET_MS = 4.0
SAMPLES = (100, 200, 500, 1000, 2000)
ASKED_AT_ONCE = 10


def soft(top1: Any, latency_ms: Any) -> Any:
    """Tan et al. 2019, equation 2, with alpha = beta = -0.07."""
    return top1 * (latency_ms / TARGET_MS) ** -0.07


def hard(top1: Any, latency_ms: Any) -> Any:
    """Tan et al. 2019, equation 2, with alpha = 0, beta = -1."""
    return np.where(latency_ms <= TARGET_MS, top1, top1 * TARGET_MS / latency_ms)


REWARDS = {"soft": soft, "hard": hard}


@cache
def problem(table: Path) -> tuple[Any, tuple[int, ...]]:
    """The search problem and its option counts."""
    spec = importlib.util.spec_from_file_location("accel_nasbench", table / "accel_nasbench.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.load(), module.OPTION_COUNTS


def searched(job: tuple[str, str, int, int, Path]) -> tuple[list[float], float]:
    """Best reward after each of the samples, and the strategy's own seconds a sample."""
    name, reward, seed, samples, table = job
    if name.startswith("ppo"):
        import torch

        torch.set_num_threads(1)
    evaluate, option_counts = problem(table)
    strategy = make_strategy(name, option_counts, seed=seed)
    rewards: list[float] = []
    seconds = 0.0
    while len(rewards) < samples:
        start = time.perf_counter()
        points = strategy.ask(ASKED_AT_ONCE)
        seconds += time.perf_counter() - start
        top1, latency_ms = evaluate(np.array(points))
        batch = REWARDS[reward](top1, latency_ms)
        rewards += batch.tolist()
        # Accuracy, and with it the reward, is 0..1 in a search.
        told = [
            Outcome(point, float(value) / 100, float(accuracy) / 100, float(ms), "complete")
            for point, value, accuracy, ms in zip(points, batch, top1, latency_ms, strict=True)
        ]
        start = time.perf_counter()
        strategy.tell(told)
        seconds += time.perf_counter() - start
    return np.maximum.accumulate(rewards).tolist(), seconds / len(rewards)


def gaps(table: Path, seeds: int, samples: int, processes: int) -> list[dict[str, Any]]:
    """One row a strategy and reward: quartiles of the gap in % at each number of samples, and seconds a sample."""
    optimum = {reward: problem(table)[0].optimum(function) for reward, function in REWARDS.items()}
    cases = [(name, reward) for reward in REWARDS for name in STRATEGIES]
    jobs = [(name, reward, seed, samples, table) for name, reward in cases for seed in range(seeds)]
    with ProcessPoolExecutor(processes) as pool:
        results = list(pool.map(searched, jobs))
    rows = []
    for place, (name, reward) in enumerate(cases):
        runs = results[place * seeds : (place + 1) * seeds]
        row: dict[str, Any] = {"strategy": name, "reward": reward, "gap_percent": {}}
        for number in (n for n in SAMPLES if n <= samples):
            values = [100 * (1 - best[number - 1] / optimum[reward]) for best, _ in runs]
            low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).round(4).tolist()
            row["gap_percent"][str(number)] = {"q1": low, "median": median, "q3": high}
        row["seconds_per_trial"] = float(np.median([seconds for _, seconds in runs]))
        rows.append(row)
    return rows


def circumstances() -> dict[str, str]:
    """Machine, versions and date: without them the seconds mean nothing."""
    import torch

    cpu = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in cpu.read_text().splitlines() if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{models[0] if models else platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def printed(rows: list[dict[str, Any]]) -> str:
    """The rows as a markdown table."""
    numbers = list(rows[0]["gap_percent"])
    lines = [f"| strategy | reward | {' | '.join(numbers)} | ms a trial |", "|---" * (len(numbers) + 3) + "|"]
    for row in rows:
        medians = " | ".join(f"{quartiles['median']:.2f}" for quartiles in row["gap_percent"].values())
        milliseconds = row["seconds_per_trial"] * 1e3
        lines.append(f"| {row['strategy']} | {row['reward']} | {medians} | {milliseconds:.2f} |")
    return "\n".join(lines)


def main() -> int:
    """Runs all strategies; exit status 2 where the table is not there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--table", type=Path, default=TABLE, help="directory with accel_nasbench.py and its table")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="one thread each")
    parser.add_argument("--quick", action="store_true", help="2 seeds to 200 samples: under a minute")
    parser.add_argument("--json", action="store_true", help="print quartiles and circumstances as JSON instead")
    arguments = parser.parse_args()
    if not (arguments.table / "accel_nasbench.py").exists():
        print("no accel_nasbench.py found; give its directory with --table DIR", file=sys.stderr)
        return 2
    seeds, samples = (2, 200) if arguments.quick else (arguments.seeds, arguments.samples)
    rows = gaps(arguments.table.resolve(), seeds, samples, arguments.processes)
    if arguments.json:
        content = {**circumstances(), "target_ms": TARGET_MS, "seeds": seeds, "asked_at_once": ASKED_AT_ONCE}
        print(json.dumps({**content, "rows": rows}, indent=1))
    else:
        print(printed(rows))
    return 0


if __name__ == "__main__":
    # One thread a process, set before numpy and torch start their pools in the workers.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    sys.exit(main())
