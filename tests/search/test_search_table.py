"""Searches over a function: what is kept, what is found, and what goes on after an end of any kind."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nasfit.errors import StudyError, UnknownNameError, UsageError
from nasfit.objective import Front, Goal, Reward
from nasfit.search.table import TableSearch, search_table
from nasfit.space import Tokens
from nasfit.study import Study, TrialState

COUNTS = (4,) * 12
GOAL = Reward("hard", target_ms=40.0)
SCRIPT = """
import os, signal, sys
from nasfit.objective import Reward
from nasfit.search.table import search_table

calls = 0

def evaluate(tokens):
    global calls
    calls += 1
    if calls == 15:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0.5 + sum(tokens) / 90, 1.0 + sum((token + 1) * (1 + place % 3) for place, token in enumerate(tokens))

search_table((4,) * 12, evaluate, goal=Reward("hard", 40.0), samples=40, study=sys.argv[1])
"""


def accuracy_of(tokens: Tokens) -> float:
    return 0.5 + sum(tokens) / 90


def latency_of(tokens: Tokens) -> float:
    return 1.0 + sum((token + 1) * (1 + place % 3) for place, token in enumerate(tokens))


def evaluate(tokens: Tokens) -> tuple[float, float]:
    return accuracy_of(tokens), latency_of(tokens)


def bounded(tokens: Tokens) -> tuple[float, float, float]:
    return *evaluate(tokens), sum(tokens) / 16 - 1


def search(of: Callable[[Tokens], Sequence[float]] = evaluate, samples: int = 40, **more: object) -> TableSearch:
    return search_table(COUNTS, of, samples=samples, **{"goal": GOAL, "strategy": "evolution", **more})


def values(found: TableSearch) -> list[object]:
    return [(t.number, t.tokens, t.state, t.accuracy, t.latency_ms, t.reward, t.reason) for t in found.trials]


@pytest.mark.parametrize("strategy", ["guided", "evolution", "nsga2", "random"])
def test_every_strategy_searches_and_trials_say_what_was_evaluated(strategy: str) -> None:
    found = search(strategy=strategy, samples=30)
    assert [trial.number for trial in found.trials] == list(range(30)) and found.looked_up == 0
    for trial in found.trials:
        assert trial.state is TrialState.COMPLETE
        assert (trial.accuracy, trial.latency_ms) == evaluate(trial.tokens)
        assert trial.reward == GOAL(*evaluate(trial.tokens))
    assert found.best is not None and found.best.reward == max(trial.reward or 0 for trial in found.trials)
    assert values(search(strategy=strategy, samples=30)) == values(found), "same seed, same trials"
    assert values(search(strategy=strategy, samples=30, seed=1)) != values(found)


def test_guided_is_the_default_and_finds_more_than_random_search() -> None:
    found = search_table(COUNTS, evaluate, goal=GOAL, samples=60)
    at_random = search(strategy="random", samples=60)
    assert found.best is not None and at_random.best is not None
    assert found.best.reward == pytest.approx(best_by_counting())
    assert (at_random.best.reward or 0) < best_by_counting() - 0.005


def best_by_counting() -> float:
    """Steps cost 1, 2 or 3 ms in four places each, three steps a place; the cheapest are bought first."""
    prices = sorted(price for place in range(12) for price in [1 + place % 3] * 3)
    start_ms = latency_of((0,) * 12)
    return max(GOAL(0.5 + bought / 90, start_ms + sum(prices[:bought])) for bought in range(37))


def test_lists_of_any_numbers_are_taken(tmp_path: Path) -> None:
    import numpy as np

    found = search(lambda tokens: np.array(evaluate(tokens)), samples=3, study=str(tmp_path / "study"))
    assert all(type(trial.accuracy) is float for trial in found.trials)


@pytest.mark.parametrize(
    ("strategy", "of", "latency"),
    [
        ("guided", bounded, latency_of),
        ("evolution", bounded, None),
        ("nsga2", evaluate, None),
    ],
)
def test_a_search_that_goes_on_is_the_same_as_one_in_one_go(
    tmp_path: Path, strategy: str, of: Callable[[Tokens], Sequence[float]], latency: Callable[[Tokens], float] | None
) -> None:
    # The bound and not the target ends what can be reached.
    more = {"strategy": strategy, "latency": latency, "goal": Reward("hard", 60.0)}
    whole = search(of, samples=30, **more)
    for samples in (10, 20, 30):
        parts = search(of, samples=samples, study=tmp_path / "study", **more)
        assert len(parts.trials) == samples
    assert values(parts) == values(whole)
    assert parts.looked_up == whole.looked_up
    assert (whole.looked_up > 100) == (latency is not None)
    calls: list[Tokens] = []
    again = search(lambda t: calls.append(t) or of(t), samples=30, study=tmp_path / "study", **more)
    assert values(again) == values(whole) and not calls, "nothing is left to do"


@pytest.mark.fault
def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "study")], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    with Study.open(tmp_path / "study", read_only=True) as study:
        assert (len(study.trials([TrialState.COMPLETE])), len(study.running())) == (10, 10)
    calls: list[Tokens] = []
    went_on = search(
        lambda tokens: calls.append(tokens) or evaluate(tokens), strategy="guided", study=tmp_path / "study"
    )
    assert len(calls) == 30
    assert values(went_on) == values(search(strategy="guided"))


def test_an_interrupt_ends_the_search_and_the_next_call_goes_on(tmp_path: Path) -> None:
    calls: list[Tokens] = []

    def interrupted(tokens: Tokens) -> tuple[float, float]:
        calls.append(tokens)
        if len(calls) == 17:
            raise KeyboardInterrupt
        return evaluate(tokens)

    with pytest.raises(KeyboardInterrupt):
        search(interrupted, study=tmp_path / "study")
    assert values(search(study=tmp_path / "study")) == values(search())


def test_what_is_raised_makes_a_failed_trial_with_its_reason() -> None:
    def fragile(tokens: Tokens) -> tuple[float, float]:
        if tokens[0] == 2:
            raise RuntimeError("no kernel for 2")
        return evaluate(tokens)

    found = search(fragile, strategy="guided")
    failed = [trial for trial in found.trials if trial.tokens[0] == 2]
    assert failed and all(trial.state is TrialState.FAILED and trial.reward is None for trial in failed)
    assert {trial.reason for trial in failed} == {"RuntimeError: no kernel for 2"}
    assert len(found.complete) == 40 - len(failed)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((0.5,), "ValueError"),
        ((50.0, 3.0), "accuracy is 50.0"),
        ((math.nan, 3.0), "accuracy is nan"),
        ((0.5, 0.0), "latency is 0.0 ms"),
        ((0.5, math.inf), "latency is inf ms"),
        ((0.5, 3.0, math.nan), "one finite excess"),
        ((0.5, 3.0, -0.1, -0.2), "one finite excess"),
        (("half", 3.0), "could not convert"),
        (None, "TypeError"),
    ],
)
def test_an_answer_out_of_range_is_a_failure_that_says_so(answer: Sequence[float], reason: str) -> None:
    found = search(lambda tokens: evaluate(tokens) if tokens[0] else answer, samples=20)
    failed = [trial for trial in found.trials if trial.state is TrialState.FAILED]
    assert {trial.tokens[0] for trial in failed} == {0} and reason in failed[0].reason
    with pytest.raises(StudyError, match=r"every point has failed so far, the first because: .*" + reason):
        search(lambda tokens: answer)


def test_where_all_fail_the_search_ends_after_one_batch() -> None:
    calls: list[Tokens] = []

    def broken(tokens: Tokens) -> tuple[float, float]:
        calls.append(tokens)
        raise OSError("no such table")

    with pytest.raises(StudyError, match="the first because: OSError: no such table"):
        search(broken, batch=7)
    assert len(calls) == 7


def test_a_point_proposed_twice_is_evaluated_once() -> None:
    calls: list[Tokens] = []

    def counting(tokens: Tokens) -> tuple[float, float]:
        calls.append(tokens)
        return 0.5 + tokens[0] / 10, 1.0 + tokens[0]

    found = search_table((3, 1), counting, goal=Reward("soft", 2.0), samples=50, batch=4, strategy="random")
    assert sorted(calls) == [(0, 0), (1, 0), (2, 0)]
    assert len(found.trials) == 4, "and a space that is exhausted ends the search"
    assert len(found.complete) == 3
    (copy,) = [trial for trial in found.trials if trial.duplicate_of is not None]
    first = found.trials[copy.duplicate_of or 0]
    assert first.tokens == copy.tokens and first.accuracy == copy.accuracy and first.duplicate_of is None


def test_what_breaks_a_bound_is_pruned_and_never_the_best() -> None:
    goal = Reward("hard", 60.0)
    found = search(bounded, samples=70, goal=goal, strategy="guided")
    broken = [trial for trial in found.trials if sum(trial.tokens) > 16]
    assert broken and all(trial.state is TrialState.PRUNED for trial in broken)
    assert all(trial.reason.endswith("beyond a bound") for trial in broken)
    assert found.best is not None and sum(found.best.tokens) <= 16
    assert max(goal(*evaluate(trial.tokens)) for trial in broken) > (found.best.reward or 0), "it would have been"
    assert len(broken) < 25, "most keep within it, as three in ten do at random"
    assert found.best.reward == pytest.approx(0.5 + 16 / 90), "sixteen steps, all within the target"


def test_latencies_are_asked_for_once_a_point_and_where_they_fail_nothing_is_evaluated() -> None:
    asked: list[Tokens] = []

    def latency(tokens: Tokens) -> float:
        asked.append(tokens)
        if tokens[1] == 3:
            raise RuntimeError("too large")
        return latency_of(tokens)

    found = search(samples=20, strategy="guided", latency=latency)
    assert len(set(asked)) == len(asked) == found.looked_up > 50
    assert all(trial.tokens[1] != 3 for trial in found.trials)
    assert any(tokens[1] == 3 for tokens in asked)


def test_a_front_is_searched_and_read_off() -> None:
    goal: Goal = Front(35.0, 60.0)
    found = search(goal=goal, samples=50, strategy="guided")
    assert all(trial.reward == trial.accuracy for trial in found.trials)
    front = found.front
    assert len(front) > 5
    assert [t.latency_ms for t in front] == sorted(t.latency_ms or 0 for t in front)
    assert [t.accuracy for t in front] == sorted(t.accuracy or 0 for t in front)
    for limit_ms in (40.0, 48.0, 58.0):
        within = [t for t in found.trials if (t.latency_ms or 0) <= limit_ms]
        best = found.best_under(limit_ms)
        assert best is not None and best.accuracy == max(t.accuracy or 0 for t in within)
        assert best.latency_ms == min(t.latency_ms or 0 for t in within if t.accuracy == best.accuracy)
    assert found.best_under(1.0) is None
    assert found.best is not None and found.best.accuracy == front[-1].accuracy


@pytest.mark.parametrize(
    "changes",
    [
        {"goal": Reward("hard", 41.0)},
        {"goal": Reward("hard", 40.0, beta=-2.0)},
        {"goal": Front(10.0, 40.0), "strategy": "random"},
        {"strategy": "random"},
        {"seed": 1},
        {"groups": (4, 4, 4)},
        {"latency": latency_of},
    ],
)
def test_a_study_of_another_search_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    search(samples=3, study=tmp_path / "study")
    with pytest.raises(StudyError):
        search(samples=3, study=tmp_path / "study", **changes)
    with pytest.raises(StudyError):
        search_table((4,) * 11, evaluate, goal=GOAL, strategy="evolution", samples=3, study=tmp_path / "study")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"samples": 0}, "samples is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"strategy": "guidde"}, "did you mean 'guided'"),
        ({"goal": Front(1.0, 2.0), "strategy": "evolution"}, "follows one reward"),
        ({"groups": (5, 5), "strategy": "guided"}, "groups are"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_malformed_arguments_are_refused_before_anything_is_evaluated(changes: dict[str, object], what: str) -> None:
    calls: list[Tokens] = []
    with pytest.raises((UsageError, UnknownNameError), match=what):
        search(lambda tokens: calls.append(tokens) or evaluate(tokens), **changes)
    assert not calls
