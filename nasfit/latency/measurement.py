"""A measured latency as a value: headline, spread, raw samples, conditions, doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from nasfit.devices import Description, Sample
from nasfit.errors import UsageError
from nasfit.latency.order_statistics import median_interval, quartiles

# Spread between fresh processes on one machine: what is closer than this is a tie, whatever one process says.
NOISE_FLOOR = 0.03
# Wall time within this of CPU time: nothing else ran in between.
CLEAN_MARGIN = 0.05
CLEAN_SHARE_WANTED = 0.8


@dataclass(frozen=True)
class Measurement:
    """Latency of one network, batch 1, in ms for one inference.

    latency_ms: the headline, by `statistic`: "cpu median" (median of thread-CPU time) on one-thread CPU engines, else
    "wall median". low_ms, high_ms: 95 % interval of that median within this run; between runs add `NOISE_FLOOR`.
    minimum_ms: smallest of the headline's samples. cpu_quartiles_ms, wall_quartiles_ms: lower, median, upper.
    clean_share: share of samples (0..1) whose wall time is within 5 % of CPU time; near 1 on a quiet machine.
    runs_per_sample: inferences back to back in a sample. conditions: state of device and engine at the start.
    time: UTC. seconds: spent on this network, loading included. wall_samples_ms, cpu_samples_ms: in order of time.
    warnings: doubts in words; empty is good.
    """

    latency_ms: float
    statistic: str
    low_ms: float
    high_ms: float
    minimum_ms: float
    cpu_quartiles_ms: tuple[float, float, float]
    wall_quartiles_ms: tuple[float, float, float]
    clean_share: float
    runs_per_sample: int
    device: str
    engine: str
    conditions: Mapping[str, object]
    time: str
    seconds: float
    wall_samples_ms: tuple[float, ...]
    cpu_samples_ms: tuple[float, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, samples: Sequence[Sample], description: Description, seconds: float) -> Measurement:
        """From samples in order of time, at least two; seconds were spent on them."""
        wall, cpu = [sample.wall_ms for sample in samples], [sample.cpu_ms for sample in samples]
        statistic = headline_statistic(description)
        values = cpu if statistic == "cpu median" else wall
        low, high = median_interval(values)
        clean = clean_share(samples)
        return cls(
            latency_ms=quartiles(values)[1],
            statistic=statistic,
            low_ms=low,
            high_ms=high,
            minimum_ms=min(values),
            cpu_quartiles_ms=quartiles(cpu),
            wall_quartiles_ms=quartiles(wall),
            clean_share=clean,
            runs_per_sample=samples[0].runs,
            device=description.device,
            engine=description.engine,
            conditions=asdict(description),
            time=description.time,
            seconds=seconds,
            wall_samples_ms=tuple(wall),
            cpu_samples_ms=tuple(cpu),
            warnings=tuple(_doubts(values, clean)),
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


def headline_statistic(description: Description) -> str:
    """Thread-CPU time counts all of the work only where one thread does it."""
    return "cpu median" if description.threads == 1 else "wall median"


def clean_share(samples: Sequence[Sample]) -> float:
    """Share of samples whose wall time is within 5 % of the CPU time: a free alarm for contention."""
    return sum(sample.wall_ms <= (1 + CLEAN_MARGIN) * sample.cpu_ms for sample in samples) / len(samples)


def tied(a: Measurement, b: Measurement) -> bool:
    """Whether the difference is inside the noise: intervals overlap, or medians within 3 % of each other."""
    if _overlap((a.low_ms, a.high_ms), (b.low_ms, b.high_ms)):
        return True
    return abs(a.latency_ms - b.latency_ms) <= NOISE_FLOOR * min(a.latency_ms, b.latency_ms)


def _doubts(values: Sequence[float], clean: float) -> list[str]:
    doubts = []
    low, high = median_interval(values)
    median = quartiles(values)[1]
    half = (high - low) / 2 / median
    if clean < CLEAN_SHARE_WANTED:
        doubts.append(f"contention: only {clean:.0%} of the samples ran undisturbed; quiet the machine, measure again")
    if half > NOISE_FLOOR:
        doubts.append(f"wide interval: +-{half:.1%} of the median; allow more rounds or quiet the machine")
    first, second = values[: len(values) // 2], values[len(values) // 2 :]
    drift = quartiles(second)[1] / quartiles(first)[1] - 1
    if abs(drift) > NOISE_FLOOR and not _overlap(median_interval(first), median_interval(second)):
        doubts.append(f"drift: second half {drift:+.1%} against the first; heat or load changed, measure again")
    return doubts


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[1] and b[0] <= a[1]
