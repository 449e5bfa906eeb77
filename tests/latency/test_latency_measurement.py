"""The value of a measurement: headline, interval, doubts, text form."""

from __future__ import annotations

import dataclasses
import json
import math
import random

import pytest

from nasfit.devices import Description, Sample
from nasfit.errors import UsageError
from nasfit.latency import Measurement, median_interval, quartiles, tied

HERE = Description("bench: X", "engine 1", "X", 1, 1, 0, True, "os", 1e-6, None, None, "2026-01-01T00:00:00Z")


def measured(*cpu_ms: float, wall_factor: float = 1.0, threads: int = 1) -> Measurement:
    samples = [Sample(value * wall_factor, value, 2) for value in cpu_ms]
    return Measurement.of(samples, dataclasses.replace(HERE, threads=threads), seconds=0.5)


def spread(middle: float, share: float, count: int = 21) -> list[float]:
    """Values evenly within +- share of the middle, in an order that does not drift."""
    values = [middle * (1 + share * (2 * index / (count - 1) - 1)) for index in range(count)]
    random.Random(0).shuffle(values)
    return values


def test_quartiles_interpolate() -> None:
    assert quartiles([4.0, 1.0, 3.0, 2.0]) == (1.75, 2.5, 3.25)
    assert quartiles([7.0]) == (7.0, 7.0, 7.0)


@pytest.mark.parametrize(("count", "k"), [(5, 1), (6, 1), (9, 2), (10, 2), (20, 6), (30, 10)])
def test_interval_takes_the_tabled_order_statistics(count: int, k: int) -> None:
    values = [float(index) for index in range(1, count + 1)]
    assert median_interval(values) == (k, count + 1 - k)


def test_interval_covers_the_median_as_often_as_it_says() -> None:
    rng = random.Random(0)
    true_median = math.log(2)
    hits = 0
    for _ in range(2000):
        low, high = median_interval([rng.expovariate(1.0) for _ in range(15)])
        hits += low <= true_median <= high
    assert 0.95 <= hits / 2000 <= 0.985


def test_headline_is_cpu_time_on_one_thread_and_wall_time_on_more() -> None:
    one, two = measured(*spread(4.0, 0.01), wall_factor=2.0), measured(*spread(4.0, 0.01), wall_factor=2.0, threads=2)
    assert (one.statistic, one.latency_ms) == ("cpu median", pytest.approx(4.0))
    assert (two.statistic, two.latency_ms) == ("wall median", pytest.approx(8.0))
    assert one.low_ms < one.latency_ms < one.high_ms
    assert one.minimum_ms == min(one.cpu_samples_ms)
    assert one.wall_quartiles_ms[1] == pytest.approx(8.0)


def test_quiet_and_steady_raises_no_doubt() -> None:
    assert measured(*spread(4.0, 0.01)).warnings == ()
    assert measured(*spread(4.0, 0.01)).clean_share == 1.0


@pytest.mark.parametrize(
    ("measurement", "doubt"),
    [
        (measured(*spread(4.0, 0.01), wall_factor=1.2), "contention"),
        (measured(*spread(4.0, 0.2)), "wide interval"),
        (measured(*spread(4.0, 0.01), *spread(4.4, 0.01)), "drift: second half +10.0%"),
    ],
)
def test_each_doubt_is_said(measurement: Measurement, doubt: str) -> None:
    assert any(text.startswith(doubt) for text in measurement.warnings)


def test_survives_json() -> None:
    before = measured(*spread(4.0, 0.1))
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
    base = measured(*spread(4.0, 0.001))
    assert tied(base, measured(*spread(4.1, 0.001)))
    assert not tied(base, measured(*spread(4.2, 0.001)))
    assert not tied(measured(*spread(4.2, 0.001)), base)
    assert tied(measured(*spread(4.0, 0.3)), measured(*spread(4.3, 0.3)))
