"""When a sample counts as disturbed by what else uses the caches and the memory."""

from __future__ import annotations

from collections.abc import Sequence

from nasfit.devices import Sample
from nasfit.latency.order_statistics import quantile

# The fewest samples that give a 95 % interval of a quartile.
LEAST_SAMPLES = 11
# The probe's best: this quantile of those seen.
BEST_SHARE = 0.1
# Three quarters of the probes on a quiet machine lie within this of the best.
SLOWED = 0.25


def best_probe_ms(samples: Sequence[Sample]) -> float | None:
    """What the probe takes at its best beside this network; None for too few samples or a device without one.

    Of this measurement alone: the probe's best also depends on the networks that run before it and on the pauses, so
    that another measurement's says little.
    """
    probes_ms = [sample.probe_ms for sample in samples if sample.probe_ms is not None]
    return quantile(probes_ms, BEST_SHARE) if len(probes_ms) >= LEAST_SAMPLES else None


def undisturbed(samples: Sequence[Sample]) -> list[bool]:
    """For each sample, whether its probe took at most 25 % more than at its best; True where that cannot be told."""
    best_ms = best_probe_ms(samples)
    return [
        best_ms is None or sample.probe_ms is None or sample.probe_ms <= (1 + SLOWED) * best_ms for sample in samples
    ]
