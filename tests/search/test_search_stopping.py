from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from nasfit.errors import UnknownNameError
from nasfit.objective import Front, Goal, Reward
from nasfit.search import Settings
from nasfit.search.evaluate import screened, trained
from nasfit.search.setup import Setup
from nasfit.search.stopping import (
    BEST_KEPT,
    CONTROLS,
    LEAST_KNOWN,
    OPTIMISM,
    Extrapolation,
    bar_for,
    is_control,
    needed_accuracy,
    stopping_regret,
)
from nasfit.study import Proposal, Rung, Study, Trial, TrialState

FLOOR = 0.1
GOALS: list[Goal] = [Reward(kind, 2.0) for kind in ("soft", "hard", "abs")]
FRONT = Front(1.0, 4.0)


def complete(number: int, accuracy: float, latency_ms: float, rung: Rung | None = None) -> Trial:
    curve = ((1000, 0.5),)
    state = TrialState.COMPLETE
    return Trial(number, (number,), f"net {number}", 0, "", state, accuracy, latency_ms, 0.0, curve=curve, rung=rung)


def some(number: int = 30, seed: int = 0) -> list[Trial]:
    """Finished trials whose end follows from the look, 0.3 above it, give or take 0.01."""
    draw = np.random.default_rng(seed)
    looks, latencies, noise = (
        draw.uniform(0.2, 0.6, number),
        draw.uniform(0.5, 5.0, number),
        draw.normal(0, 0.01, number),
    )
    return [
        complete(n, float(look + 0.3 + off), float(ms), Rung(600, float(look)))
        for n, (look, ms, off) in enumerate(zip(looks, latencies, noise, strict=True))
    ]


def beside(trials: Sequence[Trial]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([t.accuracy for t in trials]), np.array([t.latency_ms for t in trials])


def test_the_line_is_the_one_of_the_trials() -> None:
    look = np.linspace(0.2, 0.6, 400)
    end = 0.3 + 0.8 * look + np.random.default_rng(0).normal(0, 0.02, 400)
    line = Extrapolation.fit(list(look), list(end))
    assert line is not None
    assert (line.intercept, line.slope, line.sd) == pytest.approx((0.3, 0.8, 0.02), abs=0.01)
    assert line.optimistic(line.look_for(0.6)) == pytest.approx(0.6)
    assert line.optimistic(0.3) - line.expected(0.3) == pytest.approx(OPTIMISM * line.sd)


@pytest.mark.parametrize("end", [[0.5, 0.4, 0.3, 0.2], [0.3, 0.3, 0.3, 0.3]])
def test_looks_that_say_nothing_give_no_line(end: list[float]) -> None:
    assert Extrapolation.fit([0.1, 0.2, 0.3, 0.4], end) is None
    assert Extrapolation.fit([0.2] * 4, [0.1, 0.2, 0.3, 0.4]) is None


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.kind)
@pytest.mark.parametrize("latency_ms", [0.7, 1.9, 2.5, 4.0])
def test_what_is_needed_reaches_the_best_rewards(goal: Reward, latency_ms: float) -> None:
    trials = some()
    needed = needed_accuracy(goal, latency_ms, trials)
    rewards = sorted(goal.of(*beside(trials)))
    within = sorted(t.accuracy for t in trials if t.latency_ms <= goal.target_ms)

    def matters(accuracy: float) -> bool:
        eligible = latency_ms <= goal.target_ms and accuracy >= within[-BEST_KEPT]
        return bool(goal(accuracy, latency_ms) >= rewards[-BEST_KEPT] or eligible)

    assert 0 < needed <= 1
    assert matters(needed + 1e-9) or needed == 1.0
    assert not matters(needed - 1e-6)


