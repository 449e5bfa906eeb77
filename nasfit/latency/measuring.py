"""Networks timed in turn, in shuffled rounds, until the interval of each headline is narrow enough."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from nasfit.devices import Description, Device, Sample, Session, State
from nasfit.errors import DeviceError, DeviceGone, TrialFailure, UsageError
from nasfit.latency.caching import measurement_key
from nasfit.latency.candidate import Candidate
from nasfit.latency.measurement import (
    HEADLINE_SHARE,
    Measurement,
    clean_places,
    headline_values,
    statistic_of,
)
from nasfit.latency.order_statistics import quantile, quantile_interval
from nasfit.latency.timing import DEFAULT, Timing


def measure(
    device: Device,
    models: Mapping[str, bytes | Candidate],
    *,
    timing: Timing = DEFAULT,
    cache: MutableMapping[str, dict[str, Any]] | None = None,
    resources: bool = False,
) -> dict[str, Measurement | TrialFailure]:
    """Latency of every network, in the order given; a network that does not run has its failure there instead.

    models: name -> file for the device's engine, or `Candidate` to have its output checked before it is timed.
    timing: how long, how exactly. cache:
    `measurement_key` -> `Measurement.to_dict()`; names must then be architecture texts. Found ones are not measured
    again; new ones are stored, failures are not. resources: also memory and energy, each network alone in a fresh
    process. Raises DeviceError where the device does not answer; `DeviceGone` may pass, and what was stored in the
    cache until then is not lost.
    """
    description = device.describe()
    keys = {name: measurement_key(name, description.device, description.engine) for name in models}
    done: dict[str, Measurement | TrialFailure] = {}
    for name, key in keys.items():
        if cache is not None and (measurement := known(cache, key)) is not None:
            done[name] = measurement
    waiting = [name for name in models if name not in done]
    for start in range(0, len(waiting), timing.together):
        group = _Group(device, description, timing)
        for name in waiting[start : start + timing.together]:
            model = models[name]
            group.add(name, model if isinstance(model, Candidate) else Candidate(model))
        for name, result in group.results():
            if resources and isinstance(result, Measurement):
                result = _with_resources(result, device, group.courses[name].candidate.content)
            done[name] = result
            if cache is not None and isinstance(result, Measurement):
                cache[keys[name]] = result.to_dict()
    return {name: done[name] for name in models}


def _with_resources(measurement: Measurement, device: Device, content: bytes) -> Measurement:
    """A device that cannot tell them costs a doubt, not the latency."""
    try:
        used = device.resources(content)
    except DeviceGone:
        raise
    except (TrialFailure, DeviceError) as error:
        return replace(measurement, warnings=(*measurement.warnings, f"memory and energy are not known: {error}"))
    return replace(measurement, peak_memory_mb=used.peak_memory_mb, energy_mj=used.energy_mj)


def known(cache: MutableMapping[str, dict[str, Any]], key: str) -> Measurement | None:
    """The measurement that a cache has; None also for one that an older version stored, by another statistic."""
    try:
        return Measurement.from_dict(cache[key]) if key in cache else None
    except UsageError:
        return None


class _Course:
    """One network on its way: its samples so far and the time they took."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.samples: list[Sample] = []
        self.seconds = 0.0
        self.difference: float | None = None
        self.runs: int | None = None
        self._sampling_s = 0.0
        self._before = 0

    def enter(self, session: Session, name: str, timing: Timing) -> Sample:
        """Load and check it in a new process, and run it once. Raises TrialFailure."""
        began = time.perf_counter()
        session.load(name, self.candidate.content)
        if self.candidate.check is not None and self.difference is None:
            check = self.candidate.check
            self.difference = check.difference(session.run(name, check.input_BCHW))
        first = session.sample(name, warm=2, runs=1)
        self.runs = self.runs or _runs(first, timing)
        self._sampling_s, self._before = 0.0, len(self.samples)
        self.seconds += time.perf_counter() - began
        return first

    def step(self, session: Session, name: str, timing: Timing) -> Sample:
        """One more sample. Raises TrialFailure."""
        assert self.runs is not None, "entered before"
        began = time.perf_counter()
        sample = session.sample(name, warm=timing.warm, runs=self.runs)
        self.samples.append(sample)
        spent = time.perf_counter() - began
        self._sampling_s += spent
        self.seconds += spent
        return sample

    def finished(self, description: Description, timing: Timing) -> bool:
        """Narrow enough on undisturbed samples, or at the limit of rounds or time of this process."""
        here = self.samples[self._before :]
        if len(here) >= timing.max_rounds or (len(here) >= 2 and self._sampling_s >= timing.network_s):
            return True
        if len(clean_places(here)) < timing.min_rounds:
            return False
        values = headline_values(here, statistic_of(description, here))
        low, high = quantile_interval(values, HEADLINE_SHARE)
        return (high - low) / 2 <= timing.precision * quantile(values, HEADLINE_SHARE)


