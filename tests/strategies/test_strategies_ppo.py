from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from nasfit.errors import UsageError
from nasfit.strategies import PAPER, TUNED, Outcome
from nasfit.strategies.controller import Controller, one_thread
from nasfit.strategies.ppo import PPO
from nasfit.strategies.ppo_equations import (
    advantages,
    approximate_kl,
    clip_fraction,
    clipped_surrogate,
    moving_average,
    normal_scores,
    standardised,
)

COUNTS = (4, 2, 1, 3)


def rewarded(points, rewards, state="complete"):
    return [Outcome(point, reward, None, None, state) for point, reward in zip(points, rewards, strict=True)]


def test_the_surrogate_is_equation_7_in_each_of_its_four_regions():
    ratio, advantage = torch.tensor([1.5, 0.5, 1.5, 0.5]), torch.tensor([2.0, 2.0, -2.0, -2.0])
    assert clipped_surrogate(ratio, advantage, 0.2).tolist() == pytest.approx([2.4, 1.0, -3.0, -1.6])


def test_baseline_and_advantages_by_hand():
    assert moving_average(1.0, [2.0, 0.0], 0.9) == pytest.approx((1.0 * 0.9 + 0.2) * 0.9)
    assert advantages([1.0, 3.0], 1.5) == [-0.5, 1.5]
    assert standardised([1.0, 3.0]) == [-1.0, 1.0]
    assert standardised([0.1 + 0.2, 0.3]) == [0.0, 0.0]


def test_normal_scores_by_hand():
    assert normal_scores([0.3, -9.0, 5.0]) == pytest.approx([0.0, -0.96742, 0.96742], abs=1e-5)
    assert normal_scores([1.0, 1.0, 2.0, 1.0]) == pytest.approx([-0.31864] * 2 + [1.15035, -0.31864], abs=1e-5)
    assert normal_scores([0.1] * 5) == [0.0] * 5


def test_ranked_advantages_do_not_depend_on_how_far_the_rewards_are_apart():
    points = [(0, 1, 0, 2), (3, 0, 0, 1), (2, 1, 0, 0), (1, 0, 0, 0)]

    def entropy_after(rewards, ranked):
        strategy = PPO(COUNTS, seed=0, settings=dataclasses.replace(TUNED, batch_size=4, ranked=ranked))
        strategy.tell(rewarded(points, rewards) + rewarded(points, [0.0] * 4))
        return strategy.history[1].entropy

    near, far = [0.1, 0.2, 0.3, 0.4], [-50.0, 0.2, 0.3, 9.0]
    assert entropy_after(near, True) == entropy_after(far, True)
    assert entropy_after(near, False) != entropy_after(far, False)


