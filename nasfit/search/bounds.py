"""By how much a network breaks what it must keep to be trained: its latency, its file, its memory."""

from __future__ import annotations

from nasfit.latency import Measurement
from nasfit.search.settings import Settings


def excess(latency_ms: float, measurement: Measurement | None, settings: Settings) -> float | None:
    """The largest share by which a bound is exceeded, 0 or below within all; None where there are none.

    A latency above which trials are pruned is a bound as the others are. Of what is not measured only that counts;
    memory that the device does not tell counts as within its bound, as when trials are pruned.
    """
    shares = []
    if settings.prune:
        shares.append(latency_ms / (settings.prune * settings.target_ms) - 1)
    if measurement is not None and settings.max_size is not None:
        shares.append(measurement.size_bytes / 1e6 / settings.max_size - 1)
    if measurement is not None and settings.max_mb is not None and measurement.peak_memory_mb is not None:
        shares.append(measurement.peak_memory_mb / settings.max_mb - 1)
    return max(shares, default=None)
