"""The checker notices every promise that is broken."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from nasfit.devices import Description, Resources, Sample, State, check_device, open_device
from nasfit.errors import DeviceError, TrialFailure

GOOD = b"good"
DESCRIPTION = Description("a", "b", "c", 1, 1, 0, False, "d", 0.1, None, None, "t")


class Perfect:
    """A device that only pretends; what it answers can be spoiled."""

    name = "perfect"
    model_format = "onnx"
    on_this_machine = False

    def __init__(self, spoil: dict[str, Callable[..., Any]]) -> None:
        self.spoil = spoil
        self.failed: set[str] = set()
        self.known: set[str] = set()
        self.opened = 0

    def _told(self, step: str, value: Any, *arguments: Any) -> Any:
        return self.spoil[step](value, *arguments) if step in self.spoil else value

    def describe(self) -> Description:
        return self._told("describe", DESCRIPTION)

    @contextmanager
    def open(self) -> Iterator[Perfect]:
        self.opened += 1
        self._told("open", None, self.opened)
        self.known, self.failed = set(), set()
        yield self

    def load(self, model: str, model_bytes: bytes) -> None:
        from nasfit.errors import UsageError

        if model in self.known and "name" not in self.spoil:
            raise UsageError("taken")
        self.known.add(model)
        if model_bytes != GOOD and "bad" not in self.spoil:
            self.failed.add(model)
            raise TrialFailure("bad file")

    def sample(self, model: str, *, warm: int, runs: int) -> Sample:
        from nasfit.errors import UnknownNameError

        if model not in self.known:
            raise UnknownNameError("network", model, self.known)
        if model in self.failed:
            raise TrialFailure("failed")
        return self._told("sample", Sample(1.0, None, runs))

    def run(self, model: str, input_BCHW: np.ndarray) -> np.ndarray:
        if len(input_BCHW) != 1 and "batch" not in self.spoil:
            raise TrialFailure("shape")
        return self._told("run", 2 * input_BCHW)

    def state(self) -> State:
        return self._told("state", State(None, None, None, None))

    def resources(self, model_bytes: bytes) -> Resources:
        if model_bytes != GOOD:
            raise TrialFailure("bad file")
        return self._told("resources", Resources(1.0, None))


def once_only(value: Any, opened: int) -> None:
    if opened > 1:
        raise DeviceError("busy")


COUNTER = iter(range(1000))
BROKEN = {
    "names itself the same": {"describe": lambda told: dataclasses.replace(told, device=str(next(COUNTER)))},
    "a core and a thread": {"describe": lambda told: dataclasses.replace(told, cores=0)},
    "equal to the expected": {"run": lambda told: 1.01 * told},
    "output shape": {"run": lambda told: told[:, :1]},
    "a wall time above 0": {"sample": lambda told: dataclasses.replace(told, wall_ms=0.0)},
    "a wall time above 0, got nan": {"sample": lambda told: dataclasses.replace(told, wall_ms=float("nan"))},
    "a CPU time": {"sample": lambda told: dataclasses.replace(told, cpu_ms=-1.0)},
    "a probe": {"sample": lambda told: dataclasses.replace(told, probe_ms=0.0)},
    "a sample of 1 runs": {"sample": lambda told: dataclasses.replace(told, runs=7)},
    "a temperature": {"state": lambda told: dataclasses.replace(told, temperature_c=45_000.0)},
    "a clock": {"state": lambda told: dataclasses.replace(told, clock_mhz=0.0)},
    "a load": {"state": lambda told: dataclasses.replace(told, load_average=-1.0)},
    "throttled": {"state": lambda told: dataclasses.replace(told, throttled="")},
    "TrialFailure for a file that is no network": {"bad": lambda told: told},
    "TrialFailure for an input of another shape": {"batch": lambda told: told},
    "UsageError for a name that is taken": {"name": lambda told: told},
    "a peak memory": {"resources": lambda told: dataclasses.replace(told, peak_memory_mb=-1.0)},
    "an energy": {"resources": lambda told: dataclasses.replace(told, energy_mj=0.0)},
    "busy": {"open": once_only},
}


def test_a_device_that_keeps_every_promise(image_BCHW: np.ndarray) -> None:
    device = Perfect({})
    check_device(device, GOOD, image_BCHW, 2 * image_BCHW)
    assert device.opened >= 2


@pytest.mark.parametrize("promise", BROKEN)
def test_broken_promise_is_named(promise: str, image_BCHW: np.ndarray) -> None:
    with pytest.raises(DeviceError, match=promise):
        check_device(Perfect(BROKEN[promise]), GOOD, image_BCHW, 2 * image_BCHW)


def test_wrong_output_of_a_real_engine_is_noticed(doubling_tflite_bytes: bytes, image_BCHW: np.ndarray) -> None:
    with pytest.raises(DeviceError, match="output equal to the expected within"):
        check_device(open_device("local"), doubling_tflite_bytes, image_BCHW, 2.01 * image_BCHW)
