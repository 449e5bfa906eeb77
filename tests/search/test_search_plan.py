"""Which width and strides the calibration takes; latencies and speeds are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nasfit.search import Settings
from nasfit.search.calibrating import RUNGS, _wanted_images, calibrate
from nasfit.search.plan import LEAST_IMAGES, MOST_EPOCHS, PROXY_IMAGES
from nasfit.space import named_space

# Of each rung, as a two-core server measured them: smallest, middling and largest network, ms.
LATENCIES = ((0.05, 0.2, 0.6), (0.1, 0.4, 1.1), (0.12, 0.6, 1.9), (0.125, 0.98, 3.5), (0.15, 1.7, 6.0))


@pytest.fixture
def chosen(monkeypatch, data, tmp_path, pool):
    """chosen(target_ms, **settings): width and strides of the plan."""
    known = dict(zip(RUNGS, LATENCIES, strict=True))

    def latencies(rung: Any, _: object) -> dict[str, float]:
        return dict(zip(("smallest_ms", "middle_ms", "largest_ms"), known[rung.width, rung.strides], strict=True))

    def choose(target_ms: float, speed: float = 1e6, **more: Any) -> tuple[float, str]:
        monkeypatch.setattr("nasfit.search.calibrating._Rung.latencies", latencies)
        monkeypatch.setattr("nasfit.search.calibrating.slowest_speed", lambda job, _: speed)
        settings = Settings("d", target_ms, train_precision="fp32", **more)
        plan = calibrate(settings, named_space("mnasnet-lean"), data, Path(tmp_path), None, pool)  # type: ignore[arg-type]
        return plan.width, plan.strides

    return choose


@pytest.mark.parametrize(
    ("target_ms", "rung"),
    [(0.06, RUNGS[0]), (0.19, RUNGS[0]), (0.25, RUNGS[1]), (0.3, RUNGS[2]), (0.4, RUNGS[3]), (5.0, RUNGS[4])],
)
def test_the_widest_space_that_leaves_enough_below_the_target(chosen, target_ms, rung):
    assert chosen(target_ms) == rung


def test_a_space_that_trains_too_slowly_is_not_taken(chosen):
    assert chosen(5.0, speed=1.0) == RUNGS[0]


def test_what_the_settings_fix_is_taken(chosen):
    assert chosen(0.25, width=1.0, strides="late") == (1.0, "late")


@pytest.mark.parametrize(
    ("pictures", "wanted"),
    [(20, 20 * MOST_EPOCHS), (217, LEAST_IMAGES), (8_500, 8_500), (1_000_000, PROXY_IMAGES)],
)
def test_few_pictures_are_seen_several_times(pictures, wanted):
    assert _wanted_images(pictures) == wanted
