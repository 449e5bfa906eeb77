"""Thousands of trials on dozens of workers, in simulated time: does the search itself ever hold them up?

    python benchmarks/scale.py --table DIR           # 8,000 and 100,000 trials on 64 workers and 16 devices
    python benchmarks/scale.py --table DIR --quick   # 400 trials

DIR holds a table of networks as `strategies.py` takes it. Real are the strategy, the search's loop without batches and
the study on the disk, and whatever time they take passes in the simulation too. Simulated are trainings (log-normal
around --trial-s seconds, one in fifty fails) and latencies (--measure-s on one of the devices; the loop waits for
them). Printed: the share of the workers' time that they train, the wall time beside that of an ideal schedule (all
trainings, evenly on all workers, nothing else), and real milliseconds that a trial costs the driver.
"""

from __future__ import annotations

import argparse
import heapq
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Set before numpy and torch start their pools.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
from facts import document
from strategies import TABLE
from strategies_runs import GROUPS, Latencies, problem, table_module

from nasfit.errors import TrialFailure
from nasfit.objective import Reward
from nasfit.search import Settings
from nasfit.search.streaming import streamed
from nasfit.strategies import Outcome, make_strategy
from nasfit.study import Proposal, Study, Trial, TrialState
from nasfit.training import Pace, TrainingJob, TrainingResult

GOAL = Reward("hard", 4.0)
FAILING, SPREAD = 0.02, 0.3  # of trainings; deviation of a duration's logarithm


@dataclass(frozen=True)
class Scale:
    """One simulated search. wall_s, ideal_s: simulated. driver_ms: real, of a trial."""

    strategy: str
    trials: int
    workers: int
    wall_s: float
    ideal_s: float
    utilisation: float
    driver_ms: float
    failed: int


