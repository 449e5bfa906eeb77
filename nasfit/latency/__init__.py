"""Latency measured on a device, with its spread, its conditions and its doubts.

`measure` times networks in turn until the interval of each headline is narrow; a `Measurement` keeps the raw samples
and says in words what is wrong with them. The headline is the lower quartile of undisturbed samples: of thread-CPU time
on a one-thread CPU engine, which stays put when the machine is busy and the clock's time does not.
"""

from nasfit.latency.caching import measurement_key
from nasfit.latency.candidate import Candidate, Check
from nasfit.latency.measurement import NOISE_FLOOR, Measurement, tied
from nasfit.latency.measuring import measure
from nasfit.latency.order_statistics import quantile, quantile_interval, quartiles
from nasfit.latency.sharing import measure_shared
from nasfit.latency.timing import THOROUGH, Timing

__all__ = [
    "NOISE_FLOOR",
    "THOROUGH",
    "Candidate",
    "Check",
    "Measurement",
    "Timing",
    "measure",
    "measure_shared",
    "measurement_key",
    "quantile",
    "quantile_interval",
    "quartiles",
    "tied",
]
