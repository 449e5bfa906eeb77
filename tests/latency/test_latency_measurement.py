"""The value of a measurement: headline, interval, doubts, text form."""

from __future__ import annotations

import json
import math
import random

import pytest
from latency_bench import described

from nasfit.devices import Sample, State
from nasfit.errors import UsageError
from nasfit.latency import Measurement, quantile, quantile_interval, quartiles, tied


def measured(
    *cpu_ms: float,
    wall_factor: float = 1.0,
    threads: int = 1,
    probe_ms: float | None = None,
    states: tuple[State, ...] = (),
) -> Measurement:
    samples = [Sample(value * wall_factor, value, 2, probe_ms) for value in cpu_ms]
    return Measurement.of(samples, described(threads=threads), seconds=0.5, states=states)


def unsteady() -> Measurement:
    """Fewer than half of the samples have a fast probe."""
    samples = [Sample(4.0, 4.0, 1, 0.3 if place % 3 == 0 else 0.4) for place in range(41)]
    return Measurement.of(samples, described(), seconds=0.5)


def spread(middle: float, share: float, count: int = 41) -> list[float]:
    """Values evenly within +- share of the middle, in an order that does not drift."""
    values = [middle * (1 + share * (2 * index / (count - 1) - 1)) for index in range(count)]
    random.Random(0).shuffle(values)
    return values


def state(clock_mhz: float | None = None, temperature_c: float | None = None, throttled: str | None = None) -> State:
    return State(load_average=0.1, temperature_c=temperature_c, clock_mhz=clock_mhz, throttled=throttled)


def test_quartiles_interpolate() -> None:
    assert quartiles([4.0, 1.0, 3.0, 2.0]) == (1.75, 2.5, 3.25)
    assert quartiles([7.0]) == (7.0, 7.0, 7.0)


@pytest.mark.parametrize(
    ("count", "share", "places"), [(10, 0.5, (2, 9)), (20, 0.5, (6, 15)), (11, 0.25, (1, 7)), (5, 0.25, (1, 5))]
)
def test_interval_takes_these_order_statistics(count: int, share: float, places: tuple[int, int]) -> None:
    values = [float(index) for index in range(1, count + 1)]
    assert quantile_interval(values, share) == places


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_interval_covers_the_quantile_as_often_as_it_says(share: float) -> None:
    rng = random.Random(0)
    truth = -math.log(1 - share)
    hits = 0
    for _ in range(2000):
        low, high = quantile_interval([rng.expovariate(1.0) for _ in range(25)], share)
        hits += low <= truth <= high
    assert 0.945 <= hits / 2000 <= 0.985


def test_headline_is_cpu_time_on_one_thread_and_wall_time_on_more() -> None:
    one, two = measured(*spread(4.0, 0.01), wall_factor=2.0), measured(*spread(4.0, 0.01), wall_factor=2.0, threads=2)
    assert (one.statistic, one.latency_ms) == ("thread CPU time", pytest.approx(3.98))
    assert (two.statistic, two.latency_ms) == ("wall time", pytest.approx(7.96))
    assert one.low_ms < one.latency_ms < one.high_ms
    assert one.minimum_ms == min(one.cpu_samples_ms)
    assert one.median_ms == pytest.approx(4.0)
    assert one.wall_quartiles_ms[1] == pytest.approx(8.0)


def test_a_device_without_thread_time_is_told_by_the_clock() -> None:
    samples = [Sample(value, None, 1) for value in spread(4.0, 0.01)]
    told = Measurement.of(samples, described(), seconds=0.5)
    assert (told.statistic, told.cpu_quartiles_ms, told.cpu_samples_ms) == ("wall time", None, ())


def test_disturbed_samples_do_not_count_while_enough_others_do() -> None:
    quiet = [Sample(4.0, 4.0, 1, 0.30) for _ in range(12)]
    slowed = [Sample(3.0, 3.0, 1, 0.40) for _ in range(30)]
    preempted = [Sample(6.0, 3.0, 1, 0.30) for _ in range(30)]
    for disturbed in (slowed, preempted):
        told = Measurement.of(quiet + disturbed, described(), 1.0)
        assert told.latency_ms == 4.0
        assert told.clean_share == pytest.approx(12 / 42)
        fewer = Measurement.of(quiet[:10] + disturbed, described(), 1.0)
        assert fewer.latency_ms == 3.0
    assert len(told.cpu_samples_ms) == 42, "disturbed samples are kept"


def test_quiet_and_steady_raises_no_doubt() -> None:
    quiet = measured(*spread(4.0, 0.01), probe_ms=0.36, states=(state(2000.0, 40.0),) * 2)
    assert quiet.warnings == ()
    assert quiet.clean_share == 1.0
    assert quiet.probe_factor == 1.0


@pytest.mark.parametrize(
    ("measurement", "doubt"),
    [
        (measured(*spread(4.0, 0.01), wall_factor=1.2), "contention: only 0% of the samples"),
        (unsteady(), "memory was 33% slower than at its best"),
        (measured(*spread(4.0, 0.3)), "wide interval"),
        (measured(*spread(4.0, 0.01), *spread(4.4, 0.01)), "drift: second half +10.0%"),
        (measured(*spread(4.0, 0.01), states=(state(throttled="under-voltage"),)), "throttling: under-voltage"),
        (measured(*spread(4.0, 0.01), states=(state(2000.0), state(1800.0))), "clock: between 1800 and 2000 MHz"),
        (measured(*spread(4.0, 0.01), states=(state(None, 40.0), state(None, 55.0))), "heat: from 40 to 55 C"),
    ],
)
def test_each_doubt_is_said(measurement: Measurement, doubt: str) -> None:
    assert any(doubt in text for text in measurement.warnings), measurement.warnings


def test_survives_json() -> None:
    before = measured(*spread(4.0, 0.1), probe_ms=0.3)
    after = Measurement.from_dict(json.loads(json.dumps(before.to_dict())))
    assert after == before


def test_unknown_and_missing_fields_are_errors() -> None:
    values = measured(*spread(4.0, 0.1)).to_dict()
    with pytest.raises(UsageError, match="latency_mss"):
        Measurement.from_dict({**values, "latency_mss": 1})
    del values["low_ms"]
    with pytest.raises(UsageError, match=r"missing.*low_ms"):
        Measurement.from_dict(values)


def test_ties() -> None:
    base = (4.0, 3.99, 4.01)
    assert tied(base, (4.1, 4.09, 4.11))
    assert not tied(base, (4.2, 4.19, 4.21))
    assert not tied((4.2, 4.19, 4.21), base)
    assert tied((4.0, 3.7, 4.3), (4.3, 4.2, 4.6))


def test_quantiles_of_one_value() -> None:
    assert quantile([3.0], 0.1) == 3.0
