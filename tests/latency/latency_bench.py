"""A device whose times are scripted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np

from nasfit.devices import Description, Resources, Sample, State
from nasfit.errors import DeviceGone, TrialFailure

Times = Callable[[int], tuple[float, float | None]]


def described(**changes: Any) -> Description:
    """A description with every field that is not named at rest."""
    at_rest: dict[str, Any] = dict.fromkeys((field.name for field in fields(Description)), None)
    at_rest |= {"device": "bench: X", "engine": "engine 1", "cpu": "X", "cores": 1, "threads": 1, "core": 0}
    at_rest |= {"realtime": True, "os": "os", "clock_step_ms": 1e-6, "time": "2026-01-01T00:00:00Z"}
    return Description(**(at_rest | changes))


class Scripted:
    """Both device and session: network name -> function of its sample's number giving (wall_ms, cpu_ms).

    probe: function of the number of samples taken so far giving the probe's ms; None for a device without one. gone:
    the number of samples after which it is unplugged once.
    """

    name = "scripted"
    model_format = "onnx"

    def __init__(
        self, times: dict[str, Times], probe: Callable[[int], float] | None = lambda _: 0.3, gone: int | None = None
    ) -> None:
        self.times, self.probe, self.gone = times, probe, gone
        self.counts = dict.fromkeys(times, 0)
        self.log: list[tuple[str, int, int]] = []
        self.groups: list[list[str]] = []
        self.states = [State(0.0, None, None, None)]

    def describe(self) -> Description:
        return described()

    @contextmanager
    def open(self) -> Iterator[Scripted]:
        self.groups.append([])
        yield self

    def load(self, model: str, model_bytes: bytes) -> None:
        if model_bytes == b"bad":
            raise TrialFailure(f"{model} is no network")
        self.groups[-1].append(model)

    def sample(self, model: str, *, warm: int, runs: int) -> Sample:
        if self.gone is not None and len(self.log) >= self.gone:
            self.gone = None
            raise DeviceGone("unplugged")
        wall_ms, cpu_ms = self.times[model](self.counts[model])
        self.counts[model] += 1
        self.log.append((model, warm, runs))
        return Sample(wall_ms, cpu_ms, runs, self.probe(len(self.log)) if self.probe else None)

    def run(self, model: str, input_BCHW: np.ndarray) -> np.ndarray:
        return input_BCHW.reshape(1, -1)

    def state(self) -> State:
        return self.states[min(len(self.groups), len(self.states)) - 1]

    def resources(self, model_bytes: bytes) -> Resources:
        return Resources(peak_memory_mb=float(len(model_bytes)), energy_mj=2.0)