class _Group:
    """Networks loaded together and timed in turn, in one or more processes.

    On a device without a probe the first network is the reference: it opens every round, its time stands for the
    probe's, and it stays until the others are done.
    """

    def __init__(self, device: Device, description: Description, timing: Timing) -> None:
        self.courses: dict[str, _Course] = {}
        self.has_probe = True
        self._device, self._description, self._timing = device, description, timing
        self._order = random.Random(timing.seed)
        self._states: list[State] = []

    def add(self, name: str, candidate: Candidate) -> None:
        """Before `results`."""
        self.courses[name] = _Course(candidate)

    def results(self) -> Iterator[tuple[str, Measurement | TrialFailure]]:
        """Each network as it ends. Raises DeviceError."""
        going = dict(self.courses)
        for process in range(self._timing.processes):
            last = process == self._timing.processes - 1
            with self._device.open() as session:
                for name, ended in self._process(session, going):
                    if isinstance(ended, TrialFailure):
                        del going[name]
                        yield name, ended
                    elif last:
                        yield name, self._measurement(ended)

    def _process(self, session: Session, going: Mapping[str, _Course]) -> Iterator[tuple[str, _Course | TrialFailure]]:
        """One process: every network until it has enough samples."""
        running: dict[str, _Course] = {}
        for name, course in dict(going).items():
            try:
                self.has_probe = course.enter(session, name, self._timing).probe_ms is not None
                running[name] = course
            except TrialFailure as failure:
                yield name, failure
        self._states.append(session.state())
        while running:
            began = time.perf_counter()
            yield from self._round(session, running)
            # Disturbances last seconds: rounds close together would all fall into the same one. And one rhythm for all
            # rounds, since the probe is slower after a pause.
            pause_s = self._timing.span_s / self._timing.min_rounds - (time.perf_counter() - began)
            if running and pause_s > 0:
                time.sleep(pause_s)

    def _round(self, session: Session, running: dict[str, _Course]) -> Iterator[tuple[str, _Course | TrialFailure]]:
        ended: list[tuple[str, _Course | TrialFailure]] = []
        reference_ms: float | None = None
        for name in self._shuffled(running):
            course = running[name]
            try:
                sample = course.step(session, name, self._timing)
            except TrialFailure as failure:
                ended.append((name, failure))
                continue
            if not self.has_probe:
                reference_ms = reference_ms or sample.wall_ms
                course.samples[-1] = replace(sample, probe_ms=reference_ms)
            if course.finished(self._description, self._timing):
                ended.append((name, course))
        if not self.has_probe:
            ended = self._without_reference(ended, running)
        if ended:
            self._states.append(session.state())
        for name, end in ended:
            del running[name]
            yield name, end

    def _without_reference(
        self, ended: list[tuple[str, _Course | TrialFailure]], running: Mapping[str, _Course]
    ) -> list[tuple[str, _Course | TrialFailure]]:
        """The reference ends with the others, not before; if it fails, another begins and nothing is comparable."""
        reference = next(iter(running))
        if any(name == reference and isinstance(end, TrialFailure) for name, end in ended):
            for course in running.values():
                course.samples = [replace(sample, probe_ms=None) for sample in course.samples]
        elif len(ended) < len(running):
            return [(name, end) for name, end in ended if name != reference]
        return ended

    def _shuffled(self, running: Mapping[str, _Course]) -> list[str]:
        """A new order each round, so that no network always runs in the cache another one left."""
        order = self._order.sample(sorted(running), len(running))
        reference = next(iter(running))
        return order if self.has_probe else sorted(order, key=lambda name: name != reference)

    def _measurement(self, course: _Course) -> Measurement:
        return Measurement.of(
            course.samples,
            self._description,
            course.seconds,
            states=self._states,
            processes=self._timing.processes,
            difference=course.difference,
            size_bytes=len(course.candidate.content),
        )


def _runs(first: Sample, timing: Timing) -> int:
    """Inferences a sample, so that it lasts long against the clock's step and the call's cost.

    A power of two: a slightly faster first sample then seldom gives another number than the last time.
    """
    wanted = timing.sample_ms / max(first.cpu_ms or 0.0, first.wall_ms / 10, 1e-3)
    return int(2 ** max(0, math.ceil(math.log2(wanted))))