def main() -> None:
    """Simulates a search of each size."""
    options = _options()
    if not (options.table / "accel_nasbench.py").exists():
        print("no accel_nasbench.py found; give its directory with --table DIR", file=sys.stderr)
        sys.exit(2)
    found = []
    with redirect_stdout(sys.stderr) if options.json else nullcontext():
        print(
            f"{'strategy':<12}{'trials':>9}{'wall':>12}{'of ideal':>10}{'training':>10}{'driver ms':>11}{'failed':>8}"
        )
        for strategy in options.strategies:
            for number in options.trials:
                found.append(one := _simulated(options, strategy, number))
                print(
                    f"{one.strategy:<12}{one.trials:>9,}{one.wall_s / 3600:>10.2f} h{one.wall_s / one.ideal_s:>10.3f}"
                    f"{one.utilisation:>10.3f}{one.driver_ms:>11.1f}{one.failed:>8}",
                    flush=True,
                )
    if options.json:
        print(document(options, scales=[*map(asdict, found)]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE, help="directory with accel_nasbench.py and its table")
    parser.add_argument("--trials", nargs="+", type=int, default=[8_000, 100_000])
    parser.add_argument("--strategies", nargs="+", default=["evolution", "ppo"])
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--devices", type=int, default=16)
    parser.add_argument("--trial-s", type=float, default=30.0)
    parser.add_argument("--measure-s", type=float, default=1.0)
    parser.add_argument("--quick", action="store_true", help="400 trials")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    options = parser.parse_args()
    options.table = options.table.resolve()
    if options.quick:
        options.trials = [400]
    return options


class Clock:
    """Simulated seconds: real ones pass, and more can be added."""

    def __init__(self) -> None:
        self.now = 0.0
        self._real = time.perf_counter()

    def passed(self) -> float:
        """The time, after what has really passed since the last look."""
        real = time.perf_counter()
        self.now, self._real = self.now + real - self._real, real
        return self.now


class SimulatedWorkers:
    """Workers that take time and do nothing."""

    def __init__(self, workers: int, clock: Clock, accuracy: Callable[[str], float], trial_s: float) -> None:
        self.workers = workers
        self.busy_s = 0.0
        self._clock, self._accuracy, self._trial_s = clock, accuracy, trial_s
        self._random = np.random.default_rng(0)

    def run(
        self, function: object, payloads: Iterable[TrainingJob], *, timeout_s: float | None = None
    ) -> Iterator[tuple[int, TrainingResult | TrialFailure]]:
        """As `Pool.run`."""
        source = iter(enumerate(payloads))
        at_work: list[tuple[float, int, TrainingJob]] = []
        more = True
        while more or at_work:
            while more and len(at_work) < self.workers:
                drawn = next(source, None)
                if drawn is None:
                    more = False
                    break
                takes_s = self._trial_s * math.exp(SPREAD * self._random.standard_normal() - SPREAD**2 / 2)
                self.busy_s += takes_s
                heapq.heappush(at_work, (self._clock.passed() + takes_s, *drawn))
            if at_work:
                ends, index, job = heapq.heappop(at_work)
                self._clock.now = max(self._clock.passed(), ends)
                yield index, self._result(job)
        self._clock.passed()

    def _result(self, job: TrainingJob) -> TrainingResult | TrialFailure:
        if self._random.random() < FAILING:
            return TrialFailure("simulated")
        return TrainingResult(self._accuracy(job.architecture), (), 1.0, self._trial_s, "none")


def _simulated(options: argparse.Namespace, strategy: str, number: int) -> Scale:
    with tempfile.TemporaryDirectory() as place, Study.create(Path(place) / "study", {}) as study:
        clock = Clock()
        search = _Search(options, strategy, number, study, clock)
        search.run()
        ideal_s = search.workers.busy_s / options.workers
        trials = study.trials()
        assert not study.running(), "every trial has ended"
    failed = sum(trial.state is TrialState.FAILED for trial in trials)
    share = search.workers.busy_s / (options.workers * clock.now)
    driver_ms = 1000 * search.driver_s / len(trials)
    return Scale(strategy, len(trials), options.workers, clock.now, ideal_s, share, driver_ms, failed)


class _Search:
    """The search's own loop over the table."""

    def __init__(self, options: argparse.Namespace, strategy: str, number: int, study: Study, clock: Clock) -> None:
        self._options, self._number, self._study, self._clock = options, number, study, clock
        counts = table_module(options.table).OPTION_COUNTS
        self._evaluate = problem(options.table)
        lookups = Latencies(self._evaluate) if strategy == "guided" else None
        self._strategy = make_strategy(strategy, counts, seed=0, goal=GOAL, groups=GROUPS, lookups=lookups)
        self.workers = SimulatedWorkers(options.workers, clock, self._accuracy, options.trial_s)
        self.driver_s = 0.0

    def run(self) -> None:
        """Until so many trials were proposed."""
        setup: Any = SimpleNamespace(
            plan=SimpleNamespace(evaluator="standalone", proxy_images=1, trial_s=self._options.trial_s, pace=Pace()),
            data=SimpleNamespace(train=SimpleNamespace(labels_N=np.zeros(2))),
            data_directory="",
            settings=Settings("none", 4.0),
            instrument=SimpleNamespace(device=SimpleNamespace(model_format="tflite")),
            pool=self.workers,
            study=self._study,
            reward=GOAL,
        )
        began = time.perf_counter()
        for _ in streamed(setup, self._asked, self._room, self._settle, most_repeats=50):
            pass
        self.driver_s = time.perf_counter() - began

    def _asked(self, number: int) -> Iterator[Trial]:
        points = self._strategy.ask(number)
        trials = self._study.propose([Proposal(point, " ".join(map(str, point)), seed=0) for point in points])
        _, latency_N = self._evaluate(np.array(points))
        self._clock.now += self._options.measure_s * math.ceil(len(points) / self._options.devices)
        for trial, latency_ms in zip(trials, latency_N, strict=True):
            yield replace(trial, latency_ms=float(latency_ms))

    def _room(self) -> int:
        return self._number - len(self._study.trials())

    def _settle(self, trial: Trial) -> None:
        (trial,) = self._study.finish([trial])
        told = trial.reward, trial.accuracy, trial.latency_ms, trial.state.value
        self._strategy.tell([Outcome(trial.tokens, *told)])

    def _accuracy(self, text: str) -> float:
        top1, _ = self._evaluate(np.array([[int(token) for token in text.split()]]))
        return float(top1[0]) / 100


if __name__ == "__main__":
    main()
