"""The checker of the extension point: run it on a device of your own before a search relies on it."""

from __future__ import annotations

import math

import numpy as np

from nasfit.devices.device import Device
from nasfit.errors import DeviceError, TrialFailure


def check_device(device: Device, model_bytes: bytes, input_BCHW: np.ndarray, expected_BK: np.ndarray) -> None:
    """Does the device keep the contract of `Device` and `Session`? Takes a few seconds.

    model_bytes: a network that the engine reads; input_BCHW and expected_BK: an input and the output it must give,
    within 1e-3 of the largest. Raises DeviceError naming the first promise that is broken.
    """
    before, after = device.describe(), device.describe()
    _require((before.device, before.engine) == (after.device, after.engine), "describe() names itself the same twice")
    with device.open() as session:
        session.load("good", model_bytes)
        got_BK = session.run("good", input_BCHW)
        _require(got_BK.shape == expected_BK.shape, f"output shape {expected_BK.shape}, got {got_BK.shape}")
        difference = float(np.abs(got_BK - expected_BK).max() / max(float(np.abs(expected_BK).max()), 1e-12))
        _require(difference <= 1e-3, f"output equal to the expected within 1e-3, got {difference:.2g}")
        for runs in (1, 5):
            sample = session.sample("good", warm=1, runs=runs)
            _require(math.isfinite(sample.wall_ms) and sample.wall_ms > 0, f"a wall time above 0, got {sample.wall_ms}")
            _require(sample.runs == runs, f"a sample of {runs} runs, got {sample.runs}")
        _require(_fails(device, model_bytes), "a file that is no network fails as TrialFailure, and it alone")
        session.sample("good", warm=0, runs=1)


def _fails(device: Device, model_bytes: bytes) -> bool:
    with device.open() as session:
        session.load("good", model_bytes)
        try:
            session.load("bad", b"no network")
        except TrialFailure:
            session.sample("good", warm=0, runs=1)
            return True
    return False


def _require(holds: bool, promise: str) -> None:
    if not holds:
        raise DeviceError(f"the device breaks its contract; promised: {promise}")
