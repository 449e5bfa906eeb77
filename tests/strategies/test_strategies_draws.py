from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from nasfit.strategies.draws import Ask, Draws


def never(generator):
    return iter(())


def test_every_point_of_a_small_space_comes_once_before_any_comes_twice():
    points = Draws("test", (3, 2), seed=0, asked=0).distinct(13, set(), never)
    for start in (0, 6):
        assert set(points[start : start + 6]) == set(itertools.product(range(3), range(2)))


def test_what_was_seen_comes_only_when_nothing_else_is_left():
    seen = {(0, 0), (1, 1), (2, 0)}
    points = Draws("test", (3, 2), seed=0, asked=0).distinct(6, seen, never)
    assert set(points[:3]) == {(0, 1), (1, 0), (2, 1)}
    assert set(points[3:]) == {(0, 0), (1, 1), (2, 0)}
    assert len(seen) == 6


def test_seen_points_stay_closed_even_if_a_strategy_insists():
    draws = Draws("test", (4, 4), seed=0, asked=0)
    assert (1, 2) not in draws.distinct(10, {(1, 2)}, lambda generator: iter([(1, 2)] * 3))


def test_the_first_open_try_is_taken():
    draws = Draws("test", (10,) * 3, seed=0, asked=0)
    tries = [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)]
    assert draws.distinct(3, {(2, 2, 2)}, lambda generator: iter(tries)) == [(1, 1, 1), (3, 3, 3), (4, 4, 4)]


def test_elsewhere_is_uniform_where_all_is_open():
    ask, generator = Ask((2, 5), set()), np.random.default_rng(0)
    points = [ask.elsewhere(generator) for _ in range(4000)]
    for point in itertools.product(range(2), range(5)):
        assert points.count(point) / 4000 == pytest.approx(0.1, abs=4 * math.sqrt(0.09 / 4000))


def test_elsewhere_counts_on_past_the_largest_point_to_the_open_one():
    everything = set(itertools.product(range(3), range(1), range(4)))
    for point in everything:
        assert Ask((3, 1, 4), everything - {point}).elsewhere(np.random.default_rng(1)) == point


def test_one_point_and_far_too_many():
    assert Draws("test", (1, 1), seed=0, asked=0).distinct(3, set(), never) == [(0, 0)] * 3
    points = Draws("test", (10,) * 30, seed=0, asked=0).distinct(500, set(), never)
    assert len(set(points)) == 500 and all(type(token) is int for token in points[0])
