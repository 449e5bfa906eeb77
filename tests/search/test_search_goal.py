"""What a trial is worth: by reward, by a calibrated exponent, or serving a front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nasfit.objective import Front, Reward
from nasfit.search import Settings, goal_of, judged
from nasfit.search.exponent import FLATTEST, PUBLISHED, STEEPEST, calibrate_exponent, exponent_of, exponent_text
from nasfit.search.loop import run_trials
from nasfit.search.outcomes import Outcomes
from nasfit.search.setup import Setup
from nasfit.strategies import Outcome
from nasfit.study import Proposal, Study, Trial, TrialState

Opener = Callable[..., Setup]


def stored(study: Study, *values: tuple[float | None, float | None], state: TrialState = TrialState.COMPLETE) -> None:
    """Finished trials of these accuracies and latencies."""
    begun = study.propose([Proposal((0,), f"net {number}", seed=0) for number in range(len(values))])
    study.finish(
        [
            replace(trial, state=state, accuracy=accuracy, latency_ms=latency_ms, reward=0.5)
            for trial, (accuracy, latency_ms) in zip(begun, values, strict=True)
        ]
    )


def test_the_goal_follows_the_settings() -> None:
    assert goal_of(Settings("d", 2.0, reward="hard", beta=-0.5)) == Reward("hard", 2.0, None, -0.5)
    assert goal_of(Settings("d", 2.0, calibrate_exponent=True), -0.11) == Reward("soft", 2.0, -0.11, -0.11)
    assert goal_of(Settings("d", 2.0, front_from_ms=1.0)) == Front(1.0, 2.0)


def test_trials_are_judged_by_accuracy_and_latency_alone() -> None:
    trial = Trial(0, (0,), "n", 0, state=TrialState.COMPLETE, accuracy=0.8, latency_ms=4.0, reward=0.1)
    pruned = replace(trial, state=TrialState.PRUNED, accuracy=None)
    by_reward = judged([trial, pruned], Reward("soft", 2.0, -0.1, -0.1))
    assert [t.reward for t in by_reward] == [pytest.approx(0.8 * 2**-0.1), 0.1]
    assert [t.reward for t in judged([trial], Front(1.0, 9.0))] == [0.8]


def test_the_exponent_makes_the_observed_trade_off_even(opened: Opener) -> None:
    setup = opened(calibrate_exponent=True)
    assert exponent_of(setup.study) is None and setup.goal == Reward("soft", 1000.0)
    stored(setup.study, *((0.7 * ms**0.11, ms) for ms in (1.0, 2.0, 4.0, 8.0)), (0.1, 9.0))
    text = calibrate_exponent(setup.study)
    assert exponent_of(setup.study) == pytest.approx(-0.11)
    assert text == "exponent of the reward: -0.110, fitted to the front of 5 trained trials"
    assert setup.reward(0.7, 1.0) == pytest.approx(setup.reward(0.7 * 8**0.11, 8.0))


@pytest.mark.parametrize(("slope", "kept"), [(1.0, STEEPEST), (0.001, FLATTEST)])
def test_an_exponent_that_only_noise_explains_is_held_back(opened: Opener, slope: float, kept: float) -> None:
    study = opened(calibrate_exponent=True).study
    stored(study, *((0.1 * ms**slope, ms) for ms in (1.0, 2.0, 4.0)))
    assert f"the fit itself gave {-slope:.3f}, outside -0.3 to -0.02" in calibrate_exponent(study)
    assert exponent_of(study) == kept


def test_too_few_on_the_front_keep_the_published_exponent_and_say_so(opened: Opener) -> None:
    study = opened(calibrate_exponent=True).study
    stored(study, (0.9, 1.0), (0.8, 2.0))
    stored(study, (0.95, 3.0), (0.97, 4.0), state=TrialState.STOPPED)
    assert "-0.07 as published, for calibration needs 3 points on the front, got 1" in calibrate_exponent(study)
    assert exponent_of(study) == PUBLISHED
    assert exponent_text(study.document("exponent")).startswith("exponent of the reward: -0.07 as published")


def test_a_study_calibrates_once_and_tells_all_rewards_by_it(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(study: Study) -> str:
        assert not study.running() and study.trials()
        study.put_document("exponent", {"exponent": -0.2, "fitted": -0.2, "trials": 3})
        return "chosen"

    monkeypatch.setattr("nasfit.search.loop.calibrate_exponent", choose)
    setup = opened(max_trials=2, calibrate_exponent=True, target_ms=50.0)
    assert [event.text for event in run_trials(setup) if not hasattr(event, "trial")] == ["chosen"]
    assert list(run_trials(setup)) == []
    told = Outcomes.of(setup)
    for trial in setup.study.trials([TrialState.COMPLETE]):
        assert trial.accuracy is not None and trial.latency_ms is not None
        assert told(trial).reward == pytest.approx(trial.accuracy * (trial.latency_ms / 50.0) ** -0.2)
        assert trial.reward == pytest.approx(trial.accuracy * (trial.latency_ms / 50.0) ** -0.07)


def test_outcomes_of_every_state(opened: Opener) -> None:
    setup = opened(target_ms=2.0, front_from_ms=1.0, strategy="random")
    told = Outcomes.of(setup)
    trial = Trial(0, (1, 2), "n", 0, state=TrialState.STOPPED, accuracy=0.6, latency_ms=1.5, reward=0.0)
    assert told(trial) == Outcome((1, 2), 0.6, 0.6, 1.5, "stopped", 1.5 / (setup.settings.prune * 2.0) - 1)
    pruned = replace(trial, state=TrialState.PRUNED, accuracy=None)
    assert (told(pruned).state, told(pruned).reward, told(pruned).accuracy) == ("pruned", pytest.approx(1 / 3), None)
    failed = replace(pruned, state=TrialState.FAILED, latency_ms=None, reward=None)
    assert (told(failed).state, told(failed).reward) == ("failed", None)
