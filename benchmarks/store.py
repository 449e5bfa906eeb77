"""What keeping a trial costs: ask, store and tell, beside Optuna on its storages, and opening what is there.

    python benchmarks/store.py                  # minutes to an hour, as --trials and --optuna say
    python benchmarks/store.py --quick --json   # 100 and 1,000 trials, Optuna on one storage
    python benchmarks/store.py --postgres postgresql://me@host/empty   # both on PostgreSQL too

Both sides draw at random, so that only the storing counts, keep every trial on the disk before the next one is asked,
and run in one session, each case in a process of its own. A study is first filled to its number of trials, then single
trials are timed on top of it, then another process opens it. Printed, per case: milliseconds a trial (median, 95th
percentile), seconds to open and read all trials, milliseconds for the front of two objectives, megabytes of the process
above what importing takes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from facts import document

from nasfit.objective import pareto_front
from nasfit.study import Proposal, Study, TrialState

# Decisions of the default space, and of the published one with its last block.
DECISIONS = (30, 42)
OPTIONS = 3
FILL = 200  # trials stored at once while filling
OURS, OPTUNA = ("nasfit",), ("optuna-sqlite", "optuna-journal")
# Of both, with --postgres.
POSTGRES = ("nasfit-postgres", "optuna-postgres")
Row = dict[str, Any]


def main() -> None:
    """Runs every case in a process of its own and prints a line for each."""
    options = _options()
    if options.case:
        print(json.dumps(_case(options.postgres, *options.case)))
        return
    if options.optuna and find_spec("optuna") is None:
        sys.exit("error: Optuna is not installed: pip install 'nasfit[optuna]', or give --optuna without a storage")
    rows = []
    with redirect_stdout(sys.stderr) if options.json else nullcontext():
        counts = f"{'decisions':>10}{'trials':>9}{'ms a trial':>12}{'95 %':>8}"
        print(f"{'store':<18}{counts}{'open s':>9}{'front ms':>10}{'MB':>7}")
        for store in (*OURS, *POSTGRES[: 1 if options.postgres else 0]):
            for number in options.trials:
                for decisions in DECISIONS:
                    rows.append(_printed(_measured(store, decisions, number, options.postgres)))
        for store in (*options.optuna, *POSTGRES[1 if options.postgres and options.optuna else 2 :]):
            for number in (number for number in options.trials if number <= options.optuna_trials):
                rows.append(_printed(_measured(store, DECISIONS[1], number, options.postgres)))
    if options.json:
        installed = {name: version(name) for name in ("sqlalchemy", "optuna") if find_spec(name)}
        print(document(options, installed=installed, rows=rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", nargs="+", type=int, default=[100, 1_000, 8_000, 100_000])
    parser.add_argument(
        "--optuna", nargs="*", choices=OPTUNA, default=list(OPTUNA), help="its storages to compare with"
    )
    parser.add_argument("--optuna-trials", type=int, default=8_000, help="most trials to fill Optuna's with: minutes")
    parser.add_argument("--postgres", help="address of an empty database, which is written to and not cleaned")
    parser.add_argument("--quick", action="store_true", help="few trials, one storage")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    parser.add_argument("--case", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.trials, options.optuna = [100, 1_000], ["optuna-journal"]
        options.optuna_trials = 100
    return options


def _measured(store: str, decisions: int, number: int, postgres: str | None) -> Row:
    """One case: filled and timed by one process, opened by another."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ".")) as place:
        found: Row = {"store": store, "decisions": decisions, "trials": number}
        for part in ("write", "read"):
            case = ["--case", store, part, place, str(decisions), str(number)]
            case += ["--postgres", postgres] if postgres else []
            done = subprocess.run([sys.executable, __file__, *case], stdout=subprocess.PIPE, check=True)
            found |= json.loads(done.stdout)
    return found


def _printed(row: Row) -> Row:
    print(
        f"{row['store']:<18}{row['decisions']:>10}{row['trials']:>9,}{row['trial_ms']:>12.2f}{row['trial_ms_95']:>8.1f}"
        f"{row['open_s']:>9.2f}{row['front_ms']:>10.1f}{row['memory_mb']:>7.0f}",
        flush=True,
    )
    return row


def _case(postgres: str | None, store: str, part: str, place: str, decisions: str, number: str) -> Row:
    side = _Ours if store.startswith(OURS) else _Optuna
    one = side(store, Path(place), int(decisions), postgres if store in POSTGRES else None)
    return _written(one, int(number)) if part == "write" else _read(one)


