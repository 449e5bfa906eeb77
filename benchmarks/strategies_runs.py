"""One search on the table, and what became of every sample; `strategies.py` runs many.

Seconds are of the processor, all work being on one thread: what else the machine does adds nothing to them.
N = samples of one search.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nasfit.objective import Front, Goal, Reward
from nasfit.space import Tokens
from nasfit.strategies import Look, Outcome, Strategy, make_strategy

COLUMNS = ("latency_zcu102", "throughput_zcu102", "throughput_3090", "throughput_tpuv2", "throughput_tpuv3")
ZCU102 = COLUMNS[0]
GROUPS = (4,) * 7
AT_ONCE = 10


@dataclass(frozen=True)
class Contestant:
    """Who searches, and what it is told beforehand.

    known: latencies can be looked up before training. blocks: which decisions make a block is told. at_once: proposals
    between two tells; Optuna's samplers are asked one at a time, as their users do, which is to their advantage.
    """

    strategy: str
    known: bool = False
    blocks: bool = True
    at_once: int = AT_ONCE


CONTESTANTS = {
    "guided": Contestant("guided"),
    "guided-known": Contestant("guided", known=True),
    "guided-no-blocks": Contestant("guided", blocks=False),
    "guided-known-no-blocks": Contestant("guided", known=True, blocks=False),
    "evolution": Contestant("evolution"),
    "nsga2": Contestant("nsga2"),
    "ppo": Contestant("ppo"),
    "ppo-paper": Contestant("ppo-paper"),
    "random": Contestant("random"),
    "optuna-tpe": Contestant("optuna-tpe", at_once=1),
    "optuna-tpe-independent": Contestant("optuna-tpe-independent", at_once=1),
    "optuna-gp": Contestant("optuna-gp", at_once=1),
    "optuna-nsga2": Contestant("optuna-nsga2", at_once=1),
    "optuna-nsga2-bounded": Contestant("optuna-nsga2-bounded", at_once=1),
}


@dataclass(frozen=True)
class Run:
    """One search. name: of a contestant. noise: deviation of what is added to the top-1 it sees, in points."""

    name: str
    goal: Goal
    seed: int
    column: str = ZCU102
    noise: float = 0.0


@dataclass(frozen=True)
class Trace:
    """What became of every sample, in order.

    accuracy_N: 0..1, without noise. seen_N: the accuracy told. latency_N: ms. new_N: not sampled before. looks_N:
    latencies looked up so far. seconds_N: the strategy's own so far, look-ups included. entropy: of PPO's policy at the
    end, nats, mean over decisions.
    """

    accuracy_N: np.ndarray
    seen_N: np.ndarray
    latency_N: np.ndarray
    new_N: np.ndarray
    looks_N: np.ndarray
    seconds_N: np.ndarray
    entropy: float | None = None


class Latencies:
    """The table's latencies, looked up before training; a `Lookups`."""

    def __init__(self, problem: Any) -> None:
        self._problem = problem
        self._known: dict[Tokens, Look | None] = {}

    def known(self) -> Mapping[Tokens, Look | None]:
        """All looked up so far."""
        return self._known

    def __call__(self, points: Sequence[Tokens]) -> list[Look | None]:
        """Looks up each point."""
        new = [point for point in dict.fromkeys(points) if point not in self._known]
        if new:
            _, latency_N = self._problem(np.array(new))
            self._known.update({point: Look(float(ms)) for point, ms in zip(new, latency_N, strict=True)})
        return [self._known[point] for point in points]


