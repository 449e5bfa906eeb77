"""The published networks' rewards: the paper's searched networks tie, the hand-made ones fall behind."""

from __future__ import annotations

import pytest

from nasfit.objective import Reward, hypervolume, pareto_front

# ImageNet top-1 in % and Pixel 1 latency in ms (Tan et al. 2019, table 1).
PAIRS = {
    "MobileNetV2": (72.0, 75),
    "MobileNetV2-1.4": (74.7, 143),
    "NASNet-A": (74.0, 183),
    "MnasNet-A1": (75.2, 78),
    "MnasNet-A2": (75.6, 84),
    "MnasNet-A3": (76.7, 103),
}
REWARDS = {
    "MobileNetV2": 72.00,
    "MobileNetV2-1.4": 71.40,
    "NASNet-A": 69.52,
    "MnasNet-A1": 74.995,
    "MnasNet-A2": 75.005,
    "MnasNet-A3": 75.015,
}


@pytest.mark.parametrize("name", PAIRS)
def test_rewards_at_75_ms(name):
    reward = 100 * Reward("soft", 75)(PAIRS[name][0] / 100, PAIRS[name][1])
    searched = name.startswith("MnasNet")
    assert reward == pytest.approx(REWARDS[name], abs=0.02 if searched else 0.005)


def test_the_searched_networks_tie_between_74_99_and_75_02():
    rewards = [100 * Reward("soft", 75)(accuracy / 100, ms) for name, (accuracy, ms) in PAIRS.items() if "Mnas" in name]
    assert 74.985 <= min(rewards) <= max(rewards) <= 75.025


def test_the_exponent_is_the_papers():
    assert Reward("soft", 75) == Reward("soft", 75, alpha=None, beta=None)
    assert Reward("soft", 75)(1.0, 150) == pytest.approx(2**-0.07)
    assert Reward("hard", 75)(1.0, 150) == 0.5


def test_only_the_paper_s_own_networks_and_the_fastest_stand_on_the_front():
    names = list(PAIRS)
    front = [names[index] for index in pareto_front(list(PAIRS.values()))]
    assert front == ["MobileNetV2", "MnasNet-A1", "MnasNet-A2", "MnasNet-A3"]


def test_the_searched_networks_dominate_more_area():
    def area(prefix: str) -> float:
        pairs = [pair for name, pair in PAIRS.items() if name.startswith(prefix)]
        return hypervolume(pairs, accuracy=70.0, latency_ms=200.0)

    assert area("MnasNet") == pytest.approx(5.2 * 122 + 0.4 * 116 + 1.1 * 97)
    assert area("MnasNet") > area("MobileNet") > area("NASNet")
