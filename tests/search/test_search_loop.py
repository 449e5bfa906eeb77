from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import pytest

from nasfit.errors import StudyError
from nasfit.search import proposing
from nasfit.search.entrants import entrants
from nasfit.search.loop import run_trials
from nasfit.search.outcomes import Outcomes
from nasfit.search.proposing import keep_diagnostics, restored_strategy
from nasfit.strategies import Outcome, make_strategy
from nasfit.study import Trial, TrialState


class Spy:
    """A real strategy that keeps what it was told."""

    made: list[Spy]

    def __init__(self, name: str, counts: Sequence[int], **options: Any) -> None:
        self.name, self.inner, self.told = name, make_strategy(name, counts, **options), list[Outcome]()
        Spy.made.append(self)

    def ask(self, n: int) -> list[tuple[int, ...]]:
        return self.inner.ask(n)

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        self.told += outcomes
        self.inner.tell(outcomes)


@pytest.fixture
def spies(monkeypatch: pytest.MonkeyPatch) -> list[Spy]:
    Spy.made = []
    monkeypatch.setattr(proposing, "make_strategy", Spy)
    return Spy.made


def trained(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if "train" in trial.seconds]


def test_interrupted_trials_are_taken_up_and_none_is_lost_or_repeated(opened, spies) -> None:  # type: ignore[no-untyped-def]
    setup = opened(max_trials=6)
    running = run_trials(setup)
    before = [event.trial for event in islice(running, 2)]
    running.close()
    assert {trial.number for trial in setup.study.trials([TrialState.COMPLETE])} == {trial.number for trial in before}
    setup.study.close()

    setup = opened(max_trials=6)
    left = {trial.number for trial in setup.study.running()}
    assert len(left) == 4
    after = [event.trial for event in run_trials(setup)]
    everything = setup.study.trials()
    assert {trial.number for trial in after} >= left
    assert not setup.study.running()
    assert len(trained(everything)) == 6
    assert [t.architecture for t in trained(everything)] == list(
        dict.fromkeys(t.architecture for t in trained(everything))
    )
    for trial in before:
        kept = everything[trial.number]
        assert (kept.accuracy, kept.latency_ms, kept.reward) == (trial.accuracy, trial.latency_ms, trial.reward)
    live = spies[-1]
    assert live.told == [Outcomes.of(setup)(trial) for trial in before + after]


def test_a_strategy_restored_from_the_study_proposes_what_the_live_one_would(opened, spies) -> None:  # type: ignore[no-untyped-def]
    setup = opened(max_trials=4)
    list(run_trials(setup))
    live = next(spy for spy in spies if spy.name == "evolution")
    spies.clear()
    assert list(run_trials(setup)) == []
    (restored,) = spies
    assert restored.told == live.told
    assert restored.ask(5) == live.ask(5)


def test_random_search_does_not_propose_its_first_points_again(opened) -> None:  # type: ignore[no-untyped-def]
    for most in (2, 4):
        setup = opened(max_trials=most, strategy="random")
        list(run_trials(setup))
        tokens = [trial.tokens for trial in setup.study.trials()]
        setup.study.close()
    assert len(tokens) >= 4
    assert len(set(tokens)) == len(tokens)


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_are_trained_than_asked_for(opened, most: int) -> None:  # type: ignore[no-untyped-def]
    setup = opened(max_trials=most)
    events = list(run_trials(setup))
    assert len(trained(setup.study.trials())) == most
    assert events[-1].best is not None
    assert events[-1].finished == len(setup.study.trials())


@pytest.mark.slow
def test_a_search_that_can_train_nothing_ends_with_its_budget(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened(target_ms=0.001, budget_s=1.0)
    events = list(run_trials(setup))
    assert {event.trial.state for event in events} == {TrialState.PRUNED}
    assert events[-1].best is None
    with pytest.raises(StudyError, match=r"no trial was trained.*more than 1\.1 times the target.*--target-ms"):
        entrants(setup)


def test_what_a_controller_tells_of_its_updates_is_kept(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened(strategy="ppo")
    outcomes = Outcomes.of(setup)
    strategy = restored_strategy(setup, outcomes)
    keep_diagnostics(setup, strategy)
    assert setup.study.document("controller") is None
    points = strategy.ask(40)
    strategy.tell([Outcome(point, 0.5 + place / 100, 0.5, 1.0, "complete") for place, point in enumerate(points)])
    keep_diagnostics(setup, strategy)
    kept = setup.study.document("controller")
    assert kept and [update["told"] for update in kept] == sorted(update["told"] for update in kept)
    assert {"entropy", "kl", "clip_fraction", "baseline", "mean_reward", "new"} <= set(kept[0])
    keep_diagnostics(setup, make_strategy("random", setup.space.option_counts, seed=0))
    assert setup.study.document("controller") == kept


def test_a_guided_search_looks_before_it_asks_and_goes_on_as_it_would_have(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened(strategy="guided", max_trials=3, target_ms=50.0)
    list(run_trials(setup))
    assert len(trained(setup.study.trials())) == 3
    setup.study.close()
    setup = opened(strategy="guided", max_trials=5, target_ms=50.0)
    list(run_trials(setup))
    trials = setup.study.trials()
    assert len(trained(trials)) == 5
    assert "guided" in {trial.origin for trial in trials}
    looked_up = {look.tokens for look in setup.study.lookups.all()}
    assert looked_up
    asked = [restored_strategy(setup, Outcomes.of(setup)).ask(3) for _ in range(2)]
    assert asked[0] == asked[1]
