"""What a part of the benchmark of strategies is made of: sizes, cases, figures over seeds, tables.

N = samples of one search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from strategies_runs import ZCU102, Run, Trace, optimum

from nasfit.objective import Front, Goal, Reward

Row = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """How long the searches are: samples at which figures are taken, the last of them the end."""

    gap: tuple[int, ...] = (100, 200, 500, 1000, 2000)
    gap_guided: int = 500
    columns: tuple[int, ...] = (100, 200)
    front: tuple[int, ...] = (50, 100, 200, 500)
    abs: int = 200
    abs_targets: tuple[float, ...] = (3.5, 4.0, 5.0, 6.0, 8.0)
    tail: tuple[int, ...] = (1000, 2000, 4000, 8000)
    rivals: int = 2000
    tpe: int = 1000
    gp: int = 100
    gp_seeds: int = 5
    cost: tuple[int, int] = (1000, 8000)
    cost_batches: int = 5


QUICK = Sizes(
    gap=(20, 40, 100),
    gap_guided=20,
    columns=(10, 20),
    front=(10, 20),
    abs=20,
    abs_targets=(4.0,),
    tail=(100, 200, 300, 400),
    rivals=100,
    tpe=40,
    gp=12,
    gp_seeds=1,
    cost=(100, 300),
    cost_batches=2,
)


@dataclass(frozen=True)
class Case:
    """One row to be: a contestant at a goal, over so many seeds."""

    part: str
    name: str
    goal: Goal
    samples: int
    seeds: int
    column: str = ZCU102
    noise: float = 0.0

    def runs(self) -> list[Run]:
        """Its searches, a seed each."""
        return [Run(self.name, self.goal, seed, self.column, self.noise) for seed in range(self.seeds)]

    def row(self, figures: Row) -> Row:
        """What is stored."""
        if isinstance(self.goal, Front):
            goal: Row = {"reward": "front", "low_ms": self.goal.low_ms, "high_ms": self.goal.high_ms}
        else:
            goal = {"reward": self.goal.kind, "target_ms": self.goal.target_ms}
        names = {"part": self.part, "strategy": self.name, **goal, "column": self.column, "noise_points": self.noise}
        return {**names, "seeds": self.seeds, "samples": self.samples, "figures": figures}


@dataclass(frozen=True)
class Part:
    """cases: from sizes, seeds and table. figures: of a case from its traces. head: what the table is of. table: cells
    of one row by heading.
    """

    name: str
    head: str
    cases: Callable[[Sizes, int, Path], list[Case]]
    figures: Callable[[Case, Sequence[Trace], Sizes, Path], Row]
    cells: Callable[[Row], dict[str, str]]
    about: tuple[str, ...] = field(default=("reward",))

    def printed(self, rows: Iterable[Row]) -> str:
        """The rows as a markdown table under the head."""
        lines = []
        for row in rows:
            names = {"strategy": row["strategy"], **{what.replace("_", " "): _plain(row[what]) for what in self.about}}
            tail = {"seeds": str(row["seeds"]), "samples": str(row["samples"])}
            lines.append({**names, **self.cells(row), **tail})
        return f"\n## {self.name}: {self.head}\n\n{markdown(lines)}\n"


def markdown(lines: Sequence[dict[str, str]]) -> str:
    """One line a row; a heading that a row lacks is left empty. The longest row says in which order they stand."""
    longest_first = sorted(lines, key=len, reverse=True)
    heads = list(dict.fromkeys(head for line in longest_first for head in line if head not in ("seeds", "samples")))
    heads += ["seeds", "samples"]
    body = ["| " + " | ".join(line.get(head, "") for head in heads) + " |" for line in lines]
    return "\n".join(["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *body])


def quartiles(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Over seeds."""
    low, median, high = np.quantile(np.asarray(values, dtype=float), (0.25, 0.5, 0.75)).round(5).tolist()
    return {"q1": low, "median": median, "q3": high}


def cell(found: dict[str, float], digits: int = 2) -> str:
    """Median and, behind it, quartiles."""
    return f"{found['median']:.{digits}f} ({found['q1']:.{digits}f}-{found['q3']:.{digits}f})"


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def gap_percent(case: Case, trace: Trace, table: Path) -> np.ndarray:
    """Gap (N,) of the best sample so far to the optimum, in % of it."""
    assert isinstance(case.goal, Reward), "a front has no optimum"
    best_N = np.maximum.accumulate(case.goal.of(trace.accuracy_N[: case.samples], trace.latency_N[: case.samples]))
    return np.asarray(100 * (1 - best_N / optimum(table, case.goal, case.column)))


def chosen_gap_percent(case: Case, trace: Trace, table: Path) -> np.ndarray:
    """Gap (N,) of the true reward of the sample that looked best so far, in %."""
    assert isinstance(case.goal, Reward), "a front has no optimum"
    seen_N = case.goal.of(trace.seen_N[: case.samples], trace.latency_N[: case.samples])
    true_N = case.goal.of(trace.accuracy_N[: case.samples], trace.latency_N[: case.samples])
    leads_N = seen_N > np.maximum.accumulate(np.append(-np.inf, seen_N))[:-1]
    best_N = np.maximum.accumulate(np.where(leads_N, np.arange(len(seen_N)), 0))
    return np.asarray(100 * (1 - true_N[best_N] / optimum(table, case.goal, case.column)))
