"""A search asked for in the words of the command line: limits, durations and sizes as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from nasfit.errors import UnknownNameError, UsageError
from nasfit.quantities import megabytes, seconds
from nasfit.search.settings import Settings

# Options that stand for settings of another name or unit.
_READ = ("target_ms", "front", "budget", "max_size")
_OF_OTHERS = ("front_from_ms", "budget_s", "is_new")


def settings_of(options: Mapping[str, Any]) -> Settings:
    """The settings that options ask for, those left out at their defaults.

    options: by the names of `Settings`, but for `budget` (`20m`, or seconds), `front` (two latencies, ms) in place of
    `target_ms`, and `max_size` (`2MB`, or MB). Raises UnknownNameError for a name that is none, and as `Settings` does.
    """
    names = {field.name for field in fields(Settings)} - set(_OF_OTHERS)
    for name in options:
        if name not in names and name not in _READ:
            raise UnknownNameError("option of a search", name, {*names, *_READ})
    front_from_ms, limit_ms = limits(options.get("target_ms"), options.get("front"))
    budget, max_size = options.get("budget", "10m"), options.get("max_size")
    read: dict[str, Any] = {
        "target_ms": limit_ms,
        "front_from_ms": front_from_ms,
        "budget_s": seconds(budget) if isinstance(budget, str) else float(budget),
        "max_size": megabytes(max_size) if isinstance(max_size, str) else max_size,
    }
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in options.items() if name in names}
    return Settings(**{**plain, **read})


def limits(target_ms: float | None, front: tuple[float, float] | None) -> tuple[float | None, float]:
    """Where a front begins (None: a single limit) and the upper limit, ms. Raises UsageError unless one is given."""
    if (target_ms is None) == (front is None):
        raise UsageError(
            "give either --target-ms T, for the most accurate network within T ms, or --front LOW HIGH, for a network "
            "at every limit between two"
        )
    if front is not None:
        return front
    assert target_ms is not None, "one of the two is given"
    return None, target_ms


def default_study(settings: Settings) -> Path:
    """runs/DATA-TARGETms-seedN: the same for the same question."""
    low = "" if settings.front_from_ms is None else f"{settings.front_from_ms:g}-"
    return Path("runs") / f"{file_name(settings.data)}-{low}{settings.target_ms:g}ms-seed{settings.seed}"


def file_name(data: str) -> str:
    """What the pictures are called in the name of a study."""
    return re.sub(r"[^A-Za-z0-9]+", "-", Path(data).name).strip("-").lower() or "pictures"
