"""This machine as a device."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from nasfit.devices import LocalDevice, check_device, open_device, worker
from nasfit.errors import DeviceError, TrialFailure, UnknownNameError, UsageError

CHANGED_WORKER = """
import os, sys
sys.path.insert(0, {directory!r})
import worker
sample = worker.Worker.sample
def changed(self, model, **rest):
    {change}
    return sample(self, model, **rest)
worker.Worker.sample = changed
worker.serve()
"""


@pytest.fixture
def change_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    def change(text: str) -> None:
        script = tmp_path / "changed_worker.py"
        script.write_text(CHANGED_WORKER.format(directory=str(Path(worker.__file__).parent), change=text))
        monkeypatch.setattr(worker, "__file__", str(script))

    return change


def test_keeps_the_contract(doubling_bytes: bytes, image_BCHW: np.ndarray) -> None:
    check_device(open_device("local"), doubling_bytes, image_BCHW, 2 * image_BCHW)


def test_checker_notices_a_wrong_output(doubling_bytes: bytes, image_BCHW: np.ndarray) -> None:
    with pytest.raises(DeviceError, match="output equal to the expected"):
        check_device(open_device("local"), doubling_bytes, image_BCHW, 2.01 * image_BCHW)


def test_describes_itself() -> None:
    told = open_device("local").describe()
    assert told.device.startswith("local: ")
    assert told.engine.startswith("onnxruntime ") and told.engine.endswith("1 thread")
    assert told.cores == os.cpu_count()
    assert told.core == max(os.sched_getaffinity(0))
    assert 0 < told.clock_step_ms < 20
    assert told.time.endswith("Z")


def test_pins_to_the_core_asked_for() -> None:
    core = min(os.sched_getaffinity(0))
    process, told = LocalDevice(core=core).start()
    try:
        assert told.core == core
        assert os.sched_getaffinity(process.pid) == {core}
    finally:
        process.close()


def test_realtime_can_be_declined() -> None:
    assert open_device("local", realtime=False).describe().realtime is False


def test_sample_lasts_as_long_as_its_runs(doubling_bytes: bytes) -> None:
    with open_device("local").open() as session:
        session.load("a", doubling_bytes)
        samples = [session.sample("a", warm=1, runs=runs) for runs in (1, 2000)]
    assert [sample.runs for sample in samples] == [1, 2000]
    assert 0 < samples[1].cpu_ms < 1
    assert samples[1].wall_ms >= samples[1].cpu_ms * 0.9


def test_input_given_does_not_replace_the_timed_one(doubling_bytes: bytes, image_BCHW: np.ndarray) -> None:
    with open_device("local").open() as session:
        session.load("a", doubling_bytes)
        for factor in (1.0, 3.0):
            np.testing.assert_array_equal(session.run("a", factor * image_BCHW), 2 * factor * image_BCHW)
            session.sample("a", warm=0, runs=1)


def test_bad_file_fails_alone_and_stays_failed(doubling_bytes: bytes) -> None:
    with open_device("local").open() as session:
        with pytest.raises(TrialFailure, match="'bad' does not run"):
            session.load("bad", b"no network")
        session.load("good", doubling_bytes)
        with pytest.raises(TrialFailure, match="'bad' does not run"):
            session.sample("bad", warm=0, runs=1)
        session.sample("good", warm=0, runs=1)


def test_hanging_network_fails_alone(doubling_bytes: bytes, endless_bytes: bytes) -> None:
    with open_device("local", timeout_s=1.0).open() as session:
        session.load("good", doubling_bytes)
        session.load("endless", endless_bytes)
        began = time.monotonic()
        with pytest.raises(TrialFailure, match=r"no answer within 1 s|signal"):
            session.sample("endless", warm=0, runs=1)
        assert time.monotonic() - began < 5
        session.sample("good", warm=0, runs=1)


def test_crashing_network_fails_alone(doubling_bytes: bytes, change_worker) -> None:  # type: ignore[no-untyped-def]
    change_worker("model == 'crash' and os.abort()")
    with open_device("local").open() as session:
        session.load("good", doubling_bytes)
        session.load("crash", doubling_bytes)
        with pytest.raises(TrialFailure, match=f"signal {int(signal.SIGABRT)}"):
            session.sample("crash", warm=0, runs=1)
        session.sample("good", warm=0, runs=1)


def test_worker_ended_from_outside_costs_no_network(doubling_bytes: bytes) -> None:
    with open_device("local").open() as session:
        session.load("a", doubling_bytes)
        session.load("b", doubling_bytes)
        os.kill(session._process.pid, signal.SIGKILL)
        session.sample("a", warm=0, runs=1)
        session.sample("b", warm=0, runs=1)


def test_engine_that_prints_does_not_break_the_protocol(doubling_bytes: bytes, change_worker) -> None:  # type: ignore[no-untyped-def]
    change_worker("os.write(1, b'hello from the engine'); print('and from Python')")
    with open_device("local").open() as session:
        session.load("a", doubling_bytes)
        assert session.sample("a", warm=0, runs=1).wall_ms > 0


def test_engine_not_installed(change_worker) -> None:  # type: ignore[no-untyped-def]
    change_worker("pass\nsys.modules['onnxruntime'] = None\ndef unused():\n    sample = self = model = rest = None")
    with pytest.raises(DeviceError, match="pip install --upgrade onnxruntime"):
        open_device("local").describe()


def test_files_are_gone_afterwards(doubling_bytes: bytes) -> None:
    with open_device("local").open() as session:
        session.load("a", doubling_bytes)
        directory = session._directory
        assert list(directory.iterdir())
    assert not directory.exists()


def test_names_are_checked(doubling_bytes: bytes) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'local'"):
        open_device("locl")
    with pytest.raises(UnknownNameError, match="did you mean 'onnxruntime'"):
        open_device("local", engine="onnx-runtime")
    for later in ("ssh://pi@board", "adb:1234"):
        with pytest.raises(UsageError, match="only 'local'"):
            open_device(later)
    with pytest.raises(UsageError, match="core is 4096"):
        open_device("local", core=4096)
    with pytest.raises(UsageError, match="above 0"):
        open_device("local", timeout_s=0)
    with open_device("local").open() as session:
        session.load("a", doubling_bytes)
        with pytest.raises(UsageError, match="already loaded"):
            session.load("a", doubling_bytes)
        with pytest.raises(UnknownNameError, match="network"):
            session.sample("b", warm=0, runs=1)
