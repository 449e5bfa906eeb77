from __future__ import annotations

import numpy as np
import pytest

from nasfit.errors import UsageError
from nasfit.strategies import Evolution, EvolutionSettings, Outcome
from nasfit.strategies.evolution import mutated

COUNTS = (4, 2, 2, 3, 3, 3)


def complete(tokens, reward):
    return Outcome(tokens, reward, None, None, "complete")


def differing(a, b):
    return sum(x != y for x, y in zip(a, b, strict=True))


def test_a_mutation_changes_exactly_as_many_decisions_as_told_uniformly():
    parent = (0, 1, 0, 2, 1, 0)
    generator = np.random.default_rng(0)
    for mutations in (1, 3, 6, 9):
        child = mutated(parent, COUNTS, generator, mutations=mutations)
        assert differing(parent, child) == min(mutations, 6)
    children = [mutated(parent, COUNTS, generator) for _ in range(3000)]
    assert {child[0] for child in children} == {0, 1, 2, 3}
    changed = [sum(child[place] != parent[place] for child in children) for place in range(6)]
    assert max(changed) < 1.3 * 500 and min(changed) > 0.7 * 500


def test_a_decision_with_one_option_is_never_changed():
    assert mutated((0, 0), (1, 2), np.random.default_rng(0), mutations=2) == (0, 1)
    assert mutated((0,), (1,), np.random.default_rng(0)) == (0,)


def test_a_child_is_one_mutation_from_the_tournaments_winner():
    settings = EvolutionSettings(population=10, tournament=200, first=10)
    evolution = Evolution(COUNTS, seed=0, settings=settings)
    points = evolution.ask(10)
    evolution.tell([complete(point, place / 10) for place, point in enumerate(points)])
    assert {differing(child, points[-1]) for child in evolution.ask(8)} <= {1, 2}


def test_the_oldest_dies_even_if_it_is_the_best():
    settings = EvolutionSettings(population=5, tournament=200, first=5)
    evolution = Evolution((2,) * 30, seed=0, settings=settings)
    best, others = (1,) * 30, [(0,) * 29 + (0,), *[(0,) * n + (1,) + (0,) * (29 - n) for n in range(4)]]
    evolution.tell([complete(best, 9.0), *[complete(other, 0.5) for other in others[:4]]])
    assert all(differing(child, best) == 1 for child in evolution.ask(5))
    evolution.tell([complete(others[4], 0.5)])
    assert all(differing(child, best) > 20 for child in evolution.ask(5))


def test_while_few_are_complete_the_best_of_the_pruned_are_parents():
    settings = EvolutionSettings(population=10, tournament=200, first=3)
    evolution = Evolution((2,) * 30, seed=0, settings=settings)
    evolution.tell([Outcome((0,) * 30, 0.1, None, 9.0, "pruned")] * 2 + [Outcome((1,) * 30, 0.2, None, 5.0, "pruned")])
    assert all(differing(child, (1,) * 30) <= 3 for child in evolution.ask(10))
    evolution.tell([complete((0,) * 30, 0.1)] * 3)
    assert all(sum(child) <= 3 for child in evolution.ask(10))


@pytest.mark.parametrize("state", ["pruned", "failed"])
def test_only_complete_trials_become_parents(state):
    settings = EvolutionSettings(population=3, tournament=50, first=3)
    evolution = Evolution((2,) * 30, seed=0, settings=settings)
    evolution.tell([complete((0,) * 30, 0.1)] * 3)
    evolution.tell([Outcome((1,) * 30, 5.0, None, None, state)] * 5)
    assert all(sum(child) <= 3 for child in evolution.ask(10))


def test_no_point_is_proposed_twice_until_the_space_is_exhausted():
    evolution = Evolution((3, 4), seed=0, settings=EvolutionSettings(population=4, tournament=2, first=2, retries=200))
    points = []
    for _ in range(6):
        batch = evolution.ask(2)
        points += batch
        evolution.tell([complete(point, sum(point)) for point in batch])
    assert len(set(points)) == 12
    assert len(evolution.ask(5)) == 5


@pytest.mark.parametrize("wrong", [{"population": 0}, {"tournament": 0}, {"first": 99}, {"retries": -1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match="evolution"):
        EvolutionSettings(**wrong)
