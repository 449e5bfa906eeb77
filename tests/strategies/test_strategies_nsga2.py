from __future__ import annotations

import math

import numpy as np
import pytest

from nasfit.errors import UsageError
from nasfit.objective import Front
from nasfit.strategies import Outcome, RandomSearch
from nasfit.strategies.nsga2 import NSGA2, NSGA2Settings, crowding_distances, ranks

COUNTS = (2,) * 30


def point(ones):
    return (1,) * ones + (0,) * (30 - ones)


def complete(tokens, accuracy, latency_ms, excess=None):
    return Outcome(tokens, accuracy, accuracy, latency_ms, "complete", excess)


def strategy(population=4, first=2, **arguments):
    return NSGA2(COUNTS, seed=0, settings=NSGA2Settings(population=population, first=first), **arguments)


def kept(nsga2):
    return {sum(member.tokens) for member in nsga2._population}


def test_ranks_are_the_fronts_of_the_points():
    values = np.array([[3.0, 1.0], [1.0, 3.0], [2.0, 0.5], [1.0, 2.0], [0.5, 0.5], [3.0, 1.0]])
    assert ranks(values, np.zeros(6)).tolist() == [0, 0, 1, 1, 2, 0]


def test_ranks_of_random_points_agree_with_the_definition():
    values = np.random.default_rng(0).random((40, 2))
    left, expected = set(range(40)), np.zeros(40, int)
    for rank in range(40):
        front = {i for i in left if not any((values[j] > values[i]).all() for j in left)}
        expected[list(front)] = rank
        left -= front
    assert ranks(values, np.zeros(40)).tolist() == expected.tolist()


def test_within_bounds_dominates_and_of_the_others_the_smaller_violation():
    values = np.array([[0.0, 0.0], [9.0, 9.0], [8.0, 8.0], [5.0, 5.0]])
    assert ranks(values, np.array([0.0, 0.3, 0.1, 0.1])).tolist() == [0, 3, 1, 2]


def test_crowding_distances_by_hand():
    distances = crowding_distances(np.array([[0.0, 10.0], [1.0, 8.0], [4.0, 0.0], [2.0, 5.0]]))
    assert distances.tolist() == pytest.approx([math.inf, 2 / 4 + 5 / 10, math.inf, 3 / 4 + 8 / 10])


def test_crowding_of_equal_points_and_of_one():
    assert crowding_distances(np.array([[1.0, 1.0]] * 3)).tolist() == [math.inf, 0.0, math.inf]
    assert crowding_distances(np.array([[1.0, 1.0]])).tolist() == [math.inf]


def test_the_dominated_leaves_first_then_the_most_crowded():
    nsga2 = strategy()
    nsga2.tell([complete(point(n), *values) for n, values in enumerate([(0.1, 1.0), (0.5, 5.0), (0.9, 9.0)])])
    nsga2.tell([complete(point(10), 0.4, 6.0), complete(point(11), 0.3, 3.0)])
    assert kept(nsga2) == {0, 1, 2, 11}
    nsga2.tell([complete(point(12), 0.52, 5.1)])
    assert kept(nsga2) == {0, 2, 11, 12}


def test_a_point_told_again_is_one_member():
    nsga2 = strategy()
    nsga2.tell([complete(point(3), 0.5, 5.0)] * 3 + [complete(point(3), 0.6, 5.0)])
    assert [member.accuracy for member in nsga2._population] == [0.6]


def test_pruned_ones_are_parents_only_while_few_are_trained():
    nsga2 = strategy()
    nsga2.tell([Outcome(point(30), 0.1, None, 9.0 + n, "pruned") for n in range(2)])
    assert all(sum(child) > 20 for child in nsga2.ask(4))
    nsga2.tell([complete(point(0), 0.1, 1.0), complete(point(1), 0.2, 2.0)])
    assert all(sum(child) < 10 for child in nsga2.ask(4))


def test_stopped_ones_join_and_failed_ones_do_not():
    nsga2 = strategy()
    nsga2.tell([Outcome(point(1), 0.5, 0.5, 1.0, "stopped"), Outcome(point(2), None, None, 1.0, "failed")])
    assert kept(nsga2) == {1}


def test_excess_counts_as_constrained_domination():
    nsga2 = strategy(population=2)
    nsga2.tell([complete(point(1), 0.9, 1.0, 0.2), complete(point(2), 0.8, 1.0, 0.1), complete(point(3), 0.1, 9.0, 0)])
    assert kept(nsga2) == {2, 3}


def test_without_latency_the_reward_is_the_one_objective():
    nsga2 = strategy(population=2)
    nsga2.tell([Outcome(point(n), n / 10, None, None, "complete") for n in (4, 9, 2, 7)])
    assert kept(nsga2) == {7, 9}


def test_outside_the_front_wanted_speed_is_worth_nothing():
    nsga2 = strategy(population=2, front=Front(2.0, 4.0))
    nsga2.tell([complete(point(1), 0.5, 0.5), complete(point(2), 0.6, 1.9), complete(point(3), 0.9, 4.1)])
    assert kept(nsga2) == {1, 2}
    nsga2.tell([complete(point(4), 0.7, 3.0)])
    assert kept(nsga2) == {2, 4}


def share_of_a_known_front(strategy):
    # Accuracy and latency rise with the ones, but only a one at an even place is worth its time.
    def measured(tokens):
        return 0.01 + sum(tokens[::2]) / 16, 1.0 + sum(tokens[::2]) + 4 * sum(tokens[1::2])

    wanted, values = Front(1.0, 30.0), []
    for _ in range(40):
        points = strategy.ask(10)
        values += [measured(tokens) for tokens in points]
        strategy.tell([complete(tokens, *measured(tokens)) for tokens in points])
    accuracies, latencies = np.array(values).T
    best = wanted.area(*np.array([measured((1, 0) * n + (0, 0) * (15 - n)) for n in range(16)]).T, 0.0)
    return wanted.area(accuracies, latencies, 0.0) / best


def test_it_covers_a_known_front_far_better_than_random_points_do():
    assert share_of_a_known_front(RandomSearch(COUNTS, seed=1)) < 0.6
    assert share_of_a_known_front(NSGA2(COUNTS, seed=1, front=Front(1.0, 30.0))) > 0.75


@pytest.mark.parametrize("wrong", [{"population": 1}, {"first": 0}, {"first": 99}, {"crossover": 1.5}, {"retries": -1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match="NSGA-II"):
        NSGA2Settings(**wrong)
