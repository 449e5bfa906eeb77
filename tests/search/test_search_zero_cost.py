"""Zero-cost scores of a study: kept, compared with its accuracies, given as hints, and used to drop proposals."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nasfit.architecture import Architecture, count
from nasfit.errors import UsageError
from nasfit.search import Noted, Settings, loop, screening, zero_cost
from nasfit.search.loop import run_trials
from nasfit.search.outcomes import Outcomes
from nasfit.search.proposing import restored_strategy
from nasfit.search.score_worth import MOST_RANKED, kept_scores, score_agreements, scores_wanted
from nasfit.search.screening import DROPPED, FEWEST, Screen, parted, screen_now
from nasfit.search.setup import Setup
from nasfit.search.zero_cost import keep_scores, score_hints, scored
from nasfit.study import Proposal, Trial, TrialState
from nasfit.training import SCORES
from nasfit.training.zero_cost import COUNTED

Opener = Callable[..., Setup]


def points(setup: Setup, number: int, seed: int = 0) -> list[tuple[int, ...]]:
    counts = setup.space.option_counts
    return [tuple(row) for row in np.random.default_rng(seed).integers(counts, size=(number, len(counts))).tolist()]


def madds(trial: Trial) -> int:
    return count(Architecture.parse(trial.architecture)).madds


def proposed(setup: Setup, number: int, seed: int = 0) -> list[Trial]:
    texts = [(point, str(setup.architecture(point))) for point in points(setup, number, seed)]
    return setup.study.propose([Proposal(point, text, seed=0, origin="random") for point, text in texts])


def trained(setup: Setup, number: int, sign: int = 1, noise: float = 0.0) -> list[Trial]:
    """Finished trials whose accuracies follow their multiply-adds, upwards or downwards."""
    running = proposed(setup, number)
    order = np.argsort(np.argsort([madds(trial) for trial in running]))
    values = 0.5 + sign * (order / 100 + noise * np.random.default_rng(1).normal(size=number))
    ends: dict[str, Any] = {"state": TrialState.COMPLETE, "latency_ms": 1.0, "reward": 0.5}
    return setup.study.finish(
        [replace(trial, accuracy=float(value), **ends) for trial, value in zip(running, values, strict=True)]
    )


def test_scores_are_computed_once_and_kept(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = opened()
    networks = [str(setup.architecture(point)) for point in points(setup, 2)]
    first = scored(setup, networks[:1], ("madds", "synflow"))
    assert first[0]["madds"] == count(Architecture.parse(networks[0])).madds
    assert kept_scores(setup.study) == {networks[0]: first[0]}
    monkeypatch.setattr(zero_cost, "run_zero_cost", None)
    assert scored(setup, networks[:1], ("synflow",)) == first
    # What is missing is added to what is there, and counting needs no worker.
    both = scored(setup, networks, ("parameters",))
    assert both[0] == {**first[0], "parameters": count(Architecture.parse(networks[0])).parameters}
    assert set(both[1]) == {"parameters"}


def failing(job: object) -> dict[str, float]:
    raise RuntimeError("no gradient")


def test_a_network_that_cannot_be_scored_has_none_and_is_not_asked_again(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = opened()
    network = str(setup.architecture(points(setup, 1)[0]))
    monkeypatch.setattr(zero_cost, "run_zero_cost", failing)
    assert scored(setup, [network], ("zen",)) == [{"zen": None}]
    monkeypatch.setattr(zero_cost, "run_zero_cost", None)
    assert scored(setup, [network], ("zen",)) == [{"zen": None}]


def asked_for(setup: Setup, **changes: Any) -> Setup:
    """The same study, asked for something else."""
    return replace(setup, settings=replace(setup.settings, **changes))


def test_of_thousands_of_networks_some_hundred_judge_a_score() -> None:
    trials = [
        Trial(n, (n,), f"net {n}", 0, state=TrialState.COMPLETE, accuracy=n / 5000, latency_ms=1.0) for n in range(5000)
    ]
    kept = {trial.architecture: {"madds": float(trial.number)} for trial in trials}
    found = score_agreements(trials, kept, ["madds"])["madds"]
    assert found is not None and found.tau == 1 and MOST_RANKED / 2 <= found.networks <= MOST_RANKED
    few = score_agreements(trials[:9], kept, ["madds"])["madds"]
    assert few is not None and few.networks == 9
    assert score_agreements([], {}, ["madds"]) == {"madds": None}


def test_what_a_study_looks_at_follows_from_hints_and_screen(opened: Opener) -> None:
    setup = opened(strategy="guided")
    asked = [("none", "none"), ("counts", "none"), ("none", "zen"), ("counts", "zen"), ("none", "auto")]
    wanted = [scores_wanted(asked_for(setup, hints=hints, screen=screen).settings) for hints, screen in asked]
    assert wanted == [(), COUNTED, ("zen",), (*COUNTED, "zen"), SCORES]
    trained(setup, 2)
    keep_scores(setup)
    assert kept_scores(setup.study) == {}


def test_each_score_is_compared_with_this_studys_accuracies(opened: Opener) -> None:
    setup = opened(screen="madds")
    trials = trained(setup, 8, sign=-1)
    keep_scores(setup)
    found = score_agreements(trials, kept_scores(setup.study), ("madds", "zen"))
    assert found["madds"] is not None and found["zen"] is None
    assert (found["madds"].tau, found["madds"].networks) == (pytest.approx(-1.0), 8)
    # Neither failures nor repeats count.
    again = [replace(trials[0], duplicate_of=3), replace(trials[1], state=TrialState.FAILED), *trials[2:]]
    assert score_agreements(again, kept_scores(setup.study), ("madds",))["madds"].networks == 6  # type: ignore[union-attr]


def test_hints_guess_the_score_of_points_that_were_not_scored(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zero_cost, "COUNTED_POINTS", 120)
    setup = opened(strategy="guided", hints="counts")
    hints = score_hints(setup)
    assert len(hints) == 2
    others = points(setup, 60, seed=9)
    real = [np.log(count(setup.architecture(point)).madds) for point in others]
    assert np.corrcoef(hints[1](others), real)[0, 1] > 0.8
    # Made again from what is kept, they say the same.
    assert list(score_hints(setup)[1](others)) == list(hints[1](others))
    assert score_hints(asked_for(setup, hints="none")) == ()


def test_the_strategy_gets_the_hints(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasfit.search.proposing.score_hints", lambda setup: ("one", "two"))
    given: dict[str, Any] = {}
    monkeypatch.setattr("nasfit.search.proposing.make_strategy", lambda *_, **options: given.update(options))
    setup = opened(strategy="guided", hints="counts")
    restored_strategy(setup, Outcomes.of(setup))
    assert given["accuracy_hints"] == ("one", "two")


def test_a_score_that_ranks_well_here_drops_the_lowest_third(opened: Opener) -> None:
    setup = opened(screen="madds")
    trained(setup, FEWEST)
    keep_scores(setup)
    screen = screen_now(setup)
    assert screen is not None and screen.score == "madds"
    assert "madds, ranks the 16 networks trained so far with tau 1.00" in screen.text
    assert "the lowest third of each batch by it is dropped" in screen.text
    assert [screen.wanted(number) for number in (2, 8)] == [3, 12]
    running = proposed(setup, 9, seed=5)
    trials = list(parted(setup, screen, running))
    dropped = [trial for trial in trials if trial.state is TrialState.PRUNED]
    kept = [trial for trial in trials if trial.state is TrialState.RUNNING]
    assert len(dropped) == int(9 * DROPPED) and len(kept) == 6
    assert max(map(madds, dropped)) < min(map(madds, kept))
    assert all("madds" in trial.reason and "lowest third" in trial.reason for trial in dropped)
    assert Outcomes.of(setup)(setup.study.finish(dropped)[0]).reward is None


@pytest.mark.parametrize(
    ("number", "sign", "noise", "words"),
    [
        (FEWEST - 1, 1, 0.0, "nothing is dropped before 16 networks are trained"),
        (FEWEST, -1, 0.0, "with tau -1.00 .* nothing is dropped, for that takes 0.2 at the lower end"),
        (FEWEST, 1, 0.1, "nothing is dropped, for that takes 0.2 at the lower end"),
    ],
)
def test_a_score_that_has_not_shown_its_worth_drops_nothing(
    opened: Opener, number: int, sign: int, noise: float, words: str
) -> None:
    setup = opened(screen="madds")
    trained(setup, number, sign, noise)
    keep_scores(setup)
    screen = screen_now(setup)
    assert screen is not None and screen.score is None
    assert re.search(words, screen.text)
    running = proposed(setup, 6, seed=5)
    assert list(parted(setup, screen, running)) == running
    assert screen.wanted(5) == 5


def test_the_best_of_many_scores_must_be_surer_than_one_alone(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = opened(screen="auto")
    trials = trained(setup, FEWEST, noise=0.05)
    keep = {trial.architecture: {name: float(madds(trial)) for name in SCORES} for trial in trials}
    setup.study.put_document(zero_cost.DOCUMENT, keep)
    asked = []
    real = score_agreements

    def spied(trials: Sequence[Trial], kept: Any, names: Sequence[str], outside: float) -> Any:
        asked.append((len(names), outside))
        return real(trials, kept, names, outside)

    monkeypatch.setattr(screening, "score_agreements", spied)
    many = screen_now(setup)
    one = screen_now(asked_for(setup, screen="madds"))
    assert asked == [(7, pytest.approx(0.1 / 7)), (1, 0.1)]
    assert many is not None and one is not None and "the best of 7 scores" in many.text and "98.6 %" in many.text
    assert screen_now(asked_for(setup, screen="none")) is None


def test_a_search_tells_what_its_screen_does_and_stores_what_it_drops(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = opened(screen="madds", max_trials=4)
    monkeypatch.setattr(loop, "RANDOM_TRAINED", 2)
    monkeypatch.setattr(loop, "BATCH_SIZES", {"standalone": 2})
    monkeypatch.setattr(loop, "screen_now", lambda _: Screen("madds", "screen: on"))
    events = list(run_trials(setup))
    assert [event.text for event in events if isinstance(event, Noted)] == ["screen: on"]
    trials = setup.study.trials()
    dropped = [trial for trial in trials if trial.state is TrialState.PRUNED]
    assert all(trial.origin == "evolution" and trial.latency_ms is None for trial in dropped)
    assert sum("train" in trial.seconds for trial in trials) == 4
    trained_ones = [t.architecture for t in trials if t.state is TrialState.COMPLETE and t.duplicate_of is None]
    assert set(trained_ones) <= set(kept_scores(setup.study))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"screen": "zenn"}, "unknown --screen 'zenn'; did you mean 'zen'"),
        ({"hints": "count"}, "did you mean 'counts'"),
        ({"hints": "counts", "strategy": "evolution"}, "strategy 'evolution' cannot use"),
    ],
)
def test_names_that_are_not_known(changes: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Settings("photos", 1.0, **changes)  # type: ignore[arg-type]
