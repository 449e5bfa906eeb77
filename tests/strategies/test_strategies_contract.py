from __future__ import annotations

import math
import subprocess
import sys
from functools import partial

import pytest

from nasfit.errors import UnknownNameError, UsageError
from nasfit.objective import Front, Reward
from nasfit.strategies import FRONT_STRATEGIES, STRATEGIES, Outcome, RandomSearch, check_strategy, make_strategy

COUNTS = (4, 2, 2, 3, 3, 3)


# `gp` takes minutes: test_strategies_optuna.py.
@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "gp"])
def test_every_strategy_keeps_the_contract(name):
    if name == "tpe":
        pytest.importorskip("optuna")
    check_strategy(partial(make_strategy, name, goal=Reward("hard", target_ms=3.0)))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "guided")) for name in FRONT_STRATEGIES]
)
def test_those_that_serve_a_front_keep_the_contract_with_one(name):
    check_strategy(partial(make_strategy, name, goal=Front(1.5, 4.0)))


class Forgetful(RandomSearch):
    """Draws from a generator that lives on with told outcomes' calls rather than outcomes."""

    calls = 0

    def ask(self, n):
        return [
            tuple((t + self.calls) % o for t, o in zip(p, self._draws.option_counts, strict=True))
            for p in super().ask(n)
        ]

    def tell(self, outcomes):
        super().tell(outcomes)
        self.calls += 1


class OutOfRange(RandomSearch):
    def ask(self, n):
        return [tuple(self._draws.option_counts) for _ in super().ask(n)]


class Short(RandomSearch):
    def ask(self, n):
        return super().ask(n)[:5]


class Unseeded(RandomSearch):
    made = 0

    def __init__(self, option_counts, *, seed, asked=0):
        Unseeded.made += 1
        super().__init__(option_counts, seed=seed + Unseeded.made, asked=asked)


class DeafToAsked(RandomSearch):
    def __init__(self, option_counts, *, seed, asked=0):
        super().__init__(option_counts, seed=seed)


class NumpyTokens(RandomSearch):
    def ask(self, n):
        import numpy as np

        return [tuple(np.array(tokens)) for tokens in super().ask(n)]


class Credulous(RandomSearch):
    def tell(self, outcomes):
        pass


class Repeating(RandomSearch):
    def ask(self, n):
        points = super().ask(n)
        return [*points[:-1], points[0]] if n == 24 else points


class NarrowInSmallSpaces(RandomSearch):
    def ask(self, n):
        points = super().ask(n)
        return points[:2] * (n // 2) + points[:1] * (n % 2) if self._draws.option_counts == (3,) else points


class NeedsAccuracy(RandomSearch):
    def tell(self, outcomes):
        super().tell(outcomes)
        if any(outcome.accuracy is None for outcome in outcomes if outcome.state == "complete"):
            raise UsageError("no accuracy")


class KnowsNoStoppedTrials(RandomSearch):
    def tell(self, outcomes):
        super().tell(outcomes)
        if any(outcome.state == "stopped" for outcome in outcomes):
            raise UsageError("stopped is unknown")


class DeafToBounds(RandomSearch):
    def tell(self, outcomes):
        super().tell(outcomes)
        if any(outcome.excess is not None and outcome.excess > 0 for outcome in outcomes):
            raise UsageError("breaks a bound")


class OneInFlight(RandomSearch):
    flying = 0

    def ask(self, n):
        self.flying += n
        if self.flying > 60 and n != 25:
            raise UsageError("too many in flight")
        return super().ask(n)

    def tell(self, outcomes):
        super().tell(outcomes)
        self.flying -= len(outcomes)


class NeedsReward(RandomSearch):
    def tell(self, outcomes):
        super().tell(outcomes)
        if any(outcome.reward is None for outcome in outcomes):
            raise UsageError("no reward")


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (Forgetful, "grouped otherwise, it proposes the same points"),
        (OutOfRange, "below their option counts"),
        (Short, "a list of"),
        (Unseeded, "same seed, same proposals"),
        (DeafToAsked, "`asked` moves the draws|restored"),
        (NumpyTokens, "tokens as int"),
        (Credulous, "outside the space raises"),
        (NeedsReward, "no reward"),
        (NeedsAccuracy, "no accuracy"),
        (Repeating, "different points"),
        (NarrowInSmallSpaces, "3 different points, got 2"),
        (KnowsNoStoppedTrials, "stopped is unknown"),
        (DeafToBounds, "breaks a bound"),
        (OneInFlight, "too many in flight"),
    ],
)
def test_the_checker_finds_each_broken_promise(broken, promise):
    with pytest.raises(UsageError, match=promise):
        check_strategy(broken)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'evolution'"):
        make_strategy("evolutoin", COUNTS, seed=0)


@pytest.mark.parametrize(("counts", "seed", "asked"), [((), 0, 0), ((3, 0), 0, 0), (COUNTS, -1, 0), (COUNTS, 0, -1)])
def test_malformed_arguments_are_refused(counts, seed, asked):
    with pytest.raises(UsageError):
        make_strategy("random", counts, seed=seed, asked=asked)


@pytest.mark.parametrize(("reward", "state"), [(None, "complete"), (math.nan, "complete"), (math.inf, "pruned")])
def test_an_outcome_without_a_usable_reward_is_refused(reward, state):
    with pytest.raises(UsageError, match="reward"):
        Outcome((0,), reward, None, None, state)


def test_an_unknown_state_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'pruned'"):
        Outcome((0,), None, None, None, "prune")


def test_strategies_of_one_seed_draw_apart():
    assert make_strategy("random", COUNTS, seed=0).ask(20) != make_strategy("evolution", COUNTS, seed=0).ask(20)


def test_random_search_is_uniform_over_each_decision():
    points = make_strategy("random", (20, 50, 7, 3), seed=1).ask(4000)
    for place, options in enumerate((20, 50, 7, 3)):
        for option in range(options):
            share = sum(point[place] == option for point in points) / len(points)
            assert share == pytest.approx(1 / options, abs=4 * math.sqrt(1 / options / len(points)))


def test_proposals_do_not_depend_on_how_they_are_grouped():
    whole, parts = make_strategy("evolution", COUNTS, seed=2), make_strategy("evolution", COUNTS, seed=2)
    assert whole.ask(12) == parts.ask(5) + parts.ask(7)


def test_importing_the_package_and_all_but_ppo_load_no_torch():
    code = (
        "import sys\nfrom nasfit.strategies import make_strategy\n"
        "[make_strategy(name, (2, 3), seed=0).ask(3) for name in ('guided', 'evolution', 'nsga2', 'random')]\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
