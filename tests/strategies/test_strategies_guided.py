"""The guided strategy on planted spaces whose optimum is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import numpy as np
import pytest

from nasfit.errors import UsageError
from nasfit.objective import Front, Goal, Reward, pareto_front
from nasfit.space import Tokens
from nasfit.strategies import Look, Outcome, Strategy, check_strategy, make_strategy
from nasfit.strategies.aims import Aim, chosen
from nasfit.strategies.guided import Guided, GuidedSettings
from nasfit.strategies.guided_design import anywhere
from nasfit.strategies.guided_models import Conditioned, Known, Model
from nasfit.strategies.guided_view import View

BLOCK, BLOCKS = (4, 2, 3, 3), 6
COUNTS, GROUPS = BLOCK * BLOCKS, (len(BLOCK),) * BLOCKS
COUNTS_D = np.array(COUNTS)
FLOOR = 0.4


class Planted:
    """1.4e11 points; accuracy (at most 0.9) and latency (ms) are sums over blocks, products within a block.

    What an option does in one block it does in the others, more or less, and what costs more tends to give more.
    """

    def __init__(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        latency, gain = self._tables(generator), self._tables(generator)
        self.latency = latency
        self.accuracy = [np.sqrt(other) + 0.5 * np.sqrt(cost) for other, cost in zip(gain, latency, strict=True)]
        # The front of a sum lies on sums of fronts.
        front = np.zeros((1, 2))
        for accuracies, costs in zip(self.accuracy, self.latency, strict=True):
            points = np.stack([accuracies.ravel(), costs.ravel()], axis=1)
            front = _undominated((front[:, None] + _undominated(points)).reshape(-1, 2))
        self.most = front[-1, 0] / 0.9
        self.front_accuracy_N, self.front_ms_N = front[:, 0] / self.most, front[:, 1]
        self.middle_ms = float(np.median([self(tuple(row))[1] for row in anywhere(200, COUNTS_D, generator).tolist()]))

    def __call__(self, tokens: Tokens) -> tuple[float, float]:
        blocks = [tuple(row) for row in np.reshape(tokens, (BLOCKS, len(BLOCK)))]
        accuracy = sum(table[block] for table, block in zip(self.accuracy, blocks, strict=True)) / self.most
        return float(accuracy), float(sum(table[block] for table, block in zip(self.latency, blocks, strict=True)))

    def optimum(self, reward: Reward) -> float:
        """The highest reward of any point."""
        return float(reward.of(self.front_accuracy_N, self.front_ms_N).max())

    def outcome(self, goal: Goal, tokens: Tokens) -> Outcome:
        accuracy, latency_ms = self(tokens)
        reward = goal(accuracy, latency_ms) if isinstance(goal, Reward) else accuracy
        return Outcome(tokens, reward, accuracy, latency_ms, "complete")

    @staticmethod
    def _tables(generator: np.random.Generator) -> list[np.ndarray]:
        shared, tables = [np.sort(generator.random(options)) for options in BLOCK], []
        for _ in range(BLOCKS):
            table = np.ones(BLOCK)
            for role, effect in enumerate(shared):
                own = 0.3 + effect + 0.3 * generator.random(len(effect))
                table = table * np.expand_dims(own, [axis for axis in range(len(BLOCK)) if axis != role])
            tables.append(generator.uniform(0.5, 1.5) * table)
        return tables


def _undominated(points_N2: np.ndarray) -> np.ndarray:
    return points_N2[pareto_front([(float(accuracy), float(ms)) for accuracy, ms in points_N2])]


planted = cache(Planted)


class TableLookups:
    """Latencies of a planted space, kept. before: those looked up earlier."""

    def __init__(
        self,
        latency: Callable[[Tokens], float],
        excess: Callable[[Tokens], float | None] = lambda tokens: None,
        before: Mapping[Tokens, Look | None] | None = None,
    ) -> None:
        self._latency, self._excess, self.looks = latency, excess, dict(before or {})

    def known(self) -> Mapping[Tokens, Look | None]:
        return self.looks

    def __call__(self, points: Sequence[Tokens]) -> list[Look | None]:
        for point in points:
            self.looks.setdefault(point, Look(self._latency(point), self._excess(point)))
        return [self.looks[point] for point in points]


def guided(goal: Goal | None, seed: int = 0, **more: object) -> Strategy:
    return make_strategy("guided", COUNTS, seed=seed, goal=goal, **{"groups": GROUPS, **more})


def searched(
    strategy: Strategy, told: Callable[[Tokens], Outcome], samples: int = 100, batch: int = 10
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    while len(outcomes) < samples:
        batch_told = [told(point) for point in strategy.ask(batch)]
        strategy.tell(batch_told)
        outcomes += batch_told
    return outcomes


def best_share(problem: Planted, goal: Reward, outcomes: list[Outcome]) -> float:
    """The best true reward of the points tried, as a share of the optimum."""
    return max(goal(*problem(outcome.tokens)) for outcome in outcomes) / problem.optimum(goal)


# What it finds.


@pytest.mark.parametrize("seed", range(3))
def test_it_comes_within_1_percent_of_the_optimum_in_100_samples_and_others_do_not(seed: int) -> None:
    problem = planted(seed)
    goal = Reward("hard", problem.middle_ms)
    told = partial(problem.outcome, goal)
    assert best_share(problem, goal, searched(guided(goal, seed), told)) > 0.99
    for name in ("evolution", "random"):
        others = searched(make_strategy(name, COUNTS, seed=seed), told)
        assert best_share(problem, goal, others) < 0.96


@pytest.mark.slow
def test_it_needs_nobody_to_name_the_blocks() -> None:
    shares = []
    # Of one search alone the end depends on the last digits that a processor computes.
    for number in (3, 4):
        problem = planted(number)
        goal = Reward("hard", problem.middle_ms)
        for seed in (0, 1):
            found = searched(guided(goal, seed, groups=None), partial(problem.outcome, goal), samples=80)
            shares.append(best_share(problem, goal, found))
    assert np.mean(shares) > 0.97


@pytest.mark.parametrize("seed", range(2))
def test_with_latencies_looked_up_it_starts_and_stays_near_a_limit_that_few_points_meet(seed: int) -> None:
    problem = planted(seed)
    goal = Reward("hard", 0.6 * problem.middle_ms)
    told = partial(problem.outcome, goal)
    lookups = TableLookups(lambda tokens: problem(tokens)[1])
    alone = searched(guided(goal, seed), told, samples=30)
    looking = searched(guided(goal, seed, lookups=lookups), told, samples=30)
    assert best_share(problem, goal, looking[:10]) > best_share(problem, goal, alone[:10]) + 0.05
    off = [np.mean(np.abs(np.log([(o.latency_ms or 0) / goal.target_ms for o in part]))) for part in (alone, looking)]
    assert off[1] < min(0.25, 0.5 * off[0])
    assert len(lookups.looks) <= 8 * 30, "so many looks a proposal at most"


def test_a_front_is_served_all_along() -> None:
    problem, seed = planted(0), 0
    goal = Front(0.6 * problem.middle_ms, 1.4 * problem.middle_ms)
    whole = goal.area(problem.front_accuracy_N, problem.front_ms_N, FLOOR)
    shares = {}
    for name in ("guided", "nsga2", "random"):
        strategy = make_strategy(name, COUNTS, seed=seed, goal=goal, groups=GROUPS)
        values = np.array([problem(o.tokens) for o in searched(strategy, partial(problem.outcome, goal), samples=60)])
        shares[name] = goal.area(values[:, 0], values[:, 1], FLOOR) / whole
    assert shares["guided"] > 0.85
    assert max(shares["nsga2"], shares["random"]) < 0.7


def test_accuracies_in_percent_and_a_soft_reward() -> None:
    problem = planted(0)
    goal = Reward("soft", problem.middle_ms)

    def told(tokens: Tokens) -> Outcome:
        accuracy, latency_ms = problem(tokens)
        return Outcome(tokens, goal(100 * accuracy, latency_ms), 100 * accuracy, latency_ms, "complete")

    assert best_share(problem, goal, searched(guided(goal), told)) > 0.99


def test_noise_in_accuracy_does_not_lead_it_astray() -> None:
    problem, generator = planted(1), np.random.default_rng(0)
    goal = Reward("hard", problem.middle_ms)

    def told(tokens: Tokens) -> Outcome:
        accuracy, latency_ms = problem(tokens)
        accuracy += 0.01 * generator.normal()
        return Outcome(tokens, goal(accuracy, latency_ms), accuracy, latency_ms, "complete")

    assert best_share(problem, goal, searched(guided(goal), told)) > 0.97


@pytest.mark.parametrize("goal", [None, Reward("soft", 20.0), Front(10.0, 30.0)], ids=["none", "reward", "front"])
def test_rewards_alone_are_enough(goal: Goal | None) -> None:
    problem = planted(0)
    reward = Reward("soft", problem.middle_ms)

    def told(tokens: Tokens) -> Outcome:
        return Outcome(tokens, reward(*problem(tokens)), None, None, "complete")

    assert best_share(problem, reward, searched(guided(goal), told, samples=80)) > 0.97
    assert best_share(problem, reward, searched(make_strategy("random", COUNTS, seed=0), told, samples=80)) < 0.95


def test_a_good_guess_at_accuracy_saves_samples() -> None:
    problem = planted(1)
    goal = Reward("hard", problem.middle_ms)

    def guess(points: Sequence[Tokens]) -> list[float]:
        return [-3 + 200 * problem(point)[0] + float(np.sin(np.dot(point, range(len(point))))) for point in points]

    def share(hints: Sequence[object]) -> float:
        lookups = TableLookups(lambda tokens: problem(tokens)[1])
        strategy = guided(goal, lookups=lookups, accuracy_hints=hints)
        return best_share(problem, goal, searched(strategy, partial(problem.outcome, goal), samples=30))

    assert share([guess]) > max(0.96, share([]) + 0.03)


@pytest.mark.parametrize("goal", [Reward("hard", 20.0), None], ids=["reward", "none"])
def test_bounds_that_most_points_break_are_kept_once_they_are_known(goal: Goal | None) -> None:
    problem = planted(0)

    def excess(tokens: Tokens) -> float:
        return (sum(tokens[1::4]) + sum(tokens[2::4])) / 6 - 1

    def told(tokens: Tokens) -> Outcome:
        accuracy, latency_ms = problem(tokens)
        if excess(tokens) > 0:
            return Outcome(tokens, None, None, latency_ms, "pruned", excess(tokens))
        return Outcome(tokens, accuracy, accuracy, latency_ms, "complete", excess(tokens))

    at_random = [excess(tuple(row)) <= 0 for row in anywhere(500, COUNTS_D, np.random.default_rng(0)).tolist()]
    assert np.mean(at_random) < 0.2
    outcomes = searched(guided(goal), told, samples=70)
    assert np.mean([outcome.state == "complete" for outcome in outcomes[20:]]) > 0.8


# What it is told.


def test_where_all_were_too_slow_it_moves_towards_the_limit() -> None:
    problem = planted(0)
    goal = Reward("hard", 0.5 * problem.middle_ms)
    strategy = guided(goal)
    outcomes = searched(
        strategy, lambda tokens: Outcome(tokens, None, None, problem(tokens)[1], "pruned"), samples=60, batch=20
    )
    first, last = (np.median([o.latency_ms for o in part]) for part in (outcomes[:20], outcomes[40:]))
    assert first > 1.5 * goal.target_ms and last < 1.2 * goal.target_ms


@pytest.mark.parametrize("state", ["failed", "pruned"])
@pytest.mark.parametrize("goal", [Reward("abs", 20.0), Front(10.0, 30.0)], ids=["reward", "front"])
def test_trials_that_say_nothing_do_not_stop_it(goal: Goal, state: str) -> None:
    outcomes = searched(guided(goal), lambda tokens: Outcome(tokens, None, None, None, state), samples=60)
    assert len({outcome.tokens for outcome in outcomes}) == 60


def test_equal_outcomes_everywhere_do_not_stop_it() -> None:
    told = searched(
        guided(Reward("hard", 3.0)), lambda tokens: Outcome(tokens, 0.5, 0.5, 2.0, "complete", 0.0), samples=40
    )
    assert len({outcome.tokens for outcome in told}) == 40


def test_failures_and_stopped_trials_among_the_rest() -> None:
    problem = planted(2)
    goal = Reward("hard", problem.middle_ms)

    def told(tokens: Tokens) -> Outcome:
        accuracy, latency_ms = problem(tokens)
        if sum(tokens) % 5 == 0:
            return Outcome(tokens, None, None, latency_ms, "failed")
        state = "stopped" if sum(tokens) % 5 < 3 else "complete"
        return Outcome(tokens, goal(accuracy, latency_ms), accuracy, latency_ms, state)

    outcomes = searched(guided(goal), told)
    assert best_share(problem, goal, [outcome for outcome in outcomes if outcome.state != "failed"]) > 0.98


# Asking.


def test_points_that_wait_are_not_proposed_again() -> None:
    problem = planted(0)
    goal = Reward("hard", problem.middle_ms)
    strategy = guided(goal)
    told = searched(strategy, partial(problem.outcome, goal), samples=30)
    asked = [strategy.ask(n) for n in (10, 1, 10)]
    points = [outcome.tokens for outcome in told] + [point for points in asked for point in points]
    assert len(set(points)) == len(points) == 51


def test_waiting_points_change_what_is_proposed_beside_them() -> None:
    problem = planted(0)
    goal = Reward("hard", problem.middle_ms)
    told = searched(guided(goal), partial(problem.outcome, goal), samples=40)

    def spread(asks: Sequence[int]) -> float:
        strategy = guided(goal, asked=40)
        strategy.tell(told)
        points = [point for n in asks for point in strategy.ask(n)]
        return float(np.mean([np.mean(np.array(one) != np.array(other)) for one in points for other in points]))

    # Eight asks of one are about as far apart as one ask of eight.
    assert spread([1] * 8) > 0.5 * spread([8])


def test_what_waits_counts_as_reached_in_the_draws_where_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = planted(0)
    goal = Reward("hard", problem.middle_ms)
    strategy, reached = guided(goal), list[np.ndarray]()
    searched(strategy, partial(problem.outcome, goal), samples=30)

    def recording(aim: Aim, worth_SMQ: np.ndarray, reached_SQ: np.ndarray, number: int) -> list[int]:
        reached.append(reached_SQ[:, 0])
        return chosen(aim, worth_SMQ, reached_SQ, number)

    monkeypatch.setattr("nasfit.strategies.guided.chosen", recording)
    strategy.ask(1)
    strategy.ask(1)
    alone, beside_one = reached
    assert len(set(alone)) == 1, "nothing waits: the same in every draw"
    assert (beside_one >= alone).all() and (beside_one > alone).any() and len(set(beside_one)) > 10


def test_sixty_four_in_flight_that_end_in_any_order() -> None:
    problem = planted(0)
    goal = Reward("hard", problem.middle_ms)
    strategy = guided(goal)
    first = strategy.ask(64)
    strategy.tell([problem.outcome(goal, point) for point in first[::-1][:40]])
    second = strategy.ask(40)
    assert len({*first, *second}) == 104
    before, after = ([goal(*problem(point)) for point in points] for points in (first, second))
    assert np.mean(after) > 1.1 * np.mean(before) and max(after) > max(before)


def test_a_small_space_is_proposed_whole() -> None:
    counts, goal = (3, 2, 4, 3), Reward("hard", 3.0)
    strategy = make_strategy("guided", counts, seed=0, goal=goal)
    seen: list[Tokens] = []
    for _ in range(8):
        points = strategy.ask(9)
        seen += points
        strategy.tell([Outcome(p, goal(0.1 * sum(p), 1 + p[0]), 0.1 * sum(p), 1.0 + p[0], "complete") for p in points])
    assert len(set(seen)) == len(seen) == 72
    assert seen.index((2, 1, 3, 2)) < 36, "the best of them before the worst"
    assert len(set(strategy.ask(72))) == 72, "and then anew"


def test_the_first_proposals_use_all_options_about_equally() -> None:
    points = np.array(guided(Reward("hard", 5.0)).ask(12))
    for place, options in enumerate(COUNTS):
        uses = np.bincount(points[:, place], minlength=options)
        assert uses.min() >= 12 // options - 2 and uses.max() <= 12 / options + 2


@pytest.mark.parametrize("looking", [False, True], ids=["told", "looked up"])
@pytest.mark.parametrize("goal", [Reward("hard", 15.0), Front(10.0, 30.0)], ids=["reward", "front"])
def test_restored_mid_way_it_proposes_the_same(goal: Goal, looking: bool) -> None:
    problem = planted(0)
    lookups = TableLookups(lambda tokens: problem(tokens)[1])
    more = {"lookups": lookups} if looking else {}
    strategy, told, ends = guided(goal, **more), list[Outcome](), [10, 30]
    for end in ends:
        told += searched(strategy, partial(problem.outcome, goal), end - len(told))
        again = {"lookups": TableLookups(lambda tokens: problem(tokens)[1], before=lookups.looks)} if looking else {}
        restored = guided(goal, asked=end, **again)
        for outcome in told:
            restored.tell([outcome])
        expected = strategy.ask(10)
        assert restored.ask(10) == expected
        outcomes = [problem.outcome(goal, point) for point in expected]
        strategy.tell(outcomes)
        told += outcomes


def test_points_that_cannot_run_are_not_proposed() -> None:
    problem, goal = planted(0), Reward("hard", planted(0).middle_ms)

    class Fragile(TableLookups):
        def __call__(self, points: Sequence[Tokens]) -> list[Look | None]:
            for point in points:
                if sum(point) % 2:
                    self.looks[point] = None
            return super().__call__(points)

    lookups = Fragile(lambda tokens: problem(tokens)[1])
    outcomes = searched(guided(goal, lookups=lookups), partial(problem.outcome, goal), samples=40)
    assert sum(look is None for look in lookups.looks.values()) > 5
    assert all(sum(outcome.tokens) % 2 == 0 for outcome in outcomes)


def test_bounds_known_from_lookups_are_kept_from_the_start() -> None:
    problem, goal = planted(0), Reward("hard", planted(0).middle_ms)

    def excess(tokens: Tokens) -> float:
        return sum(tokens[0::4]) / 8 - 1

    lookups = TableLookups(lambda tokens: problem(tokens)[1], excess)
    outcomes = searched(guided(goal, lookups=lookups), partial(problem.outcome, goal), samples=40)
    assert np.mean([excess(outcome.tokens) <= 0 for outcome in outcomes]) > 0.9


class Stateless(TableLookups):
    """What `check_strategy` needs, which makes many strategies with one: nothing looked up is kept."""

    def known(self) -> Mapping[Tokens, Look | None]:
        return {}


@pytest.mark.slow
@pytest.mark.parametrize("goal", [Reward("hard", 3.0), Front(1.5, 4.0)], ids=["reward", "front"])
def test_with_lookups_it_keeps_the_contract(goal: Goal) -> None:
    lookups = Stateless(lambda tokens: 1.0 + sum(tokens) / len(tokens), lambda tokens: sum(tokens) % 7 / 4 - 1)
    check_strategy(partial(make_strategy, "guided", goal=goal, lookups=lookups))


@pytest.mark.parametrize("changes", [{"groups": (4, 4)}, {"accuracy_hints": [lambda points: [1.0]]}])
def test_groups_and_hints_that_do_not_fit_are_refused_at_once(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"groups are|a hint gave"):
        guided(Reward("hard", 5.0), **changes)


@pytest.mark.parametrize("what", ["first", "functions", "draws", "looks"])
def test_sizes_below_2_are_refused(what: str) -> None:
    with pytest.raises(UsageError, match=f"guided's {what} is 1"):
        GuidedSettings(**{what: 1})


def test_how_many_are_trained_before_models_choose_is_a_setting() -> None:
    told = [Outcome(point, 0.1 * point[0], None, None, "complete") for point in guided(None).ask(6)]
    strategies = [
        Guided(COUNTS, seed=0, asked=6, groups=GROUPS, settings=GuidedSettings(first=first)) for first in (6, 7)
    ]
    for strategy in strategies:
        strategy.tell(told)
    points = [np.array(strategy.ask(8)) for strategy in strategies]
    assert (points[0][:, 0] == 3).mean() > 0.6, "the model has seen what pays"
    assert (points[1][:, 0] == 3).mean() <= 0.5, "the design is balanced still"


# Views.


def conditioned(points: np.ndarray, values: np.ndarray) -> Conditioned:
    return Model(COUNTS, GROUPS).conditioned(Known(points, values, values))


def test_what_was_looked_up_is_exact_and_what_breaks_a_bound_gains_nothing() -> None:
    problem, points = planted(0), anywhere(60, COUNTS_D, np.random.default_rng(0))
    values = np.array([problem(tuple(row)) for row in points.tolist()])
    reward = Reward("hard", problem.middle_ms)
    view = View(
        aim=Aim(reward),
        value=conditioned(points, values[:, 0]),
        latency=conditioned(points, values[:, 1]),
        excess=conditioned(points, points.sum(axis=1) / 40 - 1.0),
        looks={},
        reached_Q=np.array([0.3]),
        start_PD=points,
        least_ms=1.0,
        scale=1.0,
    )
    asked = anywhere(6, COUNTS_D, np.random.default_rng(1))
    tokens = [tuple(row) for row in asked.tolist()]
    looks = {
        tokens[0]: Look(1000 * reward.target_ms, -0.5),
        tokens[1]: Look(0.5 * reward.target_ms, -0.5),
        tokens[2]: Look(0.5 * reward.target_ms, 0.5),
        tokens[3]: None,
    }
    before, after = (own.worth(asked, 64, np.random.default_rng(2))[..., 0] for own in (view, view.with_looks(looks)))
    drawn = view.value.draws(asked, 64, np.random.default_rng(2))
    assert after[:, 0] == pytest.approx(drawn[:, 0] / 1000)
    assert after[:, 1] == pytest.approx(drawn[:, 1])
    assert after[:, 2] == pytest.approx(np.minimum(drawn[:, 2], 0.3) - 1.0), "less than anything within bounds"
    assert (after[:, 3:] == before[:, 3:]).all(), "a look that found nothing says nothing of the latency"
    promise = view.with_looks(looks).promise(asked, np.random.default_rng(3))
    assert promise[1] > 0 > promise[2] and np.argmin(promise) == 2