def test_the_best_so_far_join_every_batch_once():
    strategy = PPO(COUNTS, seed=0, settings=dataclasses.replace(TUNED, batch_size=3, elite=2))
    points = [(place // 6, place // 3 % 2, 0, place % 3) for place in range(9)]
    seen = []
    steps = strategy._steps
    strategy._steps = lambda tokens, *rest: (seen.append(tokens.tolist()), steps(tokens, *rest))[1]
    strategy.tell(rewarded(points, [0.5, 0.9, 0.1, 0.6, 0.2, 0.3, 0.0, 0.1, 0.2]))
    strategy.tell(rewarded([points[1], points[1], points[0]], [0.9, 0.7, 0.5]))
    joined = [{tuple(row) for row in rows[3:]} for rows in seen]
    assert joined == [set(), {points[0], points[1]}, {points[1], points[3]}, {points[3]}]
    assert strategy.history[1].mean_reward == pytest.approx((0.6 + 0.2 + 0.3) / 3)


def test_diagnostics_by_hand():
    assert clip_fraction(torch.tensor([1.0, 1.19, 1.3, 0.7]), 0.2) == 0.5
    log_ratio = torch.tensor([0.1, -0.3])
    by_hand = (math.exp(0.1) - 1 - 0.1 + math.exp(-0.3) - 1 + 0.3) / 2
    assert approximate_kl(log_ratio) == pytest.approx(by_hand, rel=1e-4)


def test_the_controller_is_the_published_one():
    assert dataclasses.asdict(PAPER) == {
        "hidden": 100,
        "spread": 0.1,
        "learning_rate": 3.5e-4,
        "entropy": 1e-5,
        "baseline_decay": 0.95,
        "batch_size": 20,
        "epochs": 4,
        "clip": 0.2,
        "standardise": False,
        "retries": 0,
        "max_kl": None,
        "last_entropy": None,
        "entropy_halving": None,
        "ranked": False,
        "elite": 0,
    }
    controller = Controller(COUNTS, hidden=100, spread=0.1, seed=0)
    weights = torch.cat([parameter.flatten() for parameter in controller.parameters()])
    assert weights.abs().max() <= 0.1
    assert float(weights.detach().std()) == pytest.approx(0.2 / math.sqrt(12), rel=0.01)


def test_the_policy_is_a_distribution_that_depends_on_the_tokens_before():
    controller = Controller(COUNTS, hidden=8, spread=1.0, seed=0)
    tokens = torch.tensor([[0, 0, 0, 0], [3, 0, 0, 0]])
    logs = controller(tokens)
    assert torch.allclose(logs.exp().sum(dim=-1), torch.ones(2, 4))
    for step, options in enumerate(COUNTS):
        assert bool((logs[:, step, options:] == -torch.inf).all())
        assert bool(logs[:, step, :options].isfinite().all())
    assert torch.equal(logs[0, 0], logs[1, 0])
    assert not torch.allclose(logs[0, 1, :2], logs[1, 1, :2])


def test_samples_follow_the_log_probabilities():
    controller = Controller((3, 2), hidden=8, spread=1.0, seed=3)
    tokens = controller.sample(np.random.default_rng(0).random((20_000, 2)))
    points = torch.tensor([[a, b] for a in range(3) for b in range(2)])
    logs = controller(points).gather(-1, points[..., None])[..., 0].sum(dim=1)
    for point, log in zip(points.tolist(), logs.tolist(), strict=True):
        assert (tokens == point).all(axis=1).mean() == pytest.approx(math.exp(log), abs=0.015)


def test_the_largest_draw_takes_the_last_option_and_full_exploration_is_uniform():
    controller = Controller(COUNTS, hidden=8, spread=2.0, seed=0)
    assert controller.sample(np.full((1, 4), np.nextafter(1.0, 0.0))).tolist() == [[3, 1, 0, 2]]
    tokens = controller.sample(np.random.default_rng(0).random((20_000, 4)), explore=1.0)
    assert np.bincount(tokens[:, 0]) / 20_000 == pytest.approx(0.25, abs=0.015)


def test_an_update_equals_adam_on_the_objective_written_out():
    settings = dataclasses.replace(PAPER, hidden=6, batch_size=3, epochs=3, entropy=0.02, clip=0.001)
    strategy = PPO(COUNTS, seed=5, settings=settings)
    points, rewards = [(0, 1, 0, 2), (3, 0, 0, 1), (2, 1, 0, 0)], [0.5, 0.7, 0.1]
    strategy.tell(rewarded(points, rewards))

    controller = Controller(COUNTS, hidden=6, spread=0.1, seed=5)
    adam = torch.optim.Adam(controller.parameters(), lr=3.5e-4)
    mean = sum(rewards) / 3
    old = None
    for _ in range(3):
        logs = controller(torch.tensor(points))
        total = torch.zeros(())
        for row, (point, reward) in enumerate(zip(points, rewards, strict=True)):
            for step, token in enumerate(point):
                share = logs[row, step, : COUNTS[step]].exp()
                ratio = share[token] / (old[row][step] if old else share[token].detach())
                gain = torch.minimum(ratio * (reward - mean), ratio.clamp(0.999, 1.001) * (reward - mean))
                total = total + (gain - 0.02 * (share * share.log()).sum()) / 12
        if old is None:
            old = [[logs[r, s, t].exp().item() for s, t in enumerate(point)] for r, point in enumerate(points)]
        adam.zero_grad()
        (-total).backward()
        adam.step()
    for got, expected in zip(strategy._controller.parameters(), controller.parameters(), strict=True):
        assert torch.allclose(got, expected, atol=2e-6)
    assert len(strategy.history) == 1 and strategy.history[-1].epochs == 3
    assert strategy.history[-1].baseline == pytest.approx(moving_average(mean, rewards, 0.95))
    assert strategy.history[-1].mean_reward == pytest.approx(mean)
    assert 0 < strategy.history[-1].kl < 0.1 and 0 < strategy.history[-1].clip_fraction <= 1


def test_entropy_starts_at_that_of_the_uniform_policy():
    strategy = PPO(COUNTS, seed=0)
    strategy.tell(rewarded(strategy.ask(20), [0.1 * n for n in range(20)]))
    assert strategy.history[0].entropy == pytest.approx(sum(map(math.log, COUNTS)) / len(COUNTS), rel=0.01)


def test_failed_outcomes_count_for_nothing_and_pruned_ones_for_their_reward():
    settings = dataclasses.replace(TUNED, batch_size=10)
    strategy, plain = PPO(COUNTS, seed=0, settings=settings), PPO(COUNTS, seed=0, settings=settings)
    points = plain.ask(10)
    strategy.tell(rewarded(points[:6], [None, None, None, 9.0, 9.0, 9.0], "failed"))
    strategy.tell(rewarded(points[:5], [0.1, 0.2, 0.3, 0.4, 0.5], "pruned"))
    assert strategy.history == []
    strategy.tell(rewarded(points[5:], [0.6, 0.7, 0.8, 0.9, 1.0], "stopped"))
    plain.tell(rewarded(points, [n / 10 for n in range(1, 11)]))
    assert dataclasses.replace(strategy.history[0], told=10, new=1.0) == plain.history[0]
    assert (strategy.history[0].told, strategy.history[0].new) == (16, 10 / 16)


def test_history_has_every_update_and_is_the_same_after_replay():
    strategy, told = PPO(COUNTS, seed=0), []
    for _ in range(5):
        told += rewarded(strategy.ask(12), [n / 12 for n in range(12)])
        strategy.tell(told[-12:])
    assert [update.told for update in strategy.history] == [20, 40, 60]
    assert strategy.history[0].new == 1.0 and 0 <= strategy.history[2].new < 1
    restored = PPO(COUNTS, seed=0, asked=60)
    restored.tell(told)
    assert restored.history == strategy.history


def test_an_update_ends_once_the_policy_has_moved_far_enough():
    points, rewards = [(0, 1, 0, 2), (3, 0, 0, 1), (2, 1, 0, 0)], [0.5, 0.7, 0.1]

    def update(**changes):
        settings = dataclasses.replace(TUNED, batch_size=3, epochs=20, max_kl=None)
        strategy = PPO(COUNTS, seed=0, settings=dataclasses.replace(settings, **changes))
        strategy.tell(rewarded(points, rewards))
        return strategy.history[0]

    free, bound = update(), update(max_kl=0.05)
    assert free.epochs == 20 and free.kl > 0.05
    assert 1 <= bound.epochs < 20 and bound.kl > 0.05
    assert update(epochs=bound.epochs - 1).kl <= 0.05
    assert update(max_kl=1e9) == free


def test_the_weight_of_the_entropy_falls_by_half_its_way():
    settings = dataclasses.replace(TUNED, entropy=0.1, last_entropy=0.02, entropy_halving=10)
    weights = [settings.entropy_weight(updates) for updates in (0, 10, 20, 10_000)]
    assert weights == pytest.approx([0.1, 0.06, 0.04, 0.02])
    assert PAPER.entropy_weight(10_000) == 1e-5


def test_the_weight_of_the_entropy_is_that_of_the_update():
    def entropies(**changes):
        settings = dataclasses.replace(TUNED, batch_size=4, entropy=0.0, **changes)
        strategy = PPO(COUNTS, seed=0, settings=settings)
        for _ in range(30):
            strategy.tell(rewarded([(0, 1, 0, 2), (3, 0, 0, 1), (2, 1, 0, 0), (1, 0, 0, 0)], [0.5, 0.7, 0.1, 0.2]))
        return [update.entropy for update in strategy.history]

    plain, rising = (
        entropies(last_entropy=None, entropy_halving=None),
        entropies(last_entropy=5.0, entropy_halving=5),
    )
    assert rising[1] == plain[1] and rising[-1] > plain[-1] + 0.1


def test_tuned_proposes_new_points_while_there_are_some():
    strategy = PPO((3, 4), seed=0)
    assert len(set(strategy.ask(12))) == 12
    assert len(set(strategy.ask(2))) == 2


@pytest.mark.parametrize("settings", [TUNED, PAPER])
def test_a_collapsed_policy_proposes_different_points_near_its_one(settings):
    strategy = PPO((4, 2, 2, 3, 3, 3) * 5, seed=0, settings=settings)
    with torch.no_grad():
        strategy._controller.biases_TK[:, 0] = 50.0
    first, second = strategy.ask(20), strategy.ask(20)
    assert first[0] == (0,) * 30
    for points in (first, second):
        assert len(set(points)) == 20
        assert all(sum(token != 0 for token in point) < 15 for point in points)
    assert ((0,) * 30 in second) == (settings is PAPER)


def test_the_callers_thread_count_is_left_alone():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        strategy = PPO(COUNTS, seed=0)
        strategy.tell(rewarded(strategy.ask(10), [0.5] * 10))
        with pytest.raises(KeyError), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"clip": 0.0},
        {"baseline_decay": 1.5},
        {"learning_rate": math.nan},
        {"max_kl": 0.0},
        {"last_entropy": None},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        dataclasses.replace(TUNED, **wrong)
