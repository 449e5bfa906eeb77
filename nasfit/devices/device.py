"""What every device offers, and the values it answers with."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Sample:
    """Time of one sample: `runs` inferences of batch 1 back to back.

    wall_ms: passed on the clock, for one inference. cpu_ms: spent by the thread that calls the engine, for one
    inference; equal to the work done only where the engine has one thread and computes on the CPU; None where the
    device does not tell. probe_ms: time of a fixed piece of memory work done just before on the same core, to tell a
    quiet moment from a disturbed one; None where there is none.
    """

    wall_ms: float
    cpu_ms: float | None
    runs: int
    probe_ms: float | None = None


@dataclass(frozen=True)
class State:
    """Of the device at this moment; each None where it does not tell.

    load_average: of the last minute. temperature_c: of the processor, degrees Celsius. clock_mhz: of the core that
    networks run on. throttled: a sentence when the device says that it holds its clock down.
    """

    load_average: float | None
    temperature_c: float | None
    clock_mhz: float | None
    throttled: str | None


@dataclass(frozen=True)
class Resources:
    """What one network takes, alone in a fresh engine process.

    peak_memory_mb: largest resident memory while loading and running, less that of the engine before loading; 10^6
    bytes. energy_mj: millijoules of the whole processor package during one inference, its idle share and whatever else
    runs included; None where the device does not tell.
    """

    peak_memory_mb: float
    energy_mj: float | None


@dataclass(frozen=True)
class Description:
    """The device, the engine and the state of both at `time`.

    device: identity, the same for the same hardware; part of a measurement's cache key. engine: with its version and
    threads. threads: of one inference. core: the CPU core it is pinned to, None where it floats or has several threads.
    realtime: whether real-time priority was granted. clock_step_ms: smallest step seen of the thread-CPU clock.
    governor, load_average, temperature_c, clock_mhz: None where the system does not tell. time: UTC, ISO 8601.
    memory_mb: installed, 10^6 bytes. power: what feeds it, such as "mains" or "screen on, charging".
    """

    device: str
    engine: str
    cpu: str
    cores: int
    threads: int
    core: int | None
    realtime: bool
    os: str
    clock_step_ms: float
    governor: str | None
    load_average: float | None
    time: str
    memory_mb: float | None = None
    temperature_c: float | None = None
    clock_mhz: float | None = None
    power: str | None = None


class Session(Protocol):
    """Networks loaded into one engine process. A network's failure is its own: the others go on.

    Every method raises TrialFailure for a network that cannot be loaded, crashes the engine or hangs, DeviceGone where
    the device is out of reach but may come back, and DeviceError where it cannot do its part (no disk space, say).
    """

    def load(self, model: str, model_bytes: bytes) -> None:
        """Make the network known under the name `model`, which is free."""

    def sample(self, model: str, *, warm: int, runs: int) -> Sample:
        """Run it `warm` times untimed, then `runs` times timed, on fixed random input."""

    def run(self, model: str, input_BCHW: np.ndarray) -> np.ndarray:
        """Output for this float32 input of batch 1, to compare with another engine's."""

    def state(self) -> State:
        """How the device is now."""


class Device(Protocol):
    """A place that runs networks.

    name: as the user wrote it. model_format: of the files its engine reads, such as "tflite" or "onnx".
    on_this_machine: whether it computes on processors that trainings here would disturb; a search lets them rest while
    it measures then.
    """

    name: str
    model_format: str
    on_this_machine: bool

    def describe(self) -> Description:
        """What it is and how busy it is now. Raises DeviceError where it does not answer."""

    def open(self) -> AbstractContextManager[Session]:
        """A fresh engine process, ended on leaving the context."""

    def resources(self, model_bytes: bytes) -> Resources:
        """What this network takes. Raises as `Session`'s methods do."""


class DeviceFactory(Protocol):
    """Makes a device by its name; what a package's entry point in the group `nasfit.devices` refers to."""

    def __call__(
        self, name: str, *, engine: str, core: int | None, realtime: bool, threads: int, timeout_s: float
    ) -> Device:
        """See `open_device` for the arguments. Raises UsageError for those that the device cannot follow.

        name: whole, with the kind before the colon. Nothing is asked of the device yet.
        """
