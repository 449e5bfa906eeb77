"""Faults against a running search: what was tried, what was lost, what was counted twice.

    python benchmarks/faults.py                 # 200 faults: most of an hour
    python benchmarks/faults.py --quick --json  # 3 faults
    python benchmarks/faults.py --on SMALL_DISK                # its disk is filled up too
    python benchmarks/faults.py --store postgresql://me@/db --restart 'pg_ctl restart -D ...'

A search of the shipped pictures runs as two processes, one that drives and one that helps. At random moments (seeded)
one thing happens: the driver, the helper, both, a training process or the engine that measures is killed, the driver is
asked to end, one of the two stands still for a while, somebody locks the tables, the study is copied. Where they can be
had, more: the disk under --on is filled up (below 2 GB only), the clock of both processes and of all that they start
jumps by up to days (with a C compiler), the database restarts. Who has ended is started again by the same command, both
at once where both were killed. After each fault the study is read: every trial that was finished before must be there
unchanged (or it is lost), no network may be trained by two trials (twice), and a copy must open. In the end the search
comes to its result.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, nullcontext, redirect_stdout, suppress
from pathlib import Path

from facts import document

from nasfit.errors import StudyError
from nasfit.study import Study, Trial, TrialState

FINISHED = tuple(state for state in TrialState if state is not TrialState.RUNNING)
MOST_S, STILL_S = 6.0, 3.0  # to the next fault; that a process stands still, a lock is held, a disk is full
SMALL_BYTES = 2_000_000_000
DAYS = 3
Trials = dict[int, Trial]


def main() -> None:
    """Runs a search, harms it, counts."""
    options = _options()
    with (
        tempfile.TemporaryDirectory(dir=options.on) as place,
        tempfile.TemporaryDirectory() as beside,
        redirect_stdout(sys.stderr) if options.json else nullcontext(),
    ):
        search = Search(Path(place) / "study", Path(beside), options)
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
    parser.add_argument("--on", type=Path, help="directory of a small disk to fill up")
    parser.add_argument("--store", help="address of a PostgreSQL database that keeps the study")
    parser.add_argument("--restart", help="command that restarts that database")
    parser.add_argument("--quick", action="store_true", help="3 faults")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the lines to stderr")
    options = parser.parse_args()
    if options.quick:
        options.faults = 3
    return options


class Search:
    """The same command twice, on one study."""

    def __init__(self, path: Path, beside: Path, options: argparse.Namespace) -> None:
        self.path, self.options = path, options
        self.clock = _clock(beside)
        self._log = beside / "log"
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
        pids = [pid for pid in self._children() if not _measures(pid)]
        return draw.choice(pids) if pids else None

    def engine(self) -> int | None:
        """The process that measures, once there is one; None where none comes for a while."""
        until = time.monotonic() + 2 * MOST_S
        while time.monotonic() < until:
            for pid in self._children():
                if _measures(pid):
                    return pid
            time.sleep(0.02)
        return None

    def _children(self) -> list[int]:
        pids: list[str] = []
        for process in self.running:
            with suppress(OSError):
                pids += Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return [int(pid) for pid in pids]

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
        call += [*options.split(), *(["--store", self.options.store] if self.options.store else [])]
        environment = dict(os.environ)
        if self.clock:
            environment |= {"LD_PRELOAD": str(self.clock.with_suffix(".so")), "FAULTS_CLOCK": str(self.clock)}
        with self._log.open("ab") as log:
            return subprocess.Popen(call, stdout=log, stderr=log, env=environment)


def _harmed(search: Search, number: int, draw: random.Random) -> dict[str, object]:
    """So many faults; what they came to."""
    tried: Counter[str] = Counter()
    lost = twice = unreadable = 0
    known: Trials = {}
    faults = _possible(search.options, search.clock)
    while not search.finished():
        # Until it is under way: a calibration that is killed is only begun again.
        search.keep_running()
        time.sleep(1.0)
    for fault in range(number):
        search.keep_running()
        time.sleep(draw.uniform(0, MOST_S))
        name = draw.choice(list(faults))
        before = search.finished()
        readable = faults[name](search, draw)
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


def _kill_both(search: Search, draw: random.Random) -> bool:
    for process in search.running:
        _signalled(process, signal.SIGKILL)
    return True


def _kill_worker(search: Search, draw: random.Random) -> bool:
    return _killed(search.worker(draw))


def _kill_engine(search: Search, draw: random.Random) -> bool:
    return _killed(search.engine())


def _lock(search: Search, draw: random.Random) -> bool:
    """Another process writes for a while, and nobody else can."""
    address = f"file:{search.path}/study.sqlite?mode=rw"
    with closing(sqlite3.connect(address, uri=True, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(STILL_S)
        connection.execute("ROLLBACK")
    return True


def _fill_disk(search: Search, draw: random.Random) -> bool:
    filler = search.path.with_name("filler")
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1_000_000))
    time.sleep(STILL_S)
    filler.unlink()
    return True


def _set_clock(search: Search, draw: random.Random) -> bool:
    assert search.clock is not None, "possible only with one"
    search.clock.write_text(f"{draw.uniform(-DAYS, DAYS) * 86400:.0f}\n")
    return True


def _restart(search: Search, draw: random.Random) -> bool:
    subprocess.run(shlex.split(search.options.restart), check=True, stdout=subprocess.DEVNULL)
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


def _measures(pid: int) -> bool:
    with suppress(OSError):
        return b"worker.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _killed(pid: int | None) -> bool:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
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


# The time of day, moved by the seconds in a file; the clock that never goes back is left alone.
CLOCK = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long moved(void) {
    char *path = getenv("FAULTS_CLOCK");
    FILE *file = path ? fopen(path, "r") : NULL;
    long seconds = 0;
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += moved();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *told) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told) *told = now.tv_sec;
    return now.tv_sec;
}
"""


def _clock(directory: Path) -> Path | None:
    """File of the seconds, beside the library that reads it; None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library, clock = directory / "clock.so", directory / "clock"
    command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
    subprocess.run(command, input=CLOCK, text=True, check=True)
    clock.write_text("0\n")
    return clock


Fault = Callable[[Search, random.Random], bool]


def _possible(options: argparse.Namespace, clock: Path | None) -> dict[str, Fault]:
    """All that can be had here."""
    faults: dict[str, Fault] = dict(FAULTS)
    if options.store is None:
        faults |= {"tables locked": _lock, "study copied": _copy}
    if options.restart:
        faults["database restarted"] = _restart
    if clock:
        faults["clock jumped"] = _set_clock
    if options.on:
        if shutil.disk_usage(options.on).total > SMALL_BYTES:
            sys.exit(f"error: the disk of {options.on} is not small, and filling it would disturb others")
        faults["disk full"] = _fill_disk
    return faults


FAULTS: dict[str, Fault] = {
    "driver killed": _kill_driver,
    "helper killed": _kill_helper,
    "driver asked to end": _end_driver,
    "both killed": _kill_both,
    "worker killed": _kill_worker,
    "engine killed": _kill_engine,
    "driver stood still": _still_driver,
    "helper stood still": _still_helper,
}


if __name__ == "__main__":
    main()
