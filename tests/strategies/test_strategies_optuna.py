from __future__ import annotations

import subprocess
import sys
import warnings
from functools import partial

import pytest

from nasfit.errors import MissingExtraError, UnknownNameError
from nasfit.strategies import Outcome, RandomSearch, check_strategy
from nasfit.strategies.optuna_samplers import SAMPLERS, OptunaStrategy

COUNTS = (4, 2, 1, 3)


def told(points, state="complete"):
    return [Outcome(tokens, sum(tokens) / 6, None, None, state) for tokens in points]


def best_of_additive(strategy, samples):
    best = 0.0
    for _ in range(samples // 10):
        points = strategy.ask(10)
        rewards = [sum(token == place % 3 for place, token in enumerate(tokens)) / 12 for tokens in points]
        best = max(best, *rewards)
        strategy.tell([Outcome(t, r, None, None, "complete") for t, r in zip(points, rewards, strict=True)])
    return best


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_without_optuna_the_error_names_the_extra(sampler, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=rf"{sampler}.*pip install 'nasfit\[optuna\]'"):
        OptunaStrategy(sampler, COUNTS, seed=0)


def test_another_sampler_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'tpe'"):
        OptunaStrategy("tpes", COUNTS, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_gp_keeps_the_contract():
    pytest.importorskip("optuna")
    check_strategy(partial(OptunaStrategy, "gp"))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_restored_by_the_outcomes_it_proposes_the_same_though_their_order_was_another(sampler):
    pytest.importorskip("optuna")
    strategy, outcomes = OptunaStrategy(sampler, COUNTS, seed=1), []
    first, second = strategy.ask(7), strategy.ask(7)
    assert len(set(first + second)) == 14
    for place, batch in enumerate((second, first)):
        outcomes += told(batch, ("complete", "stopped")[place])
        strategy.tell(outcomes[-7:])
    expected = strategy.ask(3)
    restored = OptunaStrategy(sampler, COUNTS, seed=1, asked=14)
    for outcome in outcomes:
        restored.tell([outcome])
    assert restored.ask(3) == expected and len(set(expected)) == 3


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_seed_and_number_asked_decide_the_draws(sampler):
    pytest.importorskip("optuna")
    drawn = [OptunaStrategy(sampler, (9,) * 9, seed=s, asked=a).ask(2) for s, a in ((0, 0), (0, 0), (1, 0), (0, 2))]
    assert drawn[0] == drawn[1]
    assert drawn[2] != drawn[0] != drawn[3]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_small_space_is_exhausted_before_a_point_comes_again(sampler):
    pytest.importorskip("optuna")
    strategy = OptunaStrategy(sampler, COUNTS, seed=0)
    points = []
    for _ in range(4):
        points += strategy.ask(6)
        strategy.tell(told(points[-6:]))
    assert len(set(points)) == 24
    assert len(set(strategy.ask(5))) == 5


def test_pending_points_are_running_trials_and_failed_ones_are_none():
    optuna = pytest.importorskip("optuna")
    strategy = OptunaStrategy("tpe", COUNTS, seed=0)
    points = strategy.ask(6)
    strategy.tell([*told(points[:2]), Outcome(points[2], None, None, None, "failed")])
    states = [trial.state for trial in strategy._study(seed=0).trials]
    assert states == [optuna.trial.TrialState.COMPLETE] * 2 + [optuna.trial.TrialState.RUNNING] * 3


def test_what_is_proposed_in_place_of_a_repeated_point_is_what_runs(monkeypatch):
    optuna = pytest.importorskip("optuna")
    strategy = OptunaStrategy("tpe", COUNTS, seed=0)
    study = strategy._study(seed=0)
    monkeypatch.setattr(strategy, "_study", lambda *, seed: study)
    points = strategy.ask(24)
    running = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.RUNNING]
    assert len(study.trials) > 24, "no point was repeated"
    assert [tuple(trial.params.values()) for trial in running] == points


def test_tpe_learns():
    pytest.importorskip("optuna")
    random = best_of_additive(RandomSearch((4,) * 12, seed=0), 150)
    assert random < 0.8 <= best_of_additive(OptunaStrategy("tpe", (4,) * 12, seed=0), 150)


def test_optuna_says_nothing_and_the_users_verbosity_stays(capfd, monkeypatch):
    optuna = pytest.importorskip("optuna")
    monkeypatch.setattr(optuna.logging._get_library_root_logger(), "level", optuna.logging.DEBUG)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sampler in SAMPLERS:
            strategy = OptunaStrategy(sampler, COUNTS, seed=0)
            strategy.tell(told(strategy.ask(11)))
            strategy.ask(2)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.DEBUG


def test_importing_the_strategy_imports_no_optuna():
    code = "import sys, nasfit.strategies.optuna_samplers\nassert 'optuna' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