@pytest.mark.parametrize("latency_ms", [0.7, 1.4, 2.5, 3.9])
def test_a_front_needs_what_adds_to_its_area(latency_ms: float) -> None:
    seen = beside(some())
    needed = needed_accuracy(FRONT, latency_ms, some(), best=1)
    below, above = (FRONT.gains(np.array(needed + step), np.array(latency_ms), *seen, FLOOR) for step in (-1e-6, 1e-6))
    assert below == 0
    assert above > 0
    assert needed_accuracy(FRONT, latency_ms, some()) < needed, "the best three are kept"


def test_nothing_is_needed_among_few() -> None:
    for goal in (*GOALS, FRONT):
        assert needed_accuracy(goal, 1.5, some()[: BEST_KEPT - 1]) == 0.0


@pytest.mark.parametrize("goal", [Reward("hard", 2.0), FRONT], ids=["hard", "front"])
def test_a_bar_is_set_once_enough_is_known(goal: Goal) -> None:
    trial = Trial(1, (1,), "a", seed=0, latency_ms=1.9)
    trials = some()
    early = bar_for(trial, trials[: LEAST_KNOWN - 1], goal, 1000)
    assert (early.below, early.rule.below, early.rung((600, 0.4)).below) == (None, 0.0, None)
    bar = bar_for(trial, trials, goal, 1000)
    assert bar.rule.at_images == bar.images < 1000
    # The line is look + 0.3, its standard deviation 0.01.
    assert bar.below == pytest.approx(needed_accuracy(goal, 1.9, trials) - 0.3 - OPTIMISM * 0.01, abs=0.01)
    assert bar.rule.below == (0.0 if bar.control else bar.below)


def test_a_slower_trial_faces_a_higher_bar() -> None:
    for goal in (Reward("hard", 2.0), FRONT):
        bars = [
            bar_for(Trial(1, (1,), "a", 0, latency_ms=latency_ms), some(), goal, 1000).below
            for latency_ms in (2.1, 3.5)
        ]
        assert bars[0] < bars[1]


def test_trials_without_a_look_and_repeats_set_no_line() -> None:
    trials = some()
    without = [Trial(**{**t.__dict__, "rung": None}) for t in trials]
    repeats = [Trial(**{**t.__dict__, "duplicate_of": 0}) for t in trials]
    trial = Trial(99, (1,), "a", 0, latency_ms=1.9)
    assert bar_for(trial, without, FRONT, 1000).line is None
    assert bar_for(trial, repeats, FRONT, 1000).line is None


def test_controls_are_a_fixed_share() -> None:
    chosen = [is_control(Trial(n, (n,), "a", seed=3)) for n in range(1000)]
    assert chosen == [is_control(Trial(n, (n,), "a", seed=3)) for n in range(1000)]
    assert 0.8 / CONTROLS < sum(chosen) / 1000 < 1.2 / CONTROLS
    assert chosen != [is_control(Trial(n, (n,), "a", seed=4)) for n in range(1000)]


def stopped(number: int, duplicate_of: int | None = None) -> Trial:
    values = {**complete(number, 0.4, 1.0, Rung(250, 0.2, 0.3)).__dict__, "state": TrialState.STOPPED}
    return Trial(**{**values, "seconds": {"train": 2.0}, "curve": ((250, 1.0),), "duplicate_of": duplicate_of})


def test_regret_is_told_by_the_controls() -> None:
    plain = [complete(n, 0.5 + n / 100, 1.5, Rung(250, 0.4, 0.3)) for n in range(5)]
    bad, good = complete(5, 0.4, 1.5, Rung(250, 0.2, 0.3)), complete(6, 0.6, 1.5, Rung(250, 0.2, 0.3))
    trials = [*plain, bad, good, stopped(7), stopped(8), stopped(9, duplicate_of=7)]
    regret = stopping_regret(trials, Reward("hard", 2.0))
    assert (regret.stopped, regret.controls, regret.among_best) == (2, 2, 1)
    assert regret.saved_s == pytest.approx(2 * 2.0 * 3)
    assert regret.missed == pytest.approx(0.6 - 0.54)
    front = stopping_regret(trials, FRONT, floor=FLOOR)
    assert (front.among_best, front.missed) == (1, pytest.approx(0.06 * 2.5 / 3.0))
    assert "1 of them came among the best 3, and the best would have been 0.06 lower without" in str(regret)
    harmless = stopping_regret([*plain, bad, stopped(7)], Reward("hard", 2.0))
    assert (harmless.among_best, harmless.missed) == (0, 0.0)
    assert str(harmless) == (
        "1 training stopped early, about 6 s saved. As a check 1 that looked as hopeless was finished: "
        "none of them came among the best 3."
    )


