"""Latency measured on a device, with its spread, its conditions and its doubts.

`measure` times networks in turn until the interval of each median is narrow; a `Measurement` keeps the raw samples and
says in words what is wrong with them. On a one-thread CPU engine the headline is the median of thread-CPU time, which
stays put when the machine is busy and the clock's does not.
"""

from nasfit.latency.caching import measurement_key
from nasfit.latency.measurement import NOISE_FLOOR, Measurement, tied
from nasfit.latency.measuring import Timing, measure
from nasfit.latency.order_statistics import median_interval, quartiles

__all__ = [
    "NOISE_FLOOR",
    "Measurement",
    "Timing",
    "measure",
    "measurement_key",
    "median_interval",
    "quartiles",
    "tied",
]
