"""A search stopped in every way goes on: the real command, real signals."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nasfit.errors import StudyError
from nasfit.study import Study, Trial, TrialState

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for left processes in /proc")
FINISHED = tuple(state for state in TrialState if state is not TrialState.RUNNING)


def finished_trials(path: Path) -> list[Trial]:
    with contextlib.suppress(StudyError), Study.open(path, read_only=True) as study:
        return study.trials(FINISHED)
    return []


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def stopped(command: list[str], path: Path, how: signal.Signals, wait_s: float = 0.0) -> tuple[int, str, list[Trial]]:
    """Starts the search, stops it after it has finished one more trial; nobody is left behind."""
    before = len(finished_trials(path))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 60
        while len(finished_trials(path)) == before and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(wait_s)
        workers = children(process.pid)
        assert process.poll() is None, process.communicate()
        assert workers
        process.send_signal(how)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    until = time.monotonic() + 10
    while (left := [pid for pid in workers if _alive(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    assert left == []
    return process.returncode, err, finished_trials(path)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def stopped_in_turn(command: list[str], path: Path, ways: tuple[signal.Signals, ...]) -> list[Trial]:
    """Every stop keeps all that was finished before, and says how to go on where it can."""
    kept: list[Trial] = []
    for how in ways:
        wait_s = random.Random(0).uniform(0, 0.5) if how is signal.SIGKILL else 0.0
        code, err, trials = stopped(command, path, how, wait_s)
        assert _by_number(trials).items() >= _by_number(kept).items()
        assert len(trials) > len(kept)
        kept = trials
        if how is signal.SIGKILL:
            assert code == -signal.SIGKILL
        else:
            assert code == 130
            assert "The same command goes on:" in err
            assert f"--study {path}" in err
            assert "Traceback" not in err
    return kept


def _by_number(trials: list[Trial]) -> dict[int, Trial]:
    return {trial.number: trial for trial in trials}


def long_search(small_search: list[str], path: Path) -> list[str]:
    options = "--max-trials 9 --proxy-images 200 --budget 60s --target-ms 3"
    return [*small_search, *options.split(), "--study", str(path)]


def test_ctrl_c_keeps_what_is_finished(small_search: list[str], tmp_path: Path) -> None:
    path = tmp_path / "study"
    stopped_in_turn(long_search(small_search, path), path, (signal.SIGINT,))


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_search_stopped_in_every_way_ends_with_a_result(small_search: list[str], tmp_path: Path) -> None:
    path = tmp_path / "study"
    command = long_search(small_search, path)
    kept = stopped_in_turn(command, path, (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL))
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["contenders"]
    trials = finished_trials(path)
    assert _by_number(trials).items() >= _by_number(kept).items()
    once = [trial.architecture for trial in trials if trial.duplicate_of is None]
    assert len(once) == len(set(once))
