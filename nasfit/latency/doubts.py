"""What is wrong with a measurement, in words with the next step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nasfit.devices import State
from nasfit.latency.order_statistics import quantile, quantile_interval

CLEAN_SHARE_WANTED = 0.5
PROBE_FACTOR_WANTED = 1.25
CLOCK_CHANGE = 0.05
WARMED_C = 10.0


@dataclass(frozen=True)
class Evidence:
    """What a measurement is judged by.

    values_ms: all samples of the headline's time, in order. clean: how many of them nothing disturbed. interval_ms: of
    the headline. probe_factor, states: as in `Measurement.of`.
    """

    values_ms: tuple[float, ...]
    clean: int
    interval_ms: tuple[float, float]
    probe_factor: float | None
    states: tuple[State, ...]


def doubts(evidence: Evidence, noise_floor: float) -> tuple[str, ...]:
    """Every doubt; empty is good. noise_floor: share of a latency below which differences mean nothing."""
    return (*_contention(evidence), *_width(evidence, noise_floor), *_drift(evidence, noise_floor), *_state(evidence))


def drift(values_ms: Sequence[float]) -> float:
    """By which share the lower quartile of the second half is above that of the first; values in order of time."""
    first, second = (quantile(half, 0.25) for half in _halves(values_ms))
    return second / first - 1


def _contention(evidence: Evidence) -> Iterator[str]:
    share = evidence.clean / len(evidence.values_ms)
    if share >= CLEAN_SHARE_WANTED:
        return
    told = f"contention: only {share:.0%} of the samples ran undisturbed"
    if evidence.probe_factor and evidence.probe_factor > PROBE_FACTOR_WANTED:
        told += f", memory was {evidence.probe_factor - 1:.0%} slower than at its best"
    yield f"{told}; quiet the machine, measure again"


def _width(evidence: Evidence, noise_floor: float) -> Iterator[str]:
    low, high = evidence.interval_ms
    half = (high - low) / (high + low)
    if half > noise_floor:
        yield f"wide interval: +-{half:.1%}; allow more rounds or quiet the machine"


def _drift(evidence: Evidence, noise_floor: float) -> Iterator[str]:
    change = drift(evidence.values_ms)
    intervals = (quantile_interval(half, 0.25) for half in _halves(evidence.values_ms))
    if abs(change) > noise_floor and not _overlap(*intervals):
        yield f"drift: second half {change:+.1%} against the first; heat or load changed, measure again"


def _state(evidence: Evidence) -> Iterator[str]:
    yield from dict.fromkeys(
        f"throttling: {state.throttled}; let it cool" for state in evidence.states if state.throttled
    )
    clocks = [state.clock_mhz for state in evidence.states if state.clock_mhz]
    if _change(clocks) > CLOCK_CHANGE:
        yield (
            f"clock: between {min(clocks):.0f} and {max(clocks):.0f} MHz during the measurement; fix the governor or "
            "let the device cool"
        )
    warmth = [state.temperature_c for state in evidence.states if state.temperature_c is not None]
    if warmth and max(warmth) - warmth[0] > WARMED_C:
        yield f"heat: from {warmth[0]:.0f} to {max(warmth):.0f} C during the measurement; let the device cool"


def _halves(values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    middle = len(values) // 2
    return values[:middle], values[middle:]


def _change(values: Sequence[float]) -> float:
    return max(values) / min(values) - 1 if values else 0.0


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[1] and b[0] <= a[1]
