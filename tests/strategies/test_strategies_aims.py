"""What the guided strategy aims at, how it chooses and breeds, by hand and by counting."""

from __future__ import annotations

import numpy as np
import pytest

from nasfit.objective import Front, Reward
from nasfit.strategies.aims import LIMITS, TIE, Aim, chosen
from nasfit.strategies.breeding import bred
from nasfit.strategies.guided_design import anywhere, balanced

# Aims.


def test_gains_of_a_front_are_those_of_its_area() -> None:
    front, generator = Front(2.0, 10.0), np.random.default_rng(0)
    aim = Aim(front=front, floor=0.3)
    seen, seen_ms = generator.uniform(0.2, 0.6, 6), generator.uniform(1, 12, 6)
    accuracy, latency = generator.uniform(0.2, 0.9, 40), generator.uniform(1, 12, 40)
    reached_Q = np.maximum(aim.worth(seen, seen_ms).max(axis=0), aim.floor)
    gains = aim.gains(aim.worth(accuracy, latency)[None], reached_Q[None]) * (10.0 - 2.0)
    exact = front.gains(accuracy, latency, seen, seen_ms, floor=0.3)
    step_ms = 10.0 * (5.0 ** (1 / (LIMITS - 1)) - 1)
    np.testing.assert_allclose(gains, exact, atol=0.6 * step_ms + 8.0 * TIE)
    assert np.corrcoef(gains, exact)[0, 1] > 0.99


def test_the_limits_of_a_front_span_it_and_count_their_milliseconds() -> None:
    aim = Aim(front=Front(2.0, 10.0), floor=0.3)
    assert (aim.limit_Q[0], aim.limit_Q[-1]) == pytest.approx((2.0, 10.0))
    assert aim.weight_Q.sum() == pytest.approx(1.0)
    # Half of the range counts half, whatever the limits' spacing.
    assert aim.weight_Q[aim.limit_Q < 6.0].sum() == pytest.approx(0.5, abs=0.02)
    assert aim.worth(np.array([0.8]), np.array([6.0]))[0].tolist() == [0.8 if t >= 6 else 0.3 for t in aim.limit_Q]


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_the_worth_of_a_reward_is_the_reward(kind: str) -> None:
    reward, generator = Reward(kind, 5.0), np.random.default_rng(0)
    value, latency = generator.random((3, 8)), generator.uniform(1, 12, (3, 8))
    worth = Aim(reward).worth(value, latency)
    np.testing.assert_array_equal(worth[..., 0], reward.of(value, latency))
    assert worth.shape == (3, 8, 1)
    assert Aim().worth(value, np.ones(1))[..., 0].tolist() == value.tolist(), "told values are rewards themselves"


def test_the_absolute_reward_also_counts_the_best_that_meets_the_target() -> None:
    aim, reward = Aim(Reward("abs", 5.0)), Reward("abs", 5.0)
    worth = aim.worth(np.array([0.6, 0.7]), np.array([4.9, 5.1]))
    assert worth[:, 0].tolist() == reward.of(np.array([0.6, 0.7]), np.array([4.9, 5.1])).tolist()
    assert worth[0, 1] == worth[0, 0] and worth[1, 1] < worth[0, 1] < worth[1, 0]
    # The faster one gains over the slower one, though its reward is lower.
    assert aim.gains(worth[None, :1], worth[None, 1])[0] > 0.1


def test_gains_are_means_over_draws_of_what_exceeds_the_reached() -> None:
    worth_SMQ = np.array([[[0.5], [0.9]], [[0.5], [0.1]]])
    reached_SQ = np.full((2, 1), 0.4)
    assert Aim().gains(worth_SMQ, reached_SQ) == pytest.approx([0.1 + TIE * 0.5, 0.25 + TIE * 0.5])


