"""Networks timed in turn, in shuffled rounds, until the interval of each median is narrow enough."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from nasfit.devices import Description, Device, Sample, Session
from nasfit.errors import TrialFailure, UsageError
from nasfit.latency.caching import measurement_key
from nasfit.latency.measurement import Measurement, headline_statistic
from nasfit.latency.order_statistics import median_interval, quartiles

# The fewest samples that give a 95 % interval of the median.
LEAST_ROUNDS = 6


@dataclass(frozen=True)
class Timing:
    """How long and how closely to look; the defaults hold for networks of 0.05 to 100 ms.

    precision: stop at a 95 % interval of the median within +- this share. min_rounds, max_rounds: samples a network.
    network_s: wall time given to one network at most. sample_ms: a sample holds enough inferences to last this long.
    warm: untimed inferences before each sample, since another network ran just before. together: networks loaded and
    interleaved at once; more of them go in further groups. seed: of the order within the rounds.
    """

    precision: float = 0.015
    min_rounds: int = 11
    max_rounds: int = 60
    network_s: float = 5.0
    sample_ms: float = 3.0
    warm: int = 1
    together: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if not LEAST_ROUNDS <= self.min_rounds <= self.max_rounds:
            raise UsageError(
                f"rounds are {self.min_rounds} to {self.max_rounds}; {LEAST_ROUNDS} are the fewest that give an "
                "interval, and the smaller number comes first"
            )
        for what in ("precision", "network_s", "sample_ms", "together"):
            if not getattr(self, what) > 0:
                raise UsageError(f"{what} is {getattr(self, what)!r}; it must be above 0")


DEFAULT = Timing()


def measure(
    device: Device,
    models: Mapping[str, bytes],
    *,
    timing: Timing = DEFAULT,
    cache: MutableMapping[str, dict[str, Any]] | None = None,
) -> dict[str, Measurement | TrialFailure]:
    """Latency of every network, in the order given; a network that does not run has its failure there instead.

    models: name -> file for the device's engine. cache: `measurement_key` -> `Measurement.to_dict()`; names must then
    be architecture texts. Found ones are not measured again; new ones are stored, failures are not. Raises DeviceError
    where the device itself is gone.
    """
    description = device.describe()
    keys = {name: measurement_key(name, description.device, description.engine) for name in models}
    done: dict[str, Measurement | TrialFailure] = {
        name: Measurement.from_dict(cache[key]) for name, key in keys.items() if cache is not None and key in cache
    }
    waiting = [name for name in models if name not in done]
    for start in range(0, len(waiting), timing.together):
        group = {name: models[name] for name in waiting[start : start + timing.together]}
        with device.open() as session:
            for name, result in _group(session, group, description, timing):
                done[name] = result
                if cache is not None and isinstance(result, Measurement):
                    cache[keys[name]] = result.to_dict()
    return {name: done[name] for name in models}


class _Course:
    """One network on its way: its samples so far and the time they took."""

    def __init__(self, session: Session, name: str, model_bytes: bytes, timing: Timing) -> None:
        began = time.perf_counter()
        session.load(name, model_bytes)
        self._session, self._name, self._timing = session, name, timing
        self._runs = _runs(session.sample(name, warm=2, runs=1), timing)
        self._sampling_s = 0.0
        self.samples: list[Sample] = []
        self.seconds = time.perf_counter() - began

    def step(self) -> None:
        """One more sample. Raises TrialFailure."""
        began = time.perf_counter()
        self.samples.append(self._session.sample(self._name, warm=self._timing.warm, runs=self._runs))
        spent = time.perf_counter() - began
        self._sampling_s += spent
        self.seconds += spent

    def finished(self, statistic: str) -> bool:
        """Narrow enough, or at the limit of rounds or time."""
        timing, count = self._timing, len(self.samples)
        if count >= LEAST_ROUNDS and self._sampling_s >= timing.network_s:
            return True
        if count < timing.min_rounds:
            return False
        values = [sample.cpu_ms if statistic == "cpu median" else sample.wall_ms for sample in self.samples]
        low, high = median_interval(values)
        return count >= timing.max_rounds or (high - low) / 2 <= timing.precision * quartiles(values)[1]


def _group(
    session: Session, models: Mapping[str, bytes], description: Description, timing: Timing
) -> Iterator[tuple[str, Measurement | TrialFailure]]:
    """Networks loaded together, each given out as it ends."""
    courses: dict[str, _Course] = {}
    for name, model_bytes in models.items():
        try:
            courses[name] = _Course(session, name, model_bytes, timing)
        except TrialFailure as failure:
            yield name, failure
    statistic = headline_statistic(description)
    order = random.Random(timing.seed)
    while courses:
        # A new order each round, so that no network always runs in the cache another one left.
        for name in order.sample(sorted(courses), len(courses)):
            course = courses[name]
            try:
                course.step()
            except TrialFailure as failure:
                del courses[name]
                yield name, failure
                continue
            if course.finished(statistic):
                del courses[name]
                yield name, Measurement.of(course.samples, description, course.seconds)


def _runs(first: Sample, timing: Timing) -> int:
    """Inferences a sample, so that it lasts long against the clock's step and the call's cost.

    A power of two: a slightly faster first sample then seldom gives another number than the last time.
    """
    wanted = timing.sample_ms / max(first.cpu_ms, first.wall_ms / 10, 1e-3)
    return int(2 ** max(0, math.ceil(math.log2(wanted))))