def test_regret_of_little() -> None:
    assert str(stopping_regret([], FRONT)) == "No training was stopped early."
    assert "what it missed is not known" in str(stopping_regret([complete(0, 0.5, 1.0), stopped(1)], FRONT))


def test_an_unknown_way_of_stopping_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="--stopping"):
        Settings(data="colours", target_ms=1.0, strategy="random", stopping="curves")


def seeded(setup: Setup, looks: Sequence[float]) -> None:
    """Finished trials of other networks with such looks, as if trained before."""
    study = setup.study
    trials = study.propose([Proposal((n,), f"net {n}", 0) for n in range(len(looks))])
    study.finish(
        [
            Trial(**{**complete(n, look, 0.001, Rung(64, look)).__dict__, "seed": 0, "started": trials[n].started})
            for n, look in enumerate(looks)
        ]
    )


@pytest.mark.parametrize("front", [None, 0.01])
def test_a_search_stops_what_is_hopeless_and_keeps_why(opened, front: float | None) -> None:  # type: ignore[no-untyped-def]
    setup = opened(proxy_images=128, stopping="curve", strategy="random", front_from_ms=front)
    # All of these are faster, end as they look, and are almost perfect: no network is as good after 128 pictures.
    seeded(setup, [0.9 + n / 200 for n in range(LEAST_KNOWN)])
    draw = np.random.default_rng(0)
    points = [tuple(int(draw.integers(n)) for n in setup.space.option_counts) for _ in range(3)]
    proposed = setup.study.propose([Proposal(p, str(setup.architecture(p)), 0) for p in points])
    ended = list(trained(setup, screened(setup, proposed)))
    for trial in ended:
        assert trial.rung is not None and trial.rung.hopeless
        assert trial.state is (TrialState.COMPLETE if is_control(trial) else TrialState.STOPPED)
    assert {trial.state for trial in ended} == {TrialState.COMPLETE, TrialState.STOPPED}
    early = next(trial for trial in ended if trial.state is TrialState.STOPPED)
    assert early.reward == setup.reward(early.accuracy, early.latency_ms)
    assert early.accuracy == pytest.approx(early.rung.accuracy, abs=1e-6)
    assert early.curve[-1][0] == early.rung.images < 128
    assert early.reason.startswith(
        f"stopped at {early.rung.images} of 128 pictures: {early.rung.accuracy:.1%} there lets"
    )
    setup.study.finish(ended)
    setup.study.close()
    with Study.open(setup.study.path, read_only=True) as study:
        assert [t.rung for t in study.trials()][-3:] == [t.rung for t in sorted(ended, key=lambda t: t.number)]
        regret = stopping_regret(study.trials(), setup.goal, floor=1 / 3)
    assert (regret.stopped + regret.controls, regret.among_best, regret.missed) == (3, 0, 0.0)


def test_without_stopping_nothing_is_looked_at(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened()
    seeded(setup, [0.9 + n / 200 for n in range(LEAST_KNOWN)])
    point = (0,) * len(setup.space.option_counts)
    proposed = setup.study.propose([Proposal(point, str(setup.architecture(point)), 0)])
    (trial,) = trained(setup, screened(setup, proposed))
    assert (trial.state, trial.rung) == (TrialState.COMPLETE, None)
