"""Whether counted scores help the guided strategy, as hints at accuracy, on a table of networks really trained.

    python benchmarks/zero_cost_hints.py --table DIR [--seeds 20] [--quick] [--json]

DIR as in `strategies.py`. The guided strategy searches the table (hard reward, 4 ms, latencies looked up) with and
without parameters and multiply-adds as hints, of exact accuracies and of accuracies with 0.8 points of noise. Printed:
how the counts rank random points of the table, the median gap to the optimum after some networks, and in how many of
the seeds the hints led to a smaller one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

# Set before numpy starts its pools.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
from strategies import TABLE, circumstances
from strategies_runs import AT_ONCE, GROUPS, Latencies, optimum, outcomes, problem, table_module

from nasfit.architecture import Architecture, Block, count
from nasfit.objective import Reward
from nasfit.search.rank_agreement import agreement
from nasfit.space import Tokens
from nasfit.strategies import Hint, make_strategy

GOAL, NOISES, POINTS = Reward("hard", 4.0), (0.0, 0.8), 300
# The table's networks beside what its decisions say: those of EfficientNet-B0, whose space it is.
FILTERS, STRIDES, EXPANSIONS, KERNELS = (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 2, 1, 2, 1), (1, 4, 6), (3, 5)


def network(tokens: Sequence[int]) -> Architecture:
    """The network of a point of the table."""
    blocks = []
    for place, (filters, stride) in enumerate(zip(FILTERS, STRIDES, strict=True)):
        expansion, kernel, layers, squeeze = tokens[4 * place : 4 * place + 4]
        op = "sepconv" if expansion == 0 else f"mbconv{EXPANSIONS[expansion]}"
        blocks.append(Block(op, KERNELS[kernel], stride, 0.25 * squeeze, "identity", filters, layers + 1))
    return Architecture(32, 2, tuple(blocks), 1280)


class Counts:
    """Logarithms of parameters and multiply-adds of points; sums over blocks, for filters are fixed."""

    def __init__(self, option_counts: Sequence[int]) -> None:
        self._base = self._count([0] * len(option_counts))
        self._tables = []
        for start in range(0, len(option_counts), 4):
            own = option_counts[start : start + 4]
            table = np.zeros((*own, 2))
            for cell in np.ndindex(*own):
                tokens = [0] * len(option_counts)
                tokens[start : start + 4] = cell
                table[cell] = self._count(tokens) - self._base
            self._tables.append(table)

    def __call__(self, points: Sequence[Tokens] | np.ndarray) -> np.ndarray:
        """(N, 2)."""
        rows = np.asarray(points)
        cells = (tuple(rows[:, 4 * place : 4 * place + 4].T) for place in range(len(self._tables)))
        return np.log(self._base + sum(table[cell] for table, cell in zip(self._tables, cells, strict=True)))

    def hints(self) -> list[Hint]:
        """One each."""
        return [lambda points, column=column: self(points)[:, column].tolist() for column in range(2)]

    @staticmethod
    def _count(tokens: Sequence[int]) -> np.ndarray:
        counts = count(network(tokens))
        return np.array([counts.parameters, counts.madds], dtype=float)


def gaps(table: Path, seed: int, noise: float, hints: Sequence[Hint], at: Sequence[int]) -> list[float]:
    """Gap (%) of the network that looks best after so many are known."""
    evaluate, generator = problem(table), np.random.default_rng([seed, 1])
    strategy = make_strategy(
        "guided",
        table_module(table).OPTION_COUNTS,
        seed=seed,
        goal=GOAL,
        groups=GROUPS,
        lookups=Latencies(evaluate),
        accuracy_hints=hints,
    )
    true_N, seen_N = np.empty(0), np.empty(0)
    while len(true_N) < max(at):
        points = strategy.ask(AT_ONCE)
        top1, latency_B = evaluate(np.array(points))
        told_B = top1 / 100 + noise / 100 * generator.normal(size=len(points))
        strategy.tell(outcomes(points, told_B, latency_B, GOAL))
        true_N = np.append(true_N, GOAL.of(top1 / 100, latency_B))
        seen_N = np.append(seen_N, GOAL.of(told_B, latency_B))
    best = optimum(table, GOAL)
    return [100 * (1 - float(true_N[np.argmax(seen_N[:number])]) / best) for number in at]


def main() -> int:
    """Search, print; exit status 2 where the table is not there."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--table", type=Path, default=TABLE, help="directory with accel_nasbench.py and its table")
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--quick", action="store_true", help="2 seeds, 30 networks: tells nothing but that it runs")
    options.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    given = options.parse_args()
    if not (given.table / "accel_nasbench.py").exists():
        print("no accel_nasbench.py found; give its directory with --table DIR", file=sys.stderr)
        return 2
    seeds, at = (2, (20, 30)) if given.quick else (given.seeds, (20, 40, 60, 100))
    with redirect_stdout(sys.stderr) if given.json else nullcontext():
        figures = {**circumstances(quick=given.quick), **compared(given.table.resolve(), seeds, at)}
    if given.json:
        print(json.dumps(figures, indent=1))
    return 0


def compared(table: Path, seeds: int, at: Sequence[int]) -> dict[str, Any]:
    """Figures, printed as they come."""
    option_counts = table_module(table).OPTION_COUNTS
    counts = Counts(option_counts)
    points_ND = np.random.default_rng(0).integers(option_counts, size=(POINTS, len(option_counts)))
    top1, _ = problem(table)(points_ND)
    ranks = {}
    for name, values in zip(("parameters", "madds"), counts(points_ND).T, strict=True):
        ranks[name] = str(agreement(values.tolist(), top1.tolist()))
        print(f"{name} rank random points with tau {ranks[name]}")
    rows = []
    for noise in NOISES:
        found = {
            name: np.array([gaps(table, seed, noise, hints, at) for seed in range(seeds)])
            for name, hints in (("none", ()), ("counts", counts.hints()))
        }
        for place, number in enumerate(at):
            none_S, hinted_S = found["none"][:, place], found["counts"][:, place]
            row = {"noise": noise, "networks": number, "seeds": seeds, "better": int((hinted_S < none_S).sum())}
            row |= {"none": float(np.median(none_S)), "counts": float(np.median(hinted_S))}
            rows.append(row)
            print(
                f"noise {noise:g}, {number:>3} networks: median gap {row['none']:.2f} % without, {row['counts']:.2f} % "
                f"with counts, smaller with in {row['better']} of {seeds}",
                flush=True,
            )
    return {"ranks": ranks, "rows": rows}


if __name__ == "__main__":
    sys.exit(main())