@cache
def table_module(table: Path) -> Any:
    """`accel_nasbench.py` of the directory."""
    spec = importlib.util.spec_from_file_location("accel_nasbench", table / "accel_nasbench.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@cache
def problem(table: Path, column: str = ZCU102) -> Any:
    """The search problem with the latencies of one column."""
    return table_module(table).load(column)


@cache
def random_points(table: Path, number: int, column: str = ZCU102) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy (0..1) and latency (ms) of so many uniform points, the same each time."""
    counts = table_module(table).OPTION_COUNTS
    top1, latency = problem(table, column)(np.random.default_rng(0).integers(counts, size=(number, len(counts))))
    return top1 / 100, latency


@cache
def optimum(table: Path, reward: Reward, column: str = ZCU102) -> float:
    """The best reward that any point has; soft and hard rewards only, since `abs` also falls towards low latency."""
    assert reward.kind != "abs", "the best point by the abs reward need not be on the front"
    return float(problem(table, column).optimum(lambda top1, latency: reward.of(top1 / 100, latency)))


@cache
def exact_front(table: Path) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy (0..1) and latency (ms) of the exact front on ZCU102."""
    top1, latency = problem(table).front()
    return top1 / 100, latency


def made(name: str, counts: Sequence[int], goal: Goal | None, seed: int, lookups: Latencies) -> Strategy:
    """A contestant's strategy; raises ImportError for Optuna's where it is not installed."""
    contestant = CONTESTANTS[name]
    if contestant.strategy.startswith("optuna"):
        from strategies_optuna import OptunaStudy

        return OptunaStudy(contestant.strategy, counts, seed=seed, front=goal if isinstance(goal, Front) else None)
    return make_strategy(
        contestant.strategy,
        counts,
        seed=seed,
        goal=goal,
        groups=GROUPS if contestant.blocks else None,
        lookups=lookups if contestant.known else None,
    )


def outcomes(points: Sequence[Tokens], accuracy_N: np.ndarray, latency_N: np.ndarray, goal: Goal) -> list[Outcome]:
    """What the search would tell; with a front as the goal the accuracy stands for the reward."""
    reward_N = accuracy_N if isinstance(goal, Front) else goal.of(accuracy_N, latency_N)
    return [
        Outcome(point, float(reward), float(accuracy), float(latency), "complete")
        for point, reward, accuracy, latency in zip(points, reward_N, accuracy_N, latency_N, strict=True)
    ]


def one_thread() -> None:
    """For torch, where a strategy has loaded it; BLAS is told by the environment."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def traced(run: Run, samples: int, table: Path) -> Trace:
    """Searches until so many samples are told; fewer samples are the beginning of more."""
    counts, evaluate = table_module(table).OPTION_COUNTS, problem(table, run.column)
    lookups, noise = Latencies(evaluate), np.random.default_rng([run.seed, 1])
    strategy = made(run.name, counts, run.goal, run.seed, lookups)
    one_thread()
    columns: dict[str, list[np.ndarray]] = {what: [] for what in ("accuracy", "seen", "latency", "looks", "seconds")}
    sampled: dict[Tokens, None] = {}
    new: list[bool] = []
    seconds = 0.0
    while len(new) < samples:
        start = time.process_time()
        points = strategy.ask(CONTESTANTS[run.name].at_once)
        seconds += time.process_time() - start
        top1, latency_B = evaluate(np.array(points))
        accuracy_B = top1 / 100
        seen_B = accuracy_B + run.noise / 100 * noise.normal(size=len(points))
        for point in points:
            new.append(point not in sampled)
            sampled[point] = None
        told = outcomes(points, seen_B, latency_B, run.goal)
        start = time.process_time()
        strategy.tell(told)
        seconds += time.process_time() - start
        whole = np.ones(len(points))
        batch = (accuracy_B, seen_B, latency_B, whole * len(lookups.known()), whole * seconds)
        for what, values in zip(columns, batch, strict=True):
            columns[what].append(values)
    joined = {f"{what}_N": np.concatenate(values)[:samples] for what, values in columns.items()}
    history = getattr(strategy, "history", None)
    return Trace(**joined, new_N=np.array(new[:samples]), entropy=history[-1].entropy if history else None)


def cost(name: str, told: int, batches: int, at_once: int, seed: int, table: Path) -> list[float]:
    """Seconds a trial of asking and telling, of each of the batches that follow after so many trials are told.

    NSGA-II of Optuna knows only generations of its own, so its trials are its own; all others are told random points.
    """
    counts, evaluate, goal = table_module(table).OPTION_COUNTS, problem(table), Reward("hard", 4.0)
    lookups, generator = Latencies(evaluate), np.random.default_rng(seed)
    strategy = made(name, counts, goal, seed, lookups)
    one_thread()

    def results(points: Sequence[Tokens]) -> list[Outcome]:
        top1, latency = evaluate(np.array(points))
        return outcomes(points, top1 / 100, latency, goal)

    for _ in range(told // AT_ONCE - 1):
        random = [tuple(row) for row in generator.integers(counts, size=(AT_ONCE, len(counts))).tolist()]
        strategy.tell(results(strategy.ask(AT_ONCE) if name == "optuna-nsga2" else random))
    found = []
    for _ in range(batches):
        start = time.process_time()
        points = strategy.ask(at_once)
        seconds = time.process_time() - start
        told_now = results(points)
        start = time.process_time()
        strategy.tell(told_now)
        found.append((seconds + time.process_time() - start) / at_once)
    return found
