"""A measured latency as a value: headline, spread, raw samples, conditions, doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from nasfit.devices import Description, Sample, State
from nasfit.errors import UsageError
from nasfit.latency.doubts import Evidence, doubts
from nasfit.latency.order_statistics import quantile, quantile_interval, quartiles
from nasfit.latency.probe_limit import LEAST_SAMPLES, best_probe_ms, undisturbed

# Spread between runs on one machine: what is closer than this is a tie, whatever one run says.
NOISE_FLOOR = 0.03
# Disturbances only ever add time, so the lower quartile is nearer to the undisturbed latency than the median, and
# half as far apart between runs; the minimum is no better and rests on one sample.
HEADLINE_SHARE = 0.25
# Wall time within this of CPU time: nothing else ran in between.
PREEMPTED = 0.05


@dataclass(frozen=True)
class Measurement:
    """Latency of one network, batch 1, in ms for one inference.

    latency_ms: the headline, the lower quartile of undisturbed samples. statistic: of which time: "thread CPU time"
    where one thread computes and the device tells it, else "wall time". low_ms, high_ms: 95 % interval of that quartile
    within this run; between runs add `NOISE_FLOOR`. minimum_ms, median_ms: of all samples of the same time.
    cpu_quartiles_ms (None where the device tells none), wall_quartiles_ms: lower, median, upper, of all samples.
    clean_share: share of samples (0..1) that nothing disturbed: wall time within 5 % of CPU time, and the probe within
    25 % of its best. probe_factor: median of the probe over its best within this run, near 1 where nothing changed;
    None without a probe.
    processes: fresh engine processes that took part. runs_per_sample: inferences back to back in a sample. difference:
    of the engine's output from torch's (root mean square, relative); None where it was not checked. size_bytes: of the
    file. peak_memory_mb, energy_mj: of the network alone and of one inference; None where not asked or not told.
    conditions: of device and engine at the start. time: UTC. seconds: spent on this network, loading included.
    wall_samples_ms, cpu_samples_ms, probe_samples_ms: in order of time. warnings: doubts in words; empty is good.
    """

    latency_ms: float
    statistic: str
    low_ms: float
    high_ms: float
    minimum_ms: float
    median_ms: float
    cpu_quartiles_ms: tuple[float, float, float] | None
    wall_quartiles_ms: tuple[float, float, float]
    clean_share: float
    probe_factor: float | None
    processes: int
    runs_per_sample: int
    difference: float | None
    size_bytes: int
    peak_memory_mb: float | None
    energy_mj: float | None
    device: str
    engine: str
    conditions: Mapping[str, object]
    time: str
    seconds: float
    wall_samples_ms: tuple[float, ...]
    cpu_samples_ms: tuple[float, ...]
    probe_samples_ms: tuple[float, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(
        cls,
        samples: Sequence[Sample],
        description: Description,
        seconds: float,
        *,
        states: Sequence[State] = (),
        processes: int = 1,
        difference: float | None = None,
        size_bytes: int = 0,
        peak_memory_mb: float | None = None,
        energy_mj: float | None = None,
    ) -> Measurement:
        """From samples in order of time, at least two; seconds were spent on them.

        states: of the device, in order of time.
        """
        wall = tuple(sample.wall_ms for sample in samples)
        cpu = tuple(sample.cpu_ms for sample in samples if sample.cpu_ms is not None)
        probes = tuple(sample.probe_ms for sample in samples if sample.probe_ms is not None)
        statistic = statistic_of(description, samples)
        values = times(samples, statistic)
        clean = clean_places(samples)
        counted = headline_values(samples, statistic)
        low, high = quantile_interval(counted, HEADLINE_SHARE)
        best_ms = best_probe_ms(samples)
        factor = quantile(probes, 0.5) / best_ms if best_ms else None
        return cls(
            latency_ms=quantile(counted, HEADLINE_SHARE),
            statistic=statistic,
            low_ms=low,
            high_ms=high,
            minimum_ms=min(values),
            median_ms=quantile(values, 0.5),
            cpu_quartiles_ms=quartiles(cpu) if cpu else None,
            wall_quartiles_ms=quartiles(wall),
            clean_share=len(clean) / len(samples),
            probe_factor=factor,
            processes=processes,
            runs_per_sample=samples[0].runs,
            difference=difference,
            size_bytes=size_bytes,
            peak_memory_mb=peak_memory_mb,
            energy_mj=energy_mj,
            device=description.device,
            engine=description.engine,
            conditions=asdict(description),
            time=description.time,
            seconds=seconds,
            wall_samples_ms=wall,
            cpu_samples_ms=cpu,
            probe_samples_ms=probes,
            warnings=doubts(Evidence(values, len(clean), (low, high), factor, tuple(states)), NOISE_FLOOR),
        )

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What it was made from, in order of time; a kind of time that not every sample has is left out."""
        number = len(self.wall_samples_ms)
        cpu, probes = (
            values if len(values) == number else (None,) * number
            for values in (self.cpu_samples_ms, self.probe_samples_ms)
        )
        return tuple(
            Sample(wall_ms, cpu_ms, self.runs_per_sample, probe_ms)
            for wall_ms, cpu_ms, probe_ms in zip(self.wall_samples_ms, cpu, probes, strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` is the strict inverse."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in ((field.name, getattr(self, field.name)) for field in fields(self))
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measurement:
        """Raises UsageError naming fields that are missing or unknown."""
        known = {field.name for field in fields(cls)}
        if wrong := known ^ set(values):
            missing, unknown = sorted(known & wrong), sorted(wrong - known)
            raise UsageError(f"no measurement: missing {missing}, unknown {unknown}; measure again with this version")
        ready: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**ready)


def statistic_of(description: Description, samples: Sequence[Sample]) -> str:
    """Thread-CPU time counts all of the work only where one thread does it."""
    told = all(sample.cpu_ms is not None for sample in samples)
    return "thread CPU time" if description.threads == 1 and told else "wall time"


def times(samples: Sequence[Sample], statistic: str) -> tuple[float, ...]:
    """The samples' times of this kind."""
    if statistic == "wall time":
        return tuple(sample.wall_ms for sample in samples)
    return tuple(sample.cpu_ms for sample in samples if sample.cpu_ms is not None)


def clean_places(samples: Sequence[Sample]) -> list[int]:
    """Places of the samples that nothing disturbed, as far as the device tells."""

    def alone(sample: Sample) -> bool:
        return sample.cpu_ms is None or sample.wall_ms <= (1 + PREEMPTED) * sample.cpu_ms

    calm = undisturbed(samples)
    return [place for place, sample in enumerate(samples) if alone(sample) and calm[place]]


def headline_values(samples: Sequence[Sample], statistic: str) -> tuple[float, ...]:
    """Times that the headline is taken from: of undisturbed samples where there are enough, else of all."""
    clean = clean_places(samples)
    chosen = [samples[place] for place in clean] if len(clean) >= LEAST_SAMPLES else samples
    return times(chosen, statistic)


def tied(a_ms: tuple[float, float, float], b_ms: tuple[float, float, float]) -> bool:
    """Whether the difference of two (latency, low, high) is inside the noise.

    It is where the intervals overlap or the latencies lie within 3 % of each other.
    """
    if a_ms[1] <= b_ms[2] and b_ms[1] <= a_ms[2]:
        return True
    return abs(a_ms[0] - b_ms[0]) <= NOISE_FLOOR * min(a_ms[0], b_ms[0])
