"""The same command in a second shell helps the first, and drives when that one is gone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nasfit.errors import StudyError
from nasfit.study import Study, Trial, TrialState

pytestmark = [pytest.mark.fault, pytest.mark.skipif(sys.platform != "linux", reason="the lock's file is read")]
FINISHED = tuple(state for state in TrialState if state is not TrialState.RUNNING)


def finished_trials(path: Path) -> dict[int, Trial]:
    with suppress(StudyError), Study.open(path, read_only=True) as study:
        return {trial.number: trial for trial in study.trials(FINISHED)}
    return {}


@contextmanager
def running(command: list[str], err: Path) -> Iterator[subprocess.Popen[bytes]]:
    with err.open("wb") as told:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def waited(what: str, file: Path, process: subprocess.Popen[bytes], limit_s: float = 100.0) -> None:
    until = time.monotonic() + limit_s
    while what not in file.read_text():
        assert process.poll() is None and time.monotonic() < until, file.read_text()
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_second_shell_helps_and_takes_over(small_search: list[str], tmp_path: Path) -> None:
    path = tmp_path / "study"
    options = f"--max-trials 8 --proxy-images 200 --budget 40s --target-ms 3 --workers 1 --json --study {path}"
    command = [*small_search, *options.split()]
    first_err, second_err = tmp_path / "first", tmp_path / "second"
    with running(command, first_err) as first:
        waited("a trial trains on", first_err, first)
        with running(command, second_err) as second:
            waited(f"process {first.pid} on", second_err, second)
            assert "1 workers here help it" in second_err.read_text()
            while len(finished_trials(path)) < 3:
                assert first.poll() is None, first_err.read_text()
                time.sleep(0.05)
            first.send_signal(signal.SIGKILL)
            first.wait()
            kept = finished_trials(path)
            waited("driver has ended", second_err, second, 10.0)
            out, _ = second.communicate(timeout=200)
            assert second.returncode == 0, second_err.read_text()
    assert json.loads(out)["result"]["contenders"]
    trials = finished_trials(path)
    assert trials.items() >= kept.items()
    once = [trial.architecture for trial in trials.values() if trial.duplicate_of is None]
    assert len(once) == len(set(once))
