from __future__ import annotations

import math
from typing import Any

import pytest

from nasfit.architecture import Block, count
from nasfit.errors import UnknownNameError, UsageError
from nasfit.search import Settings, extreme
from nasfit.space import BlockChoices, SearchSpace, named_space


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target_ms": 0.0}, "--target-ms is 0.0"),
        ({"target_ms": -1.0}, "--target-ms is -1.0"),
        ({"target_ms": math.nan}, "--target-ms is nan"),
        ({"target_ms": math.inf}, "--target-ms is inf"),
        ({"budget_s": 0.0}, "--budget is"),
        ({"width": -0.5}, "--width is"),
        ({"proxy_images": 0}, "--proxy-images is 0"),
        ({"workers": 0}, "--workers is 0"),
        ({"max_trials": 0}, "--max-trials is 0"),
        ({"resolution": 8}, "--resolution is 8"),
        ({"prune": 0.5}, "--prune is 0.5"),
        ({"prune": math.nan}, "--prune is nan"),
        ({"max_mb": 0.0}, "--max-mb is 0"),
        ({"max_size": -1.0}, "--max-size is -1"),
        ({"seed": -1}, "--seed is -1"),
        ({"alpha": 0.5}, "alpha is 0.5"),
        ({"reward": "abs", "alpha": -0.1}, "has no alpha"),
        ({"front_from_ms": 1.0}, "from 1.0 to 1.0 ms; give two latencies"),
        ({"front_from_ms": -1.0}, "give two latencies above 0"),
        ({"front_from_ms": math.nan}, "give two latencies above 0"),
        ({"front_from_ms": 0.5, "reward": "hard"}, "leave out --reward"),
        ({"front_from_ms": 0.5, "beta": -0.1}, "leave out --reward, --alpha, --beta"),
        ({"front_from_ms": 0.5, "calibrate_exponent": True}, "and --calibrate-exponent"),
        ({"front_from_ms": 0.5, "strategy": "evolution"}, "cannot serve --front; take one of guided, nsga2, random"),
        ({"calibrate_exponent": True, "alpha": -0.1}, "leave out --alpha, --beta and --reward"),
        ({"calibrate_exponent": True, "reward": "abs"}, "leave out --alpha, --beta and --reward"),
        ({"warm_start": "runs/before", "strategy": "nsga2"}, "search with --strategy guided"),
        ({"evaluator": "pool", "stopping": "curve"}, "--evaluator pool trains many together: leave one of the two out"),
        ({"evaluator": "supernet", "stopping": "curve"}, "--stopping curve ends trainings of single networks"),
    ],
)
def test_values_out_of_range_name_the_option(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Settings(**{"data": "d", "target_ms": 1.0, **changes})


@pytest.mark.parametrize(
    ("changes", "near"),
    [
        ({"space": "mnasnt"}, "mnasnet"),
        ({"strategy": "evolutoin"}, "evolution"),
        ({"reward": "sotf"}, "soft"),
        ({"strides": "erly"}, "early"),
        ({"stopping": "curv"}, "curve"),
        ({"evaluator": "inherits"}, "inherit"),
        ({"final_start": "scrtch"}, "scratch"),
        ({"engine": "litrt"}, "litert"),
        ({"precision": "int88"}, "int8"),
    ],
)
def test_unknown_names_suggest_the_nearest(changes: dict[str, Any], near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean '{near}'"):
        Settings(**{"data": "d", "target_ms": 1.0, **changes})


def test_the_limits_of_the_ranges_are_allowed() -> None:
    settings = Settings("d", 1e-9, prune=0, seed=0, alpha=0.0, workers=1, max_trials=1)
    assert Settings(**settings.as_json()) == settings


@pytest.mark.parametrize(
    "changes",
    [
        {"front_from_ms": 0.5},
        {"front_from_ms": 0.5, "strategy": "nsga2"},
        {"calibrate_exponent": True, "strategy": "ppo"},
        {"warm_start": "a study that is read when the search begins", "stopping": "curve"},
    ],
)
def test_what_goes_together_is_allowed(changes: dict[str, Any]) -> None:
    settings = Settings("d", 1.0, **changes)
    assert Settings(**settings.as_json()) == settings


def test_extreme_finds_the_ends_of_a_space_small_enough_to_try_all() -> None:
    few: dict[str, Any] = {"ops": ("sepconv", "mbconv6"), "skips": ("identity", "none")}
    searched = BlockChoices(filters=(16, 24), layers=(2, 1), stride=2, kernels=(5, 3), **few)
    space = SearchSpace("tiny", (Block("sepconv", 3, 1, 0.0, "none", 8, 1), searched))
    every = [
        (a, b, c, d, e, f)
        for a in range(2)
        for b in range(2)
        for c in range(2)
        for d in range(2)
        for e in range(2)
        for f in range(2)
    ]
    madds = [count(space.decode(point)).madds for point in every]
    assert count(space.decode(extreme(space, min))).madds == min(madds)
    assert count(space.decode(extreme(space, max))).madds == max(madds)


def test_extreme_of_a_shipped_space_spans_the_middle() -> None:
    space = named_space("mnasnet")
    middle = count(space.decode([options // 2 for options in space.option_counts])).madds
    low, high = (count(space.decode(extreme(space, which))).madds for which in (min, max))
    assert low < middle / 2
    assert high > middle * 2
