"""Faults against a running search: what was tried, what was lost, what was counted twice.

    python benchmarks/faults.py                 # 200 faults: most of an hour
    python benchmarks/faults.py --quick --json  # 3 faults

A search of the shipped pictures runs as two processes, one that drives and one that helps. At random moments (seeded)
one thing happens: the driver, the helper or a training process is killed, the driver is asked to end, one of the two
stands still for a while, the study is copied. Who has ended is started again by the same command. After each fault the
study is read: every trial that was finished before must be there unchanged (or it is lost), no network may be trained
by two trials (twice), and a copy must open. In the end the search comes to its result.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout, suppress
from pathlib import Path

from facts import document

from nasfit.errors import StudyError
from nasfit.study import Study, Trial, TrialState

FINISHED = tuple(state for state in TrialState if state is not TrialState.RUNNING)
MOST_S, STILL_S = 6.0, 3.0  # to the next fault; that a process stands still
Trials = dict[int, Trial]


def main() -> None:
    """Runs a search, harms it, counts."""
    options = _options()
    with tempfile.TemporaryDirectory() as place, redirect_stdout(sys.stderr) if options.json else nullcontext():
        search = Search(Path(place) / "study", Path(place) / "log")
        try:
            found = _harmed(search, options.faults, random.Random(options.seed))
        finally:
            search.end()
    if options.json:
        print(document(options, **found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="3 faults")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the lines to stderr")
    options = parser.parse_args()
    if options.quick:
        options.faults = 3
    return options


class Search:
    """The same command twice, on one study."""

    def __init__(self, path: Path, log: Path) -> None:
        self.path, self._log = path, log
        self.running: list[subprocess.Popen[bytes]] = []

    def keep_running(self) -> None:
        """Starts whoever has ended, and waits until one drives."""
        self.running = [process for process in self.running if process.poll() is None]
        while len(self.running) < 2:
            self.running.append(self._started("100h"))
        while self.driver not in self.running:
            time.sleep(0.05)

    @property
    def driver(self) -> subprocess.Popen[bytes] | None:
        """Who holds the study's lock."""
        with suppress(OSError):
            holder = (self.path / "study.lock").read_text()
            return next((process for process in self.running if str(process.pid) == holder), None)
        return None

    @property
    def helper(self) -> subprocess.Popen[bytes] | None:
        """The other one."""
        return next((process for process in self.running if process is not self.driver), None)

    def worker(self, draw: random.Random) -> int | None:
        """A training process of one of the two."""
        pids = []
        for process in self.running:
            with suppress(OSError):
                pids += Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return int(draw.choice(pids)) if pids else None

    def finished(self) -> Trials:
        """What the study has."""
        with suppress(StudyError), Study.open(self.path, read_only=True) as study:
            return {trial.number: trial for trial in study.trials(FINISHED)}
        return {}

    def concluded(self) -> int:
        """Ends both, and lets the command come to its result; its exit code."""
        self.end()
        return self._started("20s").wait()

    def end(self) -> None:
        """Kills whoever is left."""
        for process in self.running:
            process.kill()
            process.wait()

    def _started(self, budget: str) -> subprocess.Popen[bytes]:
        options = "--target-ms 3 --width 0.35 --strides early --proxy-images 400 --proxy-wish 0 --workers 1 --seed 1 "
        options += f"--strategy evolution --budget {budget} --study {self.path}"
        call = [sys.executable, "-c", "from nasfit.cli import main; main()", "search", "fashion-mnist-small"]
        with self._log.open("ab") as log:
            return subprocess.Popen([*call, *options.split()], stdout=log, stderr=log)


def _harmed(search: Search, number: int, draw: random.Random) -> dict[str, object]:
    """So many faults; what they came to."""
    tried: Counter[str] = Counter()
    lost = twice = unreadable = 0
    known: Trials = {}
    for fault in range(number):
        search.keep_running()
        time.sleep(draw.uniform(0, MOST_S))
        name = draw.choice(list(FAULTS))
        before = search.finished()
        readable = FAULTS[name](search, draw)
        after = search.finished()
        tried[name] += 1
        lost += sum(after.get(place) != trial for place, trial in {**known, **before}.items())
        twice = _twice(after)
        unreadable += not readable
        known = after
        print(f"{fault + 1:>4} {name:<22}{len(after):>6} trials finished, {lost} lost, {twice} twice", flush=True)
    code = search.concluded()
    after = search.finished()
    lost += sum(after.get(place) != trial for place, trial in known.items())
    with Study.open(search.path, read_only=True) as study:
        result = study.document("result") is not None
    told = {"tried": dict(tried), "faults": number, "trials": len(after), "lost": lost, "twice": _twice(after)}
    told |= {"copies_unreadable": unreadable, "result": result, "exit_code": code}
    print("  ".join(f"{what} {value}" for what, value in told.items()))
    return told


def _twice(trials: Trials) -> int:
    """Networks that two trials have trained."""
    trained = Counter(
        t.architecture for t in trials.values() if t.state is TrialState.COMPLETE and t.duplicate_of is None
    )
    return sum(times > 1 for times in trained.values())


def _kill_driver(search: Search, draw: random.Random) -> bool:
    return _signalled(search.driver, signal.SIGKILL)


def _kill_helper(search: Search, draw: random.Random) -> bool:
    return _signalled(search.helper, signal.SIGKILL)


def _end_driver(search: Search, draw: random.Random) -> bool:
    return _signalled(search.driver, signal.SIGTERM)


def _kill_worker(search: Search, draw: random.Random) -> bool:
    pid = search.worker(draw)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return True


def _still_driver(search: Search, draw: random.Random) -> bool:
    return _still(search.driver)


def _still_helper(search: Search, draw: random.Random) -> bool:
    return _still(search.helper)


def _copy(search: Search, draw: random.Random) -> bool:
    """The tables alone: SQLite's file and its log, at a moment when they may be written."""
    copied = search.path.with_name("copy")
    copied.mkdir()
    try:
        for file in search.path.glob("study.sqlite*"):
            shutil.copy(file, copied)
        with Study.open(copied, read_only=True) as study:
            study.trials()
    except (StudyError, FileNotFoundError):
        return False
    finally:
        shutil.rmtree(copied)
    return True


def _signalled(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> bool:
    if process is not None:
        process.send_signal(number)
        process.wait(timeout=60)
    return True


def _still(process: subprocess.Popen[bytes] | None) -> bool:
    if process is not None:
        process.send_signal(signal.SIGSTOP)
        time.sleep(STILL_S)
        process.send_signal(signal.SIGCONT)
    return True


FAULTS: dict[str, Callable[[Search, random.Random], bool]] = {
    "driver killed": _kill_driver,
    "helper killed": _kill_helper,
    "driver asked to end": _end_driver,
    "worker killed": _kill_worker,
    "driver stood still": _still_driver,
    "helper stood still": _still_helper,
    "study copied": _copy,
}


if __name__ == "__main__":
    main()
