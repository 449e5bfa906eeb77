"""Rewards by hand, and the exponent recovered from planted trade-offs."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from nasfit.errors import UnknownNameError, UsageError
from nasfit.objective import REWARDS, Reward, abs_reward, calibrated_exponent, soft_reward


@pytest.mark.parametrize(
    ("reward", "accuracy", "latency_ms", "value"),
    [
        (Reward("soft", 10), 0.75, 10, 0.75),
        (Reward("soft", 10), 0.75, 20, 0.75 * 2**-0.07),
        (Reward("soft", 10), 0.75, 5, 0.75 * 2**0.07),
        (Reward("soft", 10, alpha=-0.15, beta=-0.5), 0.75, 5, 0.75 * 2**0.15),
        (Reward("soft", 10, alpha=-0.15, beta=-0.5), 0.75, 20, 0.75 / math.sqrt(2)),
        (Reward("hard", 10), 0.75, 5, 0.75),
        (Reward("hard", 10), 0.75, 10, 0.75),
        (Reward("hard", 10), 0.75, 20, 0.375),
        (Reward("abs", 10), 0.75, 10, 0.75),
        (Reward("abs", 10), 0.75, 20, 0.65),
        (Reward("abs", 10), 0.75, 5, 0.70),
        (Reward("abs", 10, beta=-0.2), 0.75, 5, 0.65),
    ],
)
def test_values_by_hand(reward, accuracy, latency_ms, value):
    assert reward(accuracy, latency_ms) == pytest.approx(value, rel=1e-12)


def test_the_equations_stand_alone():
    assert soft_reward(0.5, 40, 10, alpha=-1, beta=-0.5) == pytest.approx(0.25)
    assert soft_reward(0.5, 5, 10, alpha=-1, beta=-0.5) == pytest.approx(1.0)
    assert abs_reward(0.5, 15, 10, beta=-0.1) == pytest.approx(0.45)


def test_twice_the_latency_is_worth_5_percent_accuracy():
    soft = Reward("soft", 75)
    assert soft(0.70, 75) == pytest.approx(soft(0.70 * 1.05, 150), rel=1e-3)


@pytest.mark.parametrize("kind", REWARDS)
def test_rewards_grow_with_accuracy_and_fall_with_latency_above_the_target(kind):
    draw, reward = random.Random(0), Reward(kind, 10)
    for _ in range(200):
        accuracy, latency_ms = draw.uniform(0.1, 0.9), draw.uniform(10, 100)
        assert reward(accuracy + 0.01, latency_ms) > reward(accuracy, latency_ms)
        assert reward(accuracy, latency_ms + 1) < reward(accuracy, latency_ms)


@pytest.mark.parametrize(
    "reward", [Reward("soft", 10), Reward("hard", 10), Reward("abs", 10), Reward("soft", 10, alpha=-0.2, beta=-0.5)]
)
def test_many_models_are_rewarded_as_each_alone(reward):
    accuracy_N1, latency_M = np.linspace(0, 1, 4)[:, None], np.array([0.5, 5, 9.999, 10, 10.001, 20, 300])
    rewards = reward.of(accuracy_N1, latency_M)
    alone = [[reward(float(a), float(ms)) for ms in latency_M] for a in accuracy_N1[:, 0]]
    assert rewards.shape == (4, 7)
    np.testing.assert_allclose(rewards, alone, rtol=1e-14)
    # One latency for all and one accuracy for all broadcast as well.
    assert reward.of(accuracy_N1[:, 0], 20.0).tolist() == rewards[:, 5].tolist()
    assert reward.of(0.0, latency_M).tolist() == rewards[0].tolist()


def test_an_unknown_reward_suggests_the_right_one():
    with pytest.raises(UnknownNameError, match="did you mean 'soft'"):
        Reward("sofft", 10)


@pytest.mark.parametrize("target_ms", [0, -5, float("nan"), float("inf")])
def test_a_target_must_be_above_0(target_ms):
    with pytest.raises(UsageError, match="target latency is"):
        Reward("soft", target_ms)


@pytest.mark.parametrize("exponent", [0.07, float("nan"), -float("inf")])
@pytest.mark.parametrize("what", ["alpha", "beta"])
def test_an_exponent_of_the_wrong_sign_is_refused(what, exponent):
    with pytest.raises(UsageError, match=f"{what} is {exponent!r}"):
        Reward("soft", 10, **{what: exponent})


def test_abs_has_no_alpha():
    with pytest.raises(UsageError, match="has no alpha"):
        Reward("abs", 10, alpha=-0.1)


@pytest.mark.parametrize("exponent", [-0.03, -0.07, -0.15])
def test_calibration_recovers_a_planted_exponent(exponent):
    # Along the planted front ACC * LAT^w is constant; the points far below it must not count.
    front = [(0.6 * (latency_ms / 5) ** -exponent, latency_ms) for latency_ms in (2, 3, 5, 8, 13, 21)]
    dominated = [(accuracy * 0.5, latency_ms + 0.5) for accuracy, latency_ms in front]
    assert calibrated_exponent(front) == pytest.approx(exponent, rel=1e-9)
    assert calibrated_exponent([*dominated, *reversed(front)]) == pytest.approx(exponent, rel=1e-9)


def test_calibration_makes_the_front_even():
    front = [(0.5, 2.0), (0.56, 4.0), (0.6, 8.0), (0.65, 16.0)]
    exponent = calibrated_exponent(front)
    assert spread(Reward("soft", 5, alpha=exponent, beta=exponent), front) < 1.03
    assert spread(Reward("soft", 5), front) > 1.1


def spread(reward: Reward, pairs: list[tuple[float, float]]) -> float:
    values = [reward(*pair) for pair in pairs]
    return max(values) / min(values)


def test_calibration_averages_noise_away():
    draw = random.Random(1)
    latencies = [1.2**step for step in range(1, 40)]
    noisy = [(0.3 * ms**0.1 * math.exp(draw.gauss(0, 0.001)), ms) for ms in latencies]
    assert calibrated_exponent(noisy) == pytest.approx(-0.1, abs=0.002)


@pytest.mark.parametrize(
    "pairs",
    [[], [(0.5, 1.0), (0.6, 2.0)], [(0.6, 1.0), (0.5, 2.0), (0.4, 3.0)], [(0.0, 1.0), (0.5, 2.0), (0.6, 3.0)]],
)
def test_calibration_needs_three_points_on_the_front(pairs):
    with pytest.raises(UsageError, match="needs 3 points on the front"):
        calibrated_exponent(pairs)
