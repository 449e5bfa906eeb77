"""Times of parts follow from those of the cuts: they add up, and their intervals are those of a difference."""

from __future__ import annotations

import json

import pytest

from nasfit.errors import UsageError
from nasfit.latency.part_times import PartTimes

CUTS = [(1.0, 0.97, 1.04), (3.0, 2.96, 3.03), (2.9, 2.89, 2.92)]


def test_parts_are_differences_and_add_up_to_the_whole() -> None:
    times = PartTimes.of("net", ["stem", "block 1", "head"], CUTS)
    assert [part.ms for part in times.parts] == pytest.approx([1.0, 2.0, -0.1])
    assert sum(part.ms for part in times.parts) == pytest.approx(times.whole_ms)
    assert sum(times.share(part) for part in times.parts) == pytest.approx(1)


def test_the_first_part_has_its_cuts_interval_and_a_difference_that_of_both() -> None:
    stem, block, _ = PartTimes.of("net", ["stem", "block 1", "head"], CUTS).parts
    assert (stem.low_ms, stem.high_ms) == pytest.approx((0.97, 1.04))
    # Lowest where the cut before was slow (0.04) and this one fast (0.04).
    assert block.low_ms == pytest.approx(2 - (0.04**2 + 0.04**2) ** 0.5)
    assert block.high_ms == pytest.approx(2 + (0.03**2 + 0.03**2) ** 0.5)


def test_times_survive_json_and_other_fields_are_an_error() -> None:
    times = PartTimes.of("net", ["stem", "head"], CUTS[:2])
    stored = json.loads(json.dumps(times.as_json()))
    assert PartTimes.from_json(stored) == times
    for wrong in ({**stored, "more": 1}, {"network": "net"}, {**stored, "parts": [{"name": "stem"}]}):
        with pytest.raises(UsageError, match="no times of parts"):
            PartTimes.from_json(wrong)