def test_points_are_chosen_that_fail_apart() -> None:
    # A and B succeed together, in half the draws; C, which promises less, in the other half.
    together, apart = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.8, 0.8])
    worth_SMQ = np.stack([together, together - 0.01, apart], axis=1)[..., None]
    assert chosen(Aim(), worth_SMQ, np.zeros((4, 1)), 3) == [0, 2, 1]
    assert chosen(Aim(), worth_SMQ, np.zeros((4, 1)), 9) == [0, 2, 1], "no more than there are"
    # Reached already where A succeeds, as by one that waits: C is first.
    assert chosen(Aim(), worth_SMQ, together[:, None], 1) == [2]


def test_each_function_of_a_front_judges_by_a_limit_of_its_own() -> None:
    aim = Aim(front=Front(2.0, 10.0), floor=0.3)
    judge = aim.judge(6, np.random.default_rng(0))
    latency_M = np.linspace(1, 12, 221)
    scores = judge(np.full((6, 221), 0.5), np.tile(latency_M, (6, 1)))
    limits = [float(latency_M[row == 0.5].max()) for row in scores]
    ratios = np.log(np.sort(limits) / 2.0) / np.log(5.0)
    assert (np.floor(ratios * 6 + 0.1).clip(0, 5) == np.arange(6)).sum() >= 5, "one in each sixth of the range"
    assert all((np.diff(row) <= 0).all() and row[-1] < row[0] for row in scores), "slower is worth less beyond it"


def test_distances_from_the_wanted_latencies() -> None:
    reward, front = Aim(Reward("hard", 10.0)), Aim(front=Front(2.0, 10.0))
    latency = np.array([1.0, 6.5, 8.0, 10.0, 20.0])
    assert reward.distance(latency) == pytest.approx([np.log(6.5), 0, 0, 0, np.log(2)])
    assert front.distance(latency) == pytest.approx([np.log(2), 0, 0, 0, np.log(2)])
    assert Aim().distance(latency).tolist() == [0.0] * 5


# Breeding.


def test_sums_over_7e12_points_are_nearly_maximised_several_at_once() -> None:
    counts = np.array((4, 2, 2, 3, 3, 3) * 5)
    generator = np.random.default_rng(0)
    worths = [[generator.random(options) for options in counts] for _ in range(4)]
    calls: list[int] = []

    def score(points_SMD: np.ndarray) -> np.ndarray:
        calls.append(points_SMD.shape[1])
        return np.stack(
            [sum(row[own[:, d]] for d, row in enumerate(rows)) for rows, own in zip(worths, points_SMD, strict=True)]
        )

    start = anywhere(40, counts, generator)
    found = bred(score, start, 4, counts, generator, kept=30)
    assert found.shape == (120, 30) and (found >= 0).all() and (found < counts).all()
    for function, rows in enumerate(worths):
        own = found[function::4]
        values = score(np.stack([own] * 4))[function]
        most, mean = (sum(getattr(row, what)() for row in rows) for what in ("max", "mean"))
        at_start = score(np.stack([start] * 4))[function].max()
        assert (values[0] - mean) / (most - mean) > 0.9 > (at_start - mean) / (most - mean)
        assert (np.diff(values) <= 0).all(), "the best of each population first"
        assert len({tuple(point) for point in own.tolist()}) == 30
    assert sum(calls[:11]) < 1500


def test_a_population_may_be_larger_than_the_space() -> None:
    counts = np.array((2, 1, 2))
    found = bred(
        lambda points: points.sum(axis=2).astype(float),
        np.zeros((1, 3), dtype=np.int64),
        2,
        counts,
        np.random.default_rng(0),
        kept=10,
    )
    assert {tuple(point) for point in found[0::2].tolist()[:4]} == {(0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1)}
    assert found[0].tolist() == found[1].tolist() == [1, 0, 1]


def test_a_balanced_choice_counts_what_was_there_before() -> None:
    candidates = np.array([[0, 0], [1, 0], [2, 1], [0, 1]])
    before = np.array([[0, 1], [0, 1], [1, 1]])
    # 2 was never used, nor 0 in the second place; each choice counts for the next.
    assert balanced(candidates, before, 2).tolist() == [[1, 0], [2, 1]]
    assert balanced(candidates, before[:0], 9).tolist() == [[0, 0], [2, 1], [1, 0], [0, 1]]
