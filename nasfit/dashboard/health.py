"""How the device is, by what the study's measurements say of it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nasfit.devices import Description, State
from nasfit.latency.doubts import CLEAN_SHARE_WANTED, PROBE_FACTOR_WANTED
from nasfit.latency.health import OK, WARNING, Finding, findings
from nasfit.report.tables import Table
from nasfit.report.wording import counted, share


@dataclass(frozen=True)
class Reading:
    """What one measurement tells of the device; fields as in `Measurement`. best_probe_ms: None without a probe."""

    time: str
    clean_share: float
    probe_factor: float | None
    best_probe_ms: float | None
    warnings: tuple[str, ...]
    conditions: Mapping[str, Any]

    @classmethod
    def of(cls, measurement: Mapping[str, Any]) -> Reading | None:
        """From a stored measurement; None for one of another version."""
        try:
            return cls(
                time=str(measurement["time"]),
                clean_share=float(measurement["clean_share"]),
                probe_factor=measurement["probe_factor"],
                best_probe_ms=min(measurement["probe_samples_ms"], default=None),
                warnings=tuple(measurement["warnings"]),
                conditions=dict(measurement["conditions"]),
            )
        except (KeyError, TypeError, ValueError):
            return None


def found(readings: Sequence[Reading]) -> list[Finding]:
    """The newest conditions judged as `nasfit doctor` judges them, then what all readings say together."""
    if not readings:
        return []
    conditions = readings[-1].conditions
    try:
        described = Description(**conditions)
    except TypeError:
        told = []
    else:
        warmth, clock = described.temperature_c, described.clock_mhz
        told = findings(described, State(described.load_average, warmth, clock, None))
    return [
        Finding("device", OK, str(conditions.get("device", "not told"))),
        *told,
        _quiet(readings),
        *_probe(readings),
    ]


def doubts(readings: Sequence[Reading]) -> Table | None:
    """What was wrong with measurements, by kind, the most frequent first; None where nothing was."""
    kinds = Counter(warning.partition(":")[0] for reading in readings for warning in set(reading.warnings))
    newest = {warning.partition(":")[0]: warning for reading in readings for warning in reading.warnings}
    if not kinds:
        return None
    rows = tuple((kind, f"{number:,}", newest[kind].partition(": ")[2]) for kind, number in kinds.most_common())
    caption = f"Doubts of the last {counted(len(readings), 'measurement')}"
    return Table(caption, ("doubt", "measurements", "the newest"), rows, frozenset((1,)))


def table(findings_: Sequence[Finding]) -> Table:
    """Findings as rows."""
    rows = tuple((one.what, one.state, one.told + (f"; {one.fix}" if one.fix else "")) for one in findings_)
    return Table("By the newest measurement, judged as nasfit doctor does", ("what", "state", "told"), rows)


def _quiet(readings: Sequence[Reading]) -> Finding:
    middle = statistics.median(reading.clean_share for reading in readings)
    poor = sum(reading.clean_share < CLEAN_SHARE_WANTED for reading in readings)
    told = f"{share(middle)} of the samples undisturbed in the median measurement"
    if middle >= CLEAN_SHARE_WANTED:
        return Finding("contention", OK, told)
    fix = f"{poor:,} of {counted(len(readings), 'measurement')} were disturbed in most samples; quiet the device"
    return Finding("contention", WARNING, told, fix)


def _probe(readings: Sequence[Reading]) -> list[Finding]:
    factors = [reading.probe_factor for reading in readings if reading.probe_factor is not None]
    if not factors:
        return []
    middle = statistics.median(factors)
    told = f"×{middle:.2f} of its best in the median measurement"
    if middle <= PROBE_FACTOR_WANTED:
        return [Finding("memory probe", OK, told)]
    return [Finding("memory probe", WARNING, told, "neighbours on the memory are busy by turns; quiet them, or wait")]
