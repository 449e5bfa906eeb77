"""How many cores this process may use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> list[int]:
    """Numbers of the cores this process may run on; where the system does not tell, all of them."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def available_cores(quota: Path = _QUOTA) -> int:
    """Cores worth a worker each, 1 or more: those the process may run on, less where a container's share is smaller.

    quota: the cgroup (version 2) file with the share, `max 100000` or `200000 100000` for two cores.
    """
    cores = len(usable_cores())
    try:
        share, period = quota.read_text().split()
        return max(1, min(cores, int(share) // int(period)))
    except (OSError, ValueError):
        # No such file, or no limit in it.
        return cores
