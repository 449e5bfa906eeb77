"""Measurements as a table for the terminal, with ties, doubts and conditions below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

from nasfit.devices import Description
from nasfit.errors import TrialFailure
from nasfit.latency import NOISE_FLOOR, Measurement, tied
from nasfit.report.wording import digits

_Cell = Callable[[Measurement], str | None]


def _optional(value: float | None, form: Callable[[float], str]) -> str | None:
    return None if value is None else form(value)


# A column is left out where no network has a value in it.
_COLUMNS: tuple[tuple[str, _Cell], ...] = (
    ("latency ms", lambda m: digits(m.latency_ms)),
    ("95 % interval", lambda m: f"{digits(m.low_ms, 1)} - {digits(m.high_ms, 1)}"),
    ("median", lambda m: digits(m.median_ms)),
    ("minimum", lambda m: digits(m.minimum_ms)),
    ("wall median", lambda m: digits(m.wall_quartiles_ms[1])),
    ("clean", lambda m: f"{m.clean_share:.0%}"),
    ("probe", lambda m: _optional(m.probe_factor, lambda factor: f"x{factor:.2f}")),
    ("file MB", lambda m: digits(m.size_bytes / 1e6)),
    ("memory MB", lambda m: _optional(m.peak_memory_mb, digits)),
    ("energy mJ", lambda m: _optional(m.energy_mj, digits)),
    ("from torch", lambda m: _optional(m.difference, lambda difference: f"{difference:.1e}")),
)


def measurement_lines(results: Mapping[str, Measurement | TrialFailure], description: Description) -> Iterator[str]:
    """Label -> result as lines of text, fastest first, failures last."""
    done = {label: result for label, result in results.items() if isinstance(result, Measurement)}
    done = dict(sorted(done.items(), key=lambda entry: entry[1].latency_ms))
    failed = {label: result for label, result in results.items() if isinstance(result, TrialFailure)}
    width = max(map(len, results))
    if done:
        yield from _table(done, width)
    # An engine's own words may come in several lines.
    yield from (f"{label:<{width}}  failed: {' '.join(str(failure).split())}" for label, failure in failed.items())
    if done:
        yield from _explained(done)
    for label, measurement in done.items():
        yield from (f"warning: {label}: {warning}" for warning in measurement.warnings)
    yield ""
    yield from condition_lines(description)


def _table(done: Mapping[str, Measurement], width: int) -> Iterator[str]:
    columns = [(head, [cell(measurement) for measurement in done.values()]) for head, cell in _COLUMNS]
    kept = [(head, [cell or "-" for cell in cells]) for head, cells in columns if any(cells)]
    widths = [max(len(head), *map(len, cells)) for head, cells in kept]
    yield " " * width + _row([head for head, _ in kept], widths)
    for place, label in enumerate(done):
        yield f"{label:<{width}}" + _row([cells[place] for _, cells in kept], widths)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _explained(done: Mapping[str, Measurement]) -> Iterator[str]:
    first = next(iter(done.values()))
    samples = sum(len(measurement.wall_samples_ms) for measurement in done.values())
    yield ""
    yield (
        f"latency: lower quartile of undisturbed samples of {first.statistic}, batch 1; {samples} samples in "
        f"{first.processes} process{'es' * (first.processes > 1)}, networks in turn"
    )
    if len(done) > 1:
        ties = [f"{a} = {b}" for a, b in combinations(done, 2) if tied(_bounds(done[a]), _bounds(done[b]))]
        told = ", ".join(ties) if ties else "none"
        yield f"ties (intervals overlap, or closer than {NOISE_FLOOR:.0%}): {told}"


def _bounds(measurement: Measurement) -> tuple[float, float, float]:
    return measurement.latency_ms, measurement.low_ms, measurement.high_ms


def condition_lines(description: Description) -> Iterator[str]:
    """Device, engine and their state; what the device does not tell is left out."""
    yield f"device    {description.device}"
    yield f"engine    {description.engine}"
    yield f"system    {', '.join(filter(None, (description.os, _told(description.memory_mb, 'MB of memory'))))}"
    state = {
        "governor": description.governor,
        "load": None if description.load_average is None else f"{description.load_average:.1f}",
        "temperature": _told(description.temperature_c, "C"),
        "clock": _told(description.clock_mhz, "MHz"),
        "power": description.power,
    }
    core = "no fixed core" if description.core is None else f"core {description.core} of {description.cores}"
    realtime = "real-time priority" if description.realtime else "no real-time priority"
    told = [f"{name} {value}" for name, value in state.items() if value is not None]
    yield f"state     {', '.join([core, realtime, *told])}, {description.time}"


def _told(value: float | None, unit: str) -> str | None:
    return None if value is None else f"{value:.0f} {unit}"
