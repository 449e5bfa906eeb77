"""A long search checks its own proxy first: when, what it chooses, what becomes of the networks trained."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nasfit.architecture import count
from nasfit.search import Noted, ProxyStep, proxy_start
from nasfit.search.evaluate import proxy_job
from nasfit.search.loop import run_trials
from nasfit.search.proxy_choice import Length, ProxyChoice
from nasfit.search.proxy_design import Training
from nasfit.search.proxy_start import NETWORKS, ORIGIN, trials_of_check, with_proxy
from nasfit.search.setup import Setup
from nasfit.study import TrialState
from nasfit.training import TrainingJob

Opener = Callable[..., Setup]
Kept = dict[str, dict[str, Any]]
LONG = {"budget_s": 8000.0}  # 800 core seconds for the check: 6 networks, 600 pictures a second


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Training]]:
    """Trainings that are not done: accuracy grows with multiply-adds, in the shortest ones it falls."""
    asked: list[Training] = []

    def trained(design: Any, study: Any, pool: object, job: Callable[[Training], TrainingJob]) -> Iterator[Any]:
        rows = dict(study.document("proxy trainings") or {})
        for done, training in enumerate(design.trainings, start=1):
            made = job(training)
            assert (made.recipe.images, made.seed) == (training.images, training.seed)
            asked.append(training)
            order = sorted(design.networks, key=lambda one: count_of(one)).index(training.network)
            sign = -1 if training.images == design.budgets[0] else 1
            rows[training.key] = {"accuracy": 0.5 + sign * order / 100, "seconds": 0.5}
            study.put_document("proxy trainings", rows)
            yield done, len(design.trainings)

    def candidates(setup: Setup, clock: object, seconds: float) -> dict[tuple[int, ...], float]:
        counts = setup.space.option_counts
        rows = np.random.default_rng(0).integers(counts, size=(12, len(counts))).tolist()
        return {tuple(row): 0.1 + place / 100 for place, row in enumerate(rows)}

    monkeypatch.setattr(proxy_start, "_candidates", candidates)
    monkeypatch.setattr(proxy_start, "trained", trained)
    monkeypatch.setattr(proxy_start, "speeds_of", lambda networks, *_: [600.0] * len(networks))
    yield asked


def count_of(network: str) -> int:
    from nasfit.architecture import Architecture

    return count(Architecture.parse(network)).madds


def started(setup: Setup) -> tuple[list[ProxyStep | Noted], Setup]:
    """What with_proxy tells, and the setup it gives back."""
    running: Generator[ProxyStep | Noted, None, Setup] = with_proxy(setup)
    told = []
    while True:
        try:
            told.append(next(running))
        except StopIteration as ended:
            return told, ended.value


@pytest.mark.parametrize(
    "changes",
    [
        {"budget_s": 60.0},
        {**LONG, "proxy_wish": 0.0},
        {**LONG, "max_trials": 10},
        {**LONG, "proxy_images": 64},
    ],
)
def test_short_searches_and_those_that_say_how_long_check_nothing(
    opened: Opener, trainings: list[Training], changes: dict[str, Any]
) -> None:
    setup = opened(**{"proxy_images": 64, **changes})
    fixed = replace(setup, settings=replace(setup.settings, proxy_images=changes.get("proxy_images")))
    assert started(fixed) == ([], fixed)
    assert trainings == []


def test_the_shortest_that_ranks_becomes_the_studys_and_is_kept(opened: Opener, trainings: list[Training]) -> None:
    setup = opened(**LONG)
    told, after = started(setup)
    design = setup.study.document("proxy design")
    assert len(design["networks"]) == NETWORKS and len(design["budgets"]) == 4
    # All within the time: 6 networks at 600 a second.
    assert 6 * (design["full"] + sum(design["budgets"])) / 600 <= 0.1 * 0.5 * 8000 * 2
    assert after.plan.proxy_images == design["budgets"][1]
    assert after.plan.trial_s == pytest.approx(after.plan.proxy_images / 600)
    assert "the fewest that rank with tau 0.8 or more" in after.plan.proxy_reason
    assert setup.study.document("plan") == after.plan.as_json()
    assert f"that length: {after.plan.proxy_reason}" in list(after.plan.lines(after.settings))
    assert isinstance(told[-1], Noted) and f"{after.plan.proxy_images:,} pictures" in told[-1].text
    assert len(trainings) == 6 * 5
    # What was chosen stands.
    assert started(after) == ([], after)


def test_the_networks_of_that_length_are_trials_once_and_the_first_batch_is_random_all_the_same(
    opened: Opener, trainings: list[Training]
) -> None:
    _, setup = started(opened(**LONG, max_trials=24))
    chosen = [one for one in trainings if one.images == setup.plan.proxy_images]
    small = replace(setup, plan=replace(setup.plan, proxy_images=setup.plan.proxy_images))
    trials = list(trials_of_check(small))
    assert {trial.architecture for trial in trials} == {one.network for one in chosen}
    assert all(trial.state is TrialState.COMPLETE and trial.latency_ms and trial.reward for trial in trials)
    assert {trial.origin for trial in trials} == {ORIGIN}
    kept: Kept = setup.study.document("proxy trainings")
    by_network = {trial.architecture: trial for trial in trials}
    for one in chosen:
        assert by_network[one.network].accuracy == kept[one.key]["accuracy"]
        assert proxy_job(setup, one.network, setup.settings.seed).seed == one.seed
    setup.study.finish(trials)
    assert list(trials_of_check(setup)) == []
    assert not proxy_start.searched(setup)
    quick = replace(
        setup, plan=replace(setup.plan, proxy_images=64), settings=replace(setup.settings, max_trials=NETWORKS + 1)
    )
    events = [event for event in run_trials(quick) if not isinstance(event, Noted)]
    assert "random" in {event.trial.origin for event in events}


def test_a_check_that_was_cut_goes_on_with_its_own_networks(opened: Opener, trainings: list[Training]) -> None:
    setup = opened(**LONG)
    running = with_proxy(setup)
    next(running)
    running.close()
    before = setup.study.document("proxy design")
    _, after = started(setup)
    assert setup.study.document("proxy design") == before
    assert after.plan.proxy_images in before["budgets"]
    assert setup.study.seconds()["calibration"] > 0


def test_what_leaves_no_time_for_enough_trials_is_cut_and_said(opened: Opener) -> None:
    setup = opened(budget_s=100.0)
    lengths = (Length(10_000, 1.0, 0.5, None, 0.1),)
    choice = ProxyChoice(0.8, None, lengths, 20_000, 1.0, None, ("a",) * 6, (0.5,) * 6, {})
    plan = proxy_start._chosen(setup, choice)
    # 50 s on two workers, 600 pictures a second, 24 trials.
    assert plan.proxy_images == 2500
    assert plan.proxy_reason.startswith("as many as leave time for 24 trials, though no length tried ranks")


def test_candidates_meet_the_limit_and_too_few_are_no_check(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = opened(**LONG, target_ms=1000.0, prune=1.0)
    monkeypatch.setattr(proxy_start, "GROUP", 6)
    clock = proxy_start._Clock(setup)
    first_ticks = iter((0.0, 2.0))
    monkeypatch.setattr(clock, "tick", lambda: next(first_ticks))
    # A limit that one of the group misses, whatever the machine.
    *_, limit_ms, _ = sorted(proxy_start._candidates(setup, clock, 1.0).values())
    setup = replace(setup, settings=replace(setup.settings, target_ms=limit_ms))
    found = proxy_start._candidates(setup, proxy_start._Clock(setup), 1e-9)
    assert found == {}
    clock = proxy_start._Clock(setup)
    ticks = iter((0.0, 2.0))
    monkeypatch.setattr(clock, "tick", lambda: next(ticks))
    found = proxy_start._candidates(setup, clock, 1.0)
    # One group was measured; of it those within the limit are left.
    assert all(ms <= limit_ms for ms in found.values()) and len(found) == 5
    monkeypatch.setattr(proxy_start, "_candidates", lambda *_: found)
    assert started(setup) == ([], setup)
    assert setup.study.document("proxy design") == {"none": True}
