"""Which widths of the published networks take part in the finale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from nasfit.architecture import Architecture, count, published
from nasfit.devices import Sample
from nasfit.errors import TrialFailure
from nasfit.latency import Measurement
from nasfit.search import baselines
from nasfit.search.baselines import FAMILIES, Baseline, about
from nasfit.search.measuring import Instrument, Measured
from nasfit.search.setup import Setup

Opener = Callable[..., Setup]


@pytest.fixture(autouse=True)
def a_ms_a_million(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device on which a million multiply-adds take a millisecond."""

    def told(networks: Sequence[Architecture], instrument: Instrument, **_: Any) -> dict[str, Measured]:
        found: dict[str, Measured] = {}
        for network in networks:
            latency_ms = count(network).madds / 1e6
            sample = Sample(latency_ms, latency_ms, 1)
            found[str(network)] = Measurement.of([sample] * 11, instrument.description, 1.0)
        return found

    monkeypatch.setattr(baselines, "measured", told)


def ms_of(setup: Setup, family: str, width: float, strides: str | None = None) -> float:
    return count(setup.fitted(published(family, width), strides)).madds / 1e6


def names(kept: Sequence[Baseline]) -> list[str]:
    return [one.name for one in kept]


def widths(*latencies_ms: float) -> dict[Baseline, float]:
    network = published("mobilenet-v2")
    return {Baseline(f"{at}", "line", replace(network, classes=at + 2)): ms for at, ms in enumerate(latencies_ms)}


@pytest.mark.parametrize(
    ("limits_ms", "slower", "kept"),
    [
        ([1.0], 0, ["1"]),
        ([1.0], 1, ["1", "2"]),
        ([1.0], 9, ["1", "2", "3"]),
        ([0.1], 9, []),
        ([1.0, 0.5, 2.9], 0, ["0", "1", "3"]),
        ([0.2], 2, ["0"]),
    ],
)
def test_about_a_limit(limits_ms: list[float], slower: int, kept: list[str]) -> None:
    assert names(about(widths(0.5, 0.9, 1.1, 2.9, 3.1), limits_ms, slower)) == kept


def test_each_family_brackets_the_winner(opened: Opener) -> None:
    setup = opened()
    winner_ms = ms_of(setup, "mobilenet-v2", 0.35)
    kept = names(baselines.baselines(setup, winner_ms))
    # The very same latency is not surely as fast, and the next two are slower by less than three times.
    assert kept[:3] == ["mobilenet-v2 x0.25", "mobilenet-v2 x0.35", "mobilenet-v2 x0.5"]
    v3_ms = [ms_of(setup, "mobilenet-v3-small", float(one.removeprefix("mobilenet-v3-small x"))) for one in kept[3:]]
    assert len(v3_ms) == 3
    assert v3_ms[0] <= 0.95 * winner_ms < v3_ms[1] < v3_ms[2] < 3 * winner_ms


def test_a_family_that_is_slower_throughout_has_its_fastest_width_there(opened: Opener) -> None:
    setup = opened()
    assert names(baselines.baselines(setup, 1e-3)) == ["mobilenet-v2 x0.25", "mobilenet-v3-small x0.35"]


def test_beside_late_halvings_the_widest_early_one_that_is_as_fast(opened: Opener) -> None:
    setup = opened()
    setup = replace(setup, plan=replace(setup.plan, strides="late"))
    winner_ms = ms_of(setup, "mobilenet-v2", 0.5, "early") / 1.04
    early = [one for one in baselines.baselines(setup, winner_ms) if one.line.endswith("early")]
    assert "mobilenet-v2 x0.5 early" in names(early)
    assert len(early) <= len(FAMILIES)
    assert all(count(one.network).madds / 1e6 <= 1.05 * winner_ms for one in early)


def test_beside_a_front_a_width_for_each_limit(opened: Opener) -> None:
    setup = opened()
    limits_ms = [1.001 * ms_of(setup, "mobilenet-v2", width) for width in (1.0, 0.5, 0.25)]
    kept = names(baselines.baselines_within(setup, limits_ms))
    assert kept[:3] == ["mobilenet-v2 x0.25", "mobilenet-v2 x0.5", "mobilenet-v2 x1"]
    assert all(name.startswith("mobilenet-v3-small") for name in kept[3:])


def test_what_cannot_be_measured_is_left_out(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(networks: Sequence[Architecture], *_: Any, **__: Any) -> dict[str, Measured]:
        return {str(network): TrialFailure("no engine takes it") for network in networks}

    monkeypatch.setattr(baselines, "measured", failing)
    assert baselines.baselines(opened(), 1.0) == []
