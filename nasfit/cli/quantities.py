"""Quantities as the command line reads and writes them."""

from __future__ import annotations

from nasfit.quantities import megabytes, seconds

__all__ = ["duration", "megabytes", "points", "seconds"]


def duration(seconds_: float) -> str:
    """Seconds as `45s`, `3m 20s` or `2h 05m`."""
    whole = max(0, round(seconds_))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def points(accuracy: float | None) -> str:
    """An accuracy of 0..1 in percent."""
    return "-" if accuracy is None else f"{100 * accuracy:.2f} %"
