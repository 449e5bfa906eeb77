"""What every benchmark says of itself in its JSON: what it was asked for, where and when it ran."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nasfit.search import versions


def document(options: argparse.Namespace, **figures: Any) -> str:
    """The figures as JSON, after options, machine and time."""
    told = {name: _plain(value) for name, value in vars(options).items() if value is not None}
    time = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"options": told, "machine": machine(), "time": time, **figures}, indent=1)


def machine() -> dict[str, Any]:
    """Platform, processor, cores, versions."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return {"platform": platform.platform(), "processor": processor(), "cores": cores, **versions()}


def processor() -> str:
    """The name of this machine's."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool) else str(value)
