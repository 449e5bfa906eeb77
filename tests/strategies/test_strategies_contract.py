from __future__ import annotations

import math
import subprocess
import sys
from functools import partial

import pytest

from nasfit.errors import UnknownNameError, UsageError
from nasfit.strategies import STRATEGIES, Outcome, RandomSearch, check_strategy, make_strategy

COUNTS = (4, 2, 2, 3, 3, 3)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_keeps_the_contract(name):
    check_strategy(partial(make_strategy, name))


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


class NeedsReward(RandomSearch):
    def tell(self, outcomes):
        super().tell(outcomes)
        if any(outcome.reward is None for outcome in outcomes):
            raise UsageError("no reward")


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (Forgetful, "a call, it proposes the same points"),
        (OutOfRange, "below their option counts"),
        (Short, "a list of"),
        (Unseeded, "same seed, same proposals"),
        (DeafToAsked, "`asked` moves the draws|restored"),
        (NumpyTokens, "tokens as int"),
        (Credulous, "outside the space raises"),
        (NeedsReward, "no reward"),
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
    points = make_strategy("random", (2, 5), seed=1).ask(4000)
    for place, options in enumerate((2, 5)):
        for option in range(options):
            share = sum(point[place] == option for point in points) / len(points)
            assert share == pytest.approx(1 / options, abs=4 * math.sqrt(1 / options / len(points)))


def test_proposals_do_not_depend_on_how_they_are_grouped():
    whole, parts = make_strategy("evolution", COUNTS, seed=2), make_strategy("evolution", COUNTS, seed=2)
    assert whole.ask(12) == parts.ask(5) + parts.ask(7)


def test_importing_the_package_and_all_but_ppo_load_no_torch():
    code = (
        "import sys\nfrom nasfit.strategies import make_strategy\n"
        "[make_strategy(name, (2, 3), seed=0).ask(3) for name in ('random', 'evolution')]\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
