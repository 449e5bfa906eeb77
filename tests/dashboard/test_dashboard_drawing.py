"""Drawings say what was measured and what the network is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from made_study import DEVICE

from nasfit.architecture import Architecture, count, published
from nasfit.dashboard import Watch, health
from nasfit.dashboard.curve_charts import MOST_CURVES, trials_curves
from nasfit.dashboard.device_chart import device_chart
from nasfit.dashboard.health import Reading
from nasfit.dashboard.moment import MOST_SHOWN, shown_of
from nasfit.dashboard.sequence_chart import sequence_chart
from nasfit.dashboard.strip import parts_of, strip
from nasfit.devices import Sample
from nasfit.latency import Measurement
from nasfit.report import Story
from nasfit.search import Settings
from nasfit.study import Trial, TrialState

NETWORK = published("mnasnet-a1")
KINDS = ("disturbed", "clean")


def measurement(*cpu_ms: float) -> Measurement:
    return Measurement.of([Sample(1.001 * one, one, 4, 0.1) for one in cpu_ms], DEVICE, 0.4)


def reading(clean: float, *warnings: str, load: float = 0.1) -> Reading:
    conditions = {**DEVICE.__dict__, "load_average": load}
    return Reading("2026-01-01T00:00:00Z", clean, 1.01, 0.1, warnings, conditions)


def states(found: list[health.Finding]) -> dict[str, str]:
    return {one.what: one.state for one in found}


def test_a_strip_has_every_part_and_a_bar_for_every_layer() -> None:
    parts, drawn = list(parts_of(NETWORK)), str(strip(NETWORK, "one"))
    assert [part.name for part in parts] == ["stem", *(f"block {i}" for i in range(1, 8)), "head"]
    assert len(re.findall(r'class="layer ', drawn)) == 2 + sum(block.layers for block in NETWORK.blocks)
    assert parts[1].words == ("sepconv", "3×3, 16") and parts[3].words == ("mbconv3", "5×5, 40 SE")
    assert f"of {count(NETWORK).madds / 1e6:.0f}" in parts[1].told and 'id="one-title"' in drawn


def test_samples_in_order_of_time_are_told_apart() -> None:
    samples = [Sample(1.3 * ms if place == 3 else ms, ms, 4, 0.1) for place, ms in enumerate([1.0, 1.1] * 8)]
    chart = str(sequence_chart(Measurement.of(samples, DEVICE, 0.4)))
    (disturbed,), (clean,) = (
        re.findall(rf'class="sample {kind}" d="([^"]+)"', chart) for kind in ("disturbed", "clean")
    )
    assert (disturbed.count("h0"), clean.count("h0")) == (1, 15)
    lefts = [float(x) for x in re.findall(r"M([\d.]+) ", clean)]
    assert lefts == sorted(lefts) and 'class="band"' in chart


def test_curves_of_the_front_stand_out_and_old_ones_are_left_out() -> None:
    curve = ((100, 2.0), (200, 1.0))
    trials = [
        Trial(number, (number,), str(NETWORK), 0, state=TrialState.COMPLETE, curve=curve)
        for number in range(MOST_CURVES + 9)
    ]
    chart = str(trials_curves(trials, trials[:2], trials[0]))
    assert chart.count("line faint") == MOST_CURVES
    assert (chart.count("line own"), chart.count("line found")) == (1, 1)
    assert trials_curves([replace(trials[0], curve=())], [], None) is None


def test_a_quiet_device_is_ok_and_a_busy_one_is_not() -> None:
    quiet = health.found([reading(0.9), reading(1.0)])
    assert set(states(quiet).values()) == {"ok"} and health.doubts([reading(0.9)]) is None
    told = "contention: only 30% of the samples ran undisturbed; quiet the machine, measure again"
    busy = [reading(0.3, told, load=3.0), reading(0.3, told), reading(0.4, load=3.0)]
    found = states(health.found(busy))
    assert (found["contention"], found["load"], found["cores"]) == ("warning", "warning", "ok")
    doubts = health.doubts(busy)
    assert doubts is not None and doubts.rows[0][:2] == ("contention", "2")
    assert str(device_chart(busy)).count("h0") == 6
    assert health.found([]) == [] and device_chart([]) is None


def test_a_reading_of_another_version_is_left_out() -> None:
    assert Reading.of(measurement(1.0, 1.1).to_dict()) is not None
    assert Reading.of({"latency_ms": 1.0}) is None


def test_of_a_long_front_some_are_shown_and_the_leader_always() -> None:
    one = Trial(0, (0,), str(NETWORK), 0, state=TrialState.COMPLETE, reward=0.1)
    trials = tuple(replace(one, number=n, accuracy=n / 100, latency_ms=1.0 + n / 100) for n in range(1, 60))
    for target_ms in (1.05, 1.33, 9.0):
        story = Story("x", Settings("photos", target_ms), trials=trials)
        shown = shown_of(story)
        assert len(shown) == MOST_SHOWN and story.leader in shown
        assert [t.latency_ms for t in shown] == sorted(t.latency_ms or 0 for t in shown)


def test_architectures_of_a_study_are_drawn_as_they_are(finished: Path) -> None:
    moment = Watch(finished).look().moment
    for trial in moment.shown:
        network = Architecture.parse(trial.architecture)
        assert [part.layers for part in parts_of(network)] == [1, *(block.layers for block in network.blocks), 1]
