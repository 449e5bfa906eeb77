"""This machine as a device."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import numpy as np
import pytest

from nasfit.devices import LocalDevice, WorkerSession, WorkerSettings, found_devices, greet, open_device
from nasfit.devices.worker_process import WorkerProcess
from nasfit.errors import DeviceError, DeviceGone, TrialFailure, UnknownNameError, UsageError

ChangeWorker = Callable[..., None]


def test_describes_itself() -> None:
    told = open_device("local").describe()
    assert told.device.startswith("local: ")
    assert told.engine.startswith("litert ")
    assert told.cores == os.cpu_count()
    assert told.core in os.sched_getaffinity(0)
    assert 0 < told.clock_step_ms < 20
    assert told.memory_mb is not None and told.memory_mb > 100
    assert told.time.endswith("Z")


def test_pins_to_the_core_asked_for(doubling_tflite_bytes: bytes) -> None:
    core = min(os.sched_getaffinity(0))
    with LocalDevice(core=core).open() as session:
        session.load("a", doubling_tflite_bytes)
        assert session.description.core == core
        assert session._process is not None
        assert os.sched_getaffinity(session._process.pid) == {core}


def test_realtime_can_be_declined() -> None:
    assert open_device("local", realtime=False).describe().realtime is False


def test_sample_lasts_as_long_as_its_runs(doubling_tflite_bytes: bytes) -> None:
    with open_device("local").open() as session:
        session.load("a", doubling_tflite_bytes)
        samples = [session.sample("a", warm=1, runs=runs) for runs in (1, 2000)]
    assert [sample.runs for sample in samples] == [1, 2000]
    assert samples[1].cpu_ms is not None and 0 < samples[1].cpu_ms < 1
    assert samples[1].wall_ms >= samples[1].cpu_ms * 0.9
    assert samples[1].probe_ms is not None and 0 < samples[1].probe_ms < 1000


def test_input_given_does_not_replace_the_timed_one(doubling_bytes: bytes, image_BCHW: np.ndarray) -> None:
    with open_device("local", engine="onnxruntime").open() as session:
        session.load("a", doubling_bytes)
        for factor in (1.0, 3.0):
            np.testing.assert_array_equal(session.run("a", factor * image_BCHW), 2 * factor * image_BCHW)
            session.sample("a", warm=0, runs=1)


def test_state_and_resources_are_told(doubling_tflite_bytes: bytes) -> None:
    device = open_device("local")
    with device.open() as session:
        assert session.state().load_average is not None
    told = device.resources(doubling_tflite_bytes)
    # The engine itself is 50 MB and more, a network of two numbers next to nothing.
    assert 0 <= told.peak_memory_mb < 25


def test_larger_network_takes_more_memory() -> None:
    from tiny_networks import doubling_tflite

    device = open_device("local")
    small, large = (device.resources(doubling_tflite((1, side, side, 3))) for side in (8, 1024))
    # Input and output, 12.6 MB each.
    assert 24 < large.peak_memory_mb - small.peak_memory_mb < 80


def test_bad_file_fails_alone_and_stays_failed(doubling_tflite_bytes: bytes) -> None:
    with open_device("local").open() as session:
        with pytest.raises(TrialFailure, match="'bad' does not run"):
            session.load("bad", b"no network")
        session.load("good", doubling_tflite_bytes)
        with pytest.raises(TrialFailure, match="'bad' does not run"):
            session.sample("bad", warm=0, runs=1)
        session.sample("good", warm=0, runs=1)


@pytest.mark.fault
def test_hanging_network_fails_alone(doubling_bytes: bytes, endless_bytes: bytes) -> None:
    with LocalDevice(engine="onnxruntime", timeout_s=1.0).open() as session:
        session.load("good", doubling_bytes)
        session.load("endless", endless_bytes)
        began = time.monotonic()
        with pytest.raises(TrialFailure, match=r"no answer within 1 s|signal"):
            session.sample("endless", warm=0, runs=1)
        assert time.monotonic() - began < 5
        session.sample("good", warm=0, runs=1)
        process = session._process
        with pytest.raises(TrialFailure, match="'endless' does not run"):  # known by now, so not tried again
            session.sample("endless", warm=0, runs=1)
        assert session._process is process
    with pytest.raises(TrialFailure, match=r"the network does not run.*(no answer within 1 s|signal)"):
        open_device("local", engine="onnxruntime", timeout_s=1.0).resources(endless_bytes)


@pytest.mark.fault
def test_crashing_network_fails_alone(doubling_tflite_bytes: bytes, change_worker: ChangeWorker) -> None:
    change_worker("model == 'crash' and os.abort()")
    with open_device("local").open() as session:
        session.load("good", doubling_tflite_bytes)
        session.load("crash", doubling_tflite_bytes)
        with pytest.raises(TrialFailure, match=f"signal {int(signal.SIGABRT)}"):
            session.sample("crash", warm=0, runs=1)
        session.sample("good", warm=0, runs=1)


@pytest.mark.fault
def test_network_that_eats_the_memory_is_told_so(doubling_tflite_bytes: bytes, change_worker: ChangeWorker) -> None:
    change_worker("os.kill(os.getpid(), 9)")
    with open_device("local").open() as session:
        session.load("a", doubling_tflite_bytes)
        with pytest.raises(TrialFailure, match=r"signal 9 .*out of memory"):
            session.sample("a", warm=0, runs=1)


@pytest.mark.fault
def test_worker_ended_from_outside_costs_no_network(doubling_tflite_bytes: bytes) -> None:
    with LocalDevice().open() as session:
        session.load("a", doubling_tflite_bytes)
        session.load("b", doubling_tflite_bytes)
        for step in (lambda: session.sample("a", warm=0, runs=1), session.state):
            assert session._process is not None
            os.kill(session._process.pid, signal.SIGKILL)
            step()
        session.sample("b", warm=0, runs=1)


def test_engine_process_ends_with_its_session() -> None:
    with pytest.raises(KeyError), LocalDevice().open() as session:
        process = session._process
        assert process is not None
        raise KeyError
    assert process._process.poll() is not None
    assert session._process is None


@pytest.mark.fault
def test_connection_that_breaks_blames_no_network(doubling_tflite_bytes: bytes) -> None:
    """As over ssh: the session raises DeviceGone, and goes on when the device is back."""
    local, starts = LocalDevice(), []

    def start():  # type: ignore[no-untyped-def]
        starts.append(1)
        if len(starts) == 2:
            raise DeviceGone("still away")
        command = local.start()[0]
        argv = list(command._process.args)  # type: ignore[arg-type]
        command.close()
        process = WorkerProcess(argv, ended=lambda code, said: DeviceGone(f"cut, {code}"))
        return process, greet(process, "local", WorkerSettings())

    session = WorkerSession(start, 30.0)
    session.load("a", doubling_tflite_bytes)
    assert session._process is not None
    os.kill(session._process.pid, signal.SIGKILL)
    with pytest.raises(DeviceGone, match="cut, -9"):
        session.sample("a", warm=0, runs=1)
    with pytest.raises(DeviceGone, match="still away"):
        session.sample("a", warm=0, runs=1)
    assert session.sample("a", warm=0, runs=1).runs == 1
    session.close()


@pytest.mark.fault
def test_engine_that_prints_does_not_break_the_protocol(
    doubling_tflite_bytes: bytes, change_worker: ChangeWorker
) -> None:
    change_worker("os.write(1, b'hello from the engine'); print('and from Python')")
    with open_device("local").open() as session:
        session.load("a", doubling_tflite_bytes)
        assert session.sample("a", warm=0, runs=1).wall_ms > 0


@pytest.mark.fault
def test_full_disk_is_the_devices_fault(doubling_tflite_bytes: bytes, change_worker: ChangeWorker) -> None:
    change_worker(
        before="real, seen = worker.tempfile.TemporaryFile, []\n"
        "def full(): seen.append(1); return open('/dev/full', 'w+b', buffering=0) if len(seen) == 1 else real()\n"
        "worker.tempfile.TemporaryFile = full"
    )
    with open_device("local").open() as session:
        with pytest.raises(DeviceError, match="the disk is full; free some space or set TMPDIR"):
            session.load("a", doubling_tflite_bytes)
        assert session.sample("a", warm=0, runs=1).wall_ms > 0


@pytest.mark.fault
def test_file_too_large_for_the_memory(doubling_tflite_bytes: bytes, change_worker: ChangeWorker) -> None:
    change_worker(before="worker.machine.memory_bytes = lambda *entry: 1000")
    with open_device("local").open() as session, pytest.raises(TrialFailure, match="too large for the 0 MB of memory"):
        session.load("a", doubling_tflite_bytes)


@pytest.mark.fault
def test_no_file_is_left_even_after_a_kill(
    doubling_tflite_bytes: bytes, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    with LocalDevice().open() as session:
        session.load("a", doubling_tflite_bytes)
        assert list(folder.iterdir()) == []
        session.sample("a", warm=0, runs=1)
        session.crash()
    assert list(folder.iterdir()) == []


def test_names_and_numbers_are_checked(doubling_tflite_bytes: bytes) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'local'"):
        open_device("locl")
    with pytest.raises(UnknownNameError, match=r"known: adb:SERIAL, local, ray:.*ssh://"):
        open_device("usb:1")
    with pytest.raises(UnknownNameError, match="did you mean 'onnxruntime'"):
        open_device("local", engine="onnx-runtime")
    with pytest.raises(UsageError, match="lacks the phone's serial number"):
        open_device("adb:")
    with pytest.raises(UsageError, match="core is 4096"):
        open_device("local", core=4096)
    with pytest.raises(UsageError, match="threads is 4096; this process may use"):
        open_device("local", threads=4096)
    with pytest.raises(UsageError, match="name a core for one thread only"):
        open_device("local", threads=2, core=0)
    with pytest.raises(UsageError, match="1 or more"):
        open_device("local", threads=0)
    with pytest.raises(UsageError, match="above 0"):
        open_device("local", timeout_s=0)
    with open_device("local").open() as session:
        session.load("a", doubling_tflite_bytes)
        with pytest.raises(UsageError, match="already loaded"):
            session.load("a", doubling_tflite_bytes)
        with pytest.raises(UnknownNameError, match="network"):
            session.sample("b", warm=0, runs=1)


def test_devices_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    from nasfit.devices import adb_server, ssh_address

    phones = [adb_server.Phone("1", "Pixel 8", adb_server.READY, ""), adb_server.Phone("2", "", "offline", "replug it")]
    monkeypatch.setattr(adb_server, "adb_devices", lambda: phones)
    monkeypatch.setattr(ssh_address, "ssh_hosts", lambda: ["board"])
    found = {entry.name: entry for entry in found_devices()}
    assert list(found) == ["local", "adb:1", "adb:2", "ssh://board"]
    assert found["local"].state == "ready" and "litert" in found["local"].what
    assert (found["adb:1"].what, found["adb:1"].state) == ("Pixel 8", "ready")
    assert (found["adb:2"].state, found["adb:2"].hint) == ("offline", "replug it")
    assert found["ssh://board"].state == "not asked"


def test_listing_goes_on_without_adb(monkeypatch: pytest.MonkeyPatch) -> None:
    from nasfit.devices import adb_server

    def nothing() -> None:
        raise DeviceError("install adb")

    monkeypatch.setattr(adb_server, "adb_devices", nothing)
    assert [entry.hint for entry in found_devices() if entry.name == "adb"] == ["install adb"]
