"""The checker of the extension point: run it on a device of your own before a search relies on it."""

from __future__ import annotations

import math

import numpy as np

from nasfit.devices.device import Device, Session
from nasfit.devices.session import WorkerSession
from nasfit.errors import DeviceError, TrialFailure, UnknownNameError, UsageError
from nasfit.promises import Contract

_CONTRACT = Contract("the device", DeviceError)
_require, _require_raises = _CONTRACT.require, _CONTRACT.require_raises


def check_device(
    device: Device, model_bytes: bytes, input_BCHW: np.ndarray, expected_BK: np.ndarray, *, tolerance: float = 1e-3
) -> None:
    """Does the device keep the contract of `Device` and `Session`? Takes a few seconds.

    device: yours. model_bytes: a network that the engine reads. input_BCHW, expected_BK: an input of batch 1, and the
    output it must give. tolerance: largest allowed difference, in shares of the largest output. Raises DeviceError
    naming the first promise that is broken, and what the device itself raises where it cannot be used at all.
    """
    _check_descriptions(device)
    for _ in range(2):  # one session after the other
        with device.open() as session:
            session.load("good", model_bytes)
            _check_output(session, input_BCHW, expected_BK, tolerance)
            _check_samples(session)
            _check_state(session)
            _check_failures(session, model_bytes, input_BCHW)
            _check_output(session, input_BCHW, expected_BK, tolerance)
    _check_dead_engine(device, model_bytes)
    _check_resources(device, model_bytes)


def _check_descriptions(device: Device) -> None:
    before, after = device.describe(), device.describe()
    _require(bool(device.name and device.model_format), "a name and a model format")
    _require(type(device.on_this_machine) is bool, "on_this_machine as True or False")
    _require((before.device, before.engine) == (after.device, after.engine), "describe() names itself the same twice")
    _require(before.cores >= 1 and before.threads >= 1, f"a core and a thread, got {before.cores} and {before.threads}")
    _require(before.clock_step_ms >= 0, f"a clock step of 0 or more, got {before.clock_step_ms}")


def _check_output(session: Session, input_BCHW: np.ndarray, expected_BK: np.ndarray, tolerance: float) -> None:
    got_BK = session.run("good", input_BCHW)
    _require(got_BK.shape == expected_BK.shape, f"output shape {expected_BK.shape}, got {got_BK.shape}")
    difference = float(np.abs(got_BK - expected_BK).max() / max(float(np.abs(expected_BK).max()), 1e-12))
    _require(difference <= tolerance, f"output equal to the expected within {tolerance:g}, got {difference:.2g}")


def _check_samples(session: Session) -> None:
    for warm, runs in ((0, 1), (1, 5)):
        sample = session.sample("good", warm=warm, runs=runs)
        _require(_positive(sample.wall_ms), f"a wall time above 0, got {sample.wall_ms}")
        _require(sample.cpu_ms is None or sample.cpu_ms >= 0, f"a CPU time of 0 or more or None, got {sample.cpu_ms}")
        _require(sample.probe_ms is None or _positive(sample.probe_ms), f"a probe above 0, got {sample.probe_ms}")
        _require(sample.runs == runs, f"a sample of {runs} runs, got {sample.runs}")


def _check_state(session: Session) -> None:
    state = session.state()
    _require(state.load_average is None or state.load_average >= 0, f"a load of 0 or more, got {state.load_average}")
    _require(state.clock_mhz is None or _positive(state.clock_mhz), f"a clock above 0, got {state.clock_mhz}")
    celsius = state.temperature_c
    _require(celsius is None or -50 < celsius < 150, f"a temperature in degrees Celsius, got {celsius}")
    _require(state.throttled != "", "throttled as a sentence or None, got an empty one")


def _check_failures(session: Session, model_bytes: bytes, input_BCHW: np.ndarray) -> None:
    """What goes wrong with one network or one call stays with it."""
    _require_raises(TrialFailure, "a file that is no network", session.load, "bad", b"no network")
    _require_raises(TrialFailure, "a network that failed, again", session.sample, "bad", warm=0, runs=1)
    wrong = np.concatenate([input_BCHW, input_BCHW])
    _require_raises(TrialFailure, "an input of another shape", session.run, "good", wrong)
    _require_raises(UsageError, "a name that is taken", session.load, "good", model_bytes)
    _require_raises(UnknownNameError, "a name that is not known", session.sample, "none", warm=0, runs=1)
    session.sample("good", warm=0, runs=1)


def _check_dead_engine(device: Device, model_bytes: bytes) -> None:
    with device.open() as session:
        if not isinstance(session, WorkerSession):
            return
        session.load("a", model_bytes)
        session.load("b", model_bytes)
        session.crash()
        for model in ("a", "b"):
            _require(session.sample(model, warm=0, runs=1).runs == 1, "all networks back after a dead engine process")
        session.crash()
        session.state()


def _check_resources(device: Device, model_bytes: bytes) -> None:
    told = device.resources(model_bytes)
    peak = told.peak_memory_mb
    _require(math.isfinite(peak) and peak >= 0, f"a peak memory of 0 or more, got {peak}")
    _require(told.energy_mj is None or _positive(told.energy_mj), f"an energy above 0 or None, got {told.energy_mj}")
    _require_raises(TrialFailure, "resources of a file that is no network", device.resources, b"no network")


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
