"""What every device offers, and the values it answers with."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Sample:
    """Time of one sample: `runs` inferences of batch 1 back to back.

    wall_ms: passed on the clock, for one inference. cpu_ms: spent by the inference thread, for one inference; equal to
    the work done only where the engine has one thread and computes on the CPU.
    """

    wall_ms: float
    cpu_ms: float
    runs: int


@dataclass(frozen=True)
class Description:
    """The device, the engine and the state of both at `time`.

    device: identity, the same for the same hardware; part of a measurement's cache key. engine: with its version.
    threads: of one inference. core: the CPU core it is pinned to, None where it floats. realtime: whether real-time
    priority was granted. clock_step_ms: smallest step seen of the thread-CPU clock. governor, load_average: None where
    the system does not tell. time: UTC, ISO 8601.
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


class Session(Protocol):
    """Networks loaded into one engine process. A network's failure is its own: the others go on.

    Every method raises TrialFailure for a network that cannot be loaded, crashes the engine or hangs, and DeviceError
    where the device itself is gone.
    """

    def load(self, model: str, model_bytes: bytes) -> None:
        """Make the network known under the name `model`, which is free."""

    def sample(self, model: str, *, warm: int, runs: int) -> Sample:
        """Run it `warm` times untimed, then `runs` times timed, on fixed random input."""

    def run(self, model: str, input_BCHW: np.ndarray) -> np.ndarray:
        """Output for this float32 input, to compare with another engine's."""


class Device(Protocol):
    """A place that runs networks."""

    def describe(self) -> Description:
        """What it is and how busy it is now. Raises DeviceError where it does not answer."""

    def open(self) -> AbstractContextManager[Session]:
        """A fresh engine process, ended on leaving the context."""
