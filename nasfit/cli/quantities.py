"""Values as people write them on a command line."""

from __future__ import annotations

import re

from nasfit.errors import UsageError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """`90s`, `20m`, `2h`, `1.5d` or several in a row (`1h30m`) as seconds. Raises UsageError."""
    compact = text.strip().lower().replace(" ", "")
    if not re.fullmatch(r"(\d+(\.\d+)?[smhd])+", compact):
        raise UsageError(f"{text!r} is no duration; write it as 90s, 20m, 2h or 1h30m")
    total = sum(float(number) * _SECONDS[unit] for number, _, unit in re.findall(r"(\d+(\.\d+)?)([smhd])", compact))
    if total <= 0:
        raise UsageError(f"{text!r} is no time at all; give a duration above 0, such as 10m")
    return total


def megabytes(text: str) -> float:
    """`5MB`, `800kB` or a plain number of MB as MB (1e6 bytes). Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(kb|mb|gb)?", text.strip().lower().replace(" ", ""))
    if not found or float(found[1]) <= 0:
        raise UsageError(f"{text!r} is no size; write it as 5MB or 800kB")
    return float(found[1]) * {"kb": 1e-3, "mb": 1.0, "gb": 1e3}[found[2] or "mb"]


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
