"""The picture of a network: every part once, bars in proportion, noise below nothing without a bar."""

from __future__ import annotations

import re

import pytest

from nasfit.architecture import Architecture, count, published
from nasfit.latency.part_times import PartTimes
from nasfit.report.architecture_drawing import architecture_drawing, drawn_parts

A1 = published("mnasnet-a1")
NAMES = ["stem", *(f"block {number}" for number in range(1, 8)), "head"]


def bars(drawn: str, kind: str) -> list[float]:
    return [float(width) for width in re.findall(rf'class="{kind}" x="[\d.]+" y="[\d.]+" width="([\d.]+)"', drawn)]


def test_parts_are_all_there_and_their_multiply_adds_add_up() -> None:
    parts = drawn_parts(A1)
    assert [part.name for part in parts] == NAMES
    assert sum(part.madds for part in parts) == count(A1).madds
    assert sum(part.madds_share for part in parts) == pytest.approx(1)
    assert parts[3].words == ("mbconv3 5×5", "stride 2, SE 0.25, identity skip")
    assert (parts[3].layers, parts[3].map) == (3, "28×28 px, 40 filters")
    assert parts[0].map == "112×112 px, 32 filters" and parts[-1].map == "1,000 logits"


def test_hidden_layers_and_activations_of_other_families_are_told() -> None:
    parts = drawn_parts(published("mobilenet-v3-small"))
    assert "hidden 1024" in parts[-1].words[1]
    assert any("SE 0.25 hard" in part.words[1] for part in parts)
    assert sum(part.madds for part in parts) == count(published("mobilenet-v3-small")).madds


def test_bars_are_in_proportion_to_time_and_to_multiply_adds() -> None:
    ends = [1.0, 2.0, 4.0, 6.0, 7.0, 8.0, 9.0, 9.5, 10.0]
    times = PartTimes.of(str(A1), NAMES, [(end, end, end) for end in ends])
    drawn = architecture_drawing(A1, times)
    widths = bars(drawn, "bar time")
    assert len(widths) == 9 and widths[2] == pytest.approx(2 * widths[0], rel=0.01)
    madds = bars(drawn, "bar")
    share = [part.madds_share for part in drawn_parts(A1)]
    assert madds[3] / madds[0] == pytest.approx(share[3] / share[0], rel=0.05)
    # Both kinds of bar have one scale.
    assert widths[0] / madds[0] == pytest.approx(0.1 / share[0], rel=0.05)
    assert drawn.count('class="box"') == 9 and "20 %, 2.00 ms" in drawn


def test_a_part_that_noise_made_faster_than_nothing_has_no_bar() -> None:
    small = Architecture.parse("in3@32 stem8s1 | conv k3 s1 se0 none f8 n1 | head16 out10 relu")
    times = PartTimes.of(str(small), ["stem", "block 1", "head"], [(1.0, 0.9, 1.1), (0.99, 0.9, 1.1), (2.0, 1.9, 2.1)])
    drawn = architecture_drawing(small, times)
    assert bars(drawn, "bar time")[1] == 0 and "too little to tell" in drawn
    assert "NaN" not in drawn and "-" not in "".join(re.findall(r'width="([^"]+)"', drawn))


def test_without_times_only_multiply_adds_are_drawn() -> None:
    drawn = architecture_drawing(A1, name="trial-7")
    assert "bar time" not in drawn and "whisker" not in drawn
    assert 'aria-labelledby="trial-7-title"' in drawn