def _written(one: _Ours | _Optuna, number: int) -> Row:
    one.create()
    one.fill(number)
    times = []
    for seed in range(200 if isinstance(one, _Ours) else 40):
        since = time.perf_counter()
        one.trial(number + seed)
        times.append(1000 * (time.perf_counter() - since))
    return {"trial_ms": statistics.median(times), "trial_ms_95": statistics.quantiles(times, n=20)[-1]}


def _read(one: _Ours | _Optuna) -> Row:
    before_mb = _memory_mb()
    since = time.perf_counter()
    one.open()
    open_s = time.perf_counter() - since
    since = time.perf_counter()
    one.front()
    front_ms = 1000 * (time.perf_counter() - since)
    return {"open_s": open_s, "front_ms": front_ms, "memory_mb": _memory_mb() - before_mb}


def _memory_mb() -> float:
    """Most that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _values(seed: int, decisions: int) -> tuple[tuple[int, ...], float, float]:
    """A point, its accuracy and its latency: any, but spread."""
    from random import Random

    draw = Random(seed)
    return tuple(draw.randrange(OPTIONS) for _ in range(decisions)), draw.random(), 0.01 + draw.random()


class _Ours:
    """A study of nasfit."""

    def __init__(self, store: str, place: Path, decisions: int, postgres: str | None) -> None:
        self._path, self._decisions, self._postgres = place / f"study-{place.name}", decisions, postgres

    def create(self) -> None:
        self._study = Study.create(self._path, {"target_ms": 1.0}, store=self._postgres)

    def open(self) -> None:
        self._study = Study.open(self._path)
        self._study.trials()

    def fill(self, number: int) -> None:
        for first in range(0, number, FILL):
            self._store(range(first, min(first + FILL, number)))

    def trial(self, seed: int) -> None:
        self._store([seed])

    def front(self) -> None:
        pareto_front([(t.accuracy or 0.0, t.latency_ms or 0.0) for t in self._study.trials([TrialState.COMPLETE])])

    def _store(self, seeds: Any) -> None:
        drawn = [_values(seed, self._decisions) for seed in seeds]
        trials = self._study.propose([Proposal(tokens, f"net {tokens}", 0, "random") for tokens, _, _ in drawn])
        self._study.finish(
            [
                replace(trial, state=TrialState.COMPLETE, accuracy=accuracy, latency_ms=ms, reward=accuracy)
                for trial, (_, accuracy, ms) in zip(trials, drawn, strict=True)
            ]
        )


class _Optuna:
    """A study of Optuna with two objectives, decisions as categories."""

    def __init__(self, store: str, place: Path, decisions: int, postgres: str | None) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._decisions = optuna, decisions
        self._name, self._journal = place.name, store == "optuna-journal"
        self._address = str(place / "optuna.log") if self._journal else f"sqlite:///{place}/optuna.db"
        if postgres:
            self._address = postgres.replace("postgresql:", "postgresql+psycopg:", 1)
        kind = optuna.distributions.CategoricalDistribution
        self._distributions = {f"d{place}": kind(tuple(range(OPTIONS))) for place in range(decisions)}

    def _storage(self) -> Any:
        if not self._journal:
            return self._address
        from optuna.storages.journal import JournalFileBackend

        return self._optuna.storages.JournalStorage(JournalFileBackend(self._address))

    def create(self) -> None:
        sampler = self._optuna.samplers.RandomSampler(seed=0)
        directions = ["maximize", "minimize"]
        self._study = self._optuna.create_study(
            storage=self._storage(), study_name=self._name, directions=directions, sampler=sampler
        )

    def open(self) -> None:
        self._study = self._optuna.load_study(storage=self._storage(), study_name=self._name)
        self._study.get_trials(deepcopy=False)

    def fill(self, number: int) -> None:
        make: Callable[..., Any] = self._optuna.trial.create_trial
        trials = []
        for seed in range(number):
            tokens, accuracy, ms = _values(seed, self._decisions)
            params = {f"d{place}": token for place, token in enumerate(tokens)}
            trials.append(make(params=params, distributions=self._distributions, values=[accuracy, ms]))
        self._study.add_trials(trials)

    def trial(self, seed: int) -> None:
        trial = self._study.ask(self._distributions)
        _, accuracy, ms = _values(seed, self._decisions)
        self._study.tell(trial, [accuracy, ms])

    def front(self) -> None:
        _ = self._study.best_trials


if __name__ == "__main__":
    main()
