from __future__ import annotations

import json
import os
import random
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from nasfit.architecture import Architecture
from nasfit.errors import UsageError
from nasfit.latency.predictor import Estimate, Predictor
from nasfit.search.calibrating import extreme
from nasfit.search.entrants import entrants, hopefuls
from nasfit.search.estimating import predictor_for
from nasfit.search.evaluate import screened, trained
from nasfit.search.loop import run_trials
from nasfit.search.measuring import measured
from nasfit.search.setup import Setup
from nasfit.study import Proposal, Trial, TrialState


def proposed(setup: Setup, *points: tuple[int, ...]) -> list[Trial]:
    return setup.study.propose([Proposal(point, str(setup.architecture(point)), seed=0) for point in points])


def two_points_of_one_network(setup: Setup) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The skip of a block of one layer that halves its input is built nowhere."""
    small = extreme(setup.space, min)
    for place in range(len(small)):
        other = (*small[:place], (small[place] + 1) % setup.space.option_counts[place], *small[place + 1 :])
        if setup.architecture(small) == setup.architecture(other):
            return small, other
    raise AssertionError("no such pair; look for another one")


def test_equal_networks_are_trained_once_and_answered_later(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened()
    point, other = two_points_of_one_network(setup)
    hopeful = list(screened(setup, proposed(setup, point, other)))
    assert [trial.state for trial in hopeful] == [TrialState.RUNNING] * 2
    first, second = trained(setup, hopeful)
    assert "train" in first.seconds
    assert "train" not in second.seconds
    assert second.duplicate_of == first.number
    assert (second.accuracy, second.reward, second.latency_ms) == (first.accuracy, first.reward, first.latency_ms)
    assert first.reward == setup.reward(first.accuracy, first.latency_ms)
    setup.study.finish([first, second])
    (again,) = screened(setup, proposed(setup, point))
    assert (again.state, again.duplicate_of, again.accuracy) == (TrialState.COMPLETE, first.number, first.accuracy)


def test_above_the_limit_is_pruned_at_chance(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened(target_ms=0.001)
    point, other = two_points_of_one_network(setup)
    first, second = screened(setup, proposed(setup, point, other))
    assert first.state is TrialState.PRUNED
    assert first.reward == pytest.approx(setup.reward(1 / 3, first.latency_ms))
    assert first.accuracy is None
    assert "more than 1.1 times the target" in first.reason
    assert (second.state, second.duplicate_of) == (TrialState.PRUNED, first.number)


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [({"max_size": 0.01}, "MB; --max-size allows 0.01 MB"), ({"max_mb": 0.01}, "of memory; --max-mb allows 0.01 MB")],
)
def test_above_a_bound_is_pruned(opened, bounds: dict[str, float], reason: str) -> None:  # type: ignore[no-untyped-def]
    setup = opened(**bounds)
    (trial,) = screened(setup, proposed(setup, extreme(setup.space, max)))
    assert trial.state is TrialState.PRUNED
    assert reason in trial.reason
    assert trial.latency_ms is not None


def test_within_the_bounds_is_worth_training(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened(max_size=100.0, max_mb=1000.0)
    (trial,) = screened(setup, proposed(setup, extreme(setup.space, min)))
    assert trial.state is TrialState.RUNNING


def test_without_pruning_everything_is_worth_training(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened(target_ms=0.001, prune=0)
    (trial,) = screened(setup, proposed(setup, extreme(setup.space, min)))
    assert trial.state is TrialState.RUNNING
    assert trial.latency_ms > 0.0011


def test_a_killed_worker_fails_its_trial_alone(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened(proxy_images=4_000)
    small = extreme(setup.space, min)
    hopeful = list(screened(setup, proposed(setup, small, (small[0] ^ 1, *small[1:]))))
    killer = threading.Timer(0.5, os.kill, (setup.pool.pids[0], signal.SIGKILL))
    killer.start()
    by_state = {trial.state: trial for trial in trained(setup, hopeful)}
    assert set(by_state) == {TrialState.FAILED, TrialState.COMPLETE}
    assert "SIGKILL" in by_state[TrialState.FAILED].reason
    setup.study.finish(list(by_state.values()))
    setup.study.close()
    after = [event.trial for event in run_trials(opened(max_trials=2))]
    assert after
    assert TrialState.COMPLETE in {trial.state for trial in after}


def test_the_winner_is_chosen_by_promotion_and_once(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened(target_ms=1.0)
    small = extreme(setup.space, min)
    points = [small, (small[0] ^ 1, *small[1:]), (small[0], small[1] ^ 1, *small[2:])]
    values = [(0.9, 0.9), (0.8, 0.9), (0.7, 0.4)]
    trials = []
    for trial, (accuracy, latency_ms) in zip(proposed(setup, *points), values, strict=True):
        changes = {"state": TrialState.COMPLETE, "accuracy": accuracy, "latency_ms": latency_ms, "reward": accuracy}
        trials.append(Trial(**{**trial.__dict__, **changes}))
    setup.study.finish(trials)
    lucky, solid, fast = (trial.architecture for trial in trials)
    setup.study.put_document("promotions", {lucky: 0.5, solid: 0.6})
    chosen = entrants(setup)
    found = [entrant.architecture for entrant in chosen if entrant.origin == "found"]
    assert found == [solid, fast]
    families = {entrant.name.split(" x")[0] for entrant in chosen[2:]}
    assert families == {"mobilenet-v2", "mobilenet-v3-small"}
    setup.study.put_document("promotions", {lucky: 0.9, solid: 0.6})
    assert entrants(setup) == chosen


def test_a_winner_close_to_the_limit_has_a_reserve(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened(target_ms=1.0)
    small = extreme(setup.space, min)
    points = [small, (small[0] ^ 1, *small[1:]), (small[0], small[1] ^ 1, *small[2:])]
    trials = []
    for trial, latency_ms in zip(proposed(setup, *points), (0.97, 0.96, 0.9), strict=True):
        changes = {"state": TrialState.COMPLETE, "accuracy": latency_ms, "latency_ms": latency_ms, "reward": 0.9}
        trials.append(Trial(**{**trial.__dict__, **changes}))
    setup.study.finish(trials)
    found = [entrant.architecture for entrant in entrants(setup) if entrant.origin == "found"]
    assert found == [trials[0].architecture, trials[2].architecture]


def front_trials(setup: Setup, *values: tuple[float, float]) -> list[Trial]:
    """Finished trials of these accuracies and latencies, of networks that differ."""
    small = extreme(setup.space, min)
    points = [(*small[:place], small[place] ^ 1, *small[place + 1 :]) for place in (0, 1, 4, 6, 7, 10)]
    ended = []
    for trial, (accuracy, latency_ms) in zip(proposed(setup, *points[: len(values)]), values, strict=True):
        changes = {"accuracy": accuracy, "latency_ms": latency_ms, "reward": accuracy, "state": TrialState.COMPLETE}
        ended.append(Trial(**{**trial.__dict__, **changes}))
    assert len({trial.architecture for trial in ended}) == len(values)
    setup.study.finish(ended)
    return ended


def test_a_front_is_trained_at_limits_spread_over_it(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened(strategy="random", front_from_ms=1.0, target_ms=16.0)
    # Limits 16, 8, 4, 2, 1 ms: two share one network, the most accurate is too slow, and one is never the best.
    values = [(0.9, 17.0), (0.8, 15.0), (0.7, 3.9), (0.69, 3.8), (0.6, 1.9), (0.5, 1.0)]
    _, top, middle, _, low, least = (trial.architecture for trial in front_trials(setup, *values))
    assert [trial.architecture for trial in hopefuls(setup)] == [top, middle, low, least]
    chosen = entrants(setup)
    assert [e.architecture for e in chosen if e.origin == "found"] == [top, middle, low, least]
    assert "baseline" in {e.origin for e in chosen}


def test_promotion_drops_from_a_front_who_is_no_longer_the_best_at_any_limit(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened(strategy="random", front_from_ms=1.0, target_ms=16.0)
    top, middle, low = (t.architecture for t in front_trials(setup, (0.8, 15.0), (0.7, 3.9), (0.6, 1.9)))
    setup.study.put_document("promotions", {top: 0.7, middle: 0.75})
    # The last was not promoted, for want of time, and stays.
    assert [e.architecture for e in entrants(setup) if e.origin == "found"] == [middle, low]


def test_where_nothing_is_fast_enough_for_a_front_the_fastest_is_trained(opened) -> None:  # type: ignore[no-untyped-def]
    setup = opened(strategy="random", front_from_ms=1.0, target_ms=2.0)
    _, fastest = (trial.architecture for trial in front_trials(setup, (0.8, 4.0), (0.7, 3.0)))
    assert [e.architecture for e in entrants(setup) if e.origin == "found"] == [fastest]


def test_what_a_predictor_is_sure_is_too_slow_is_not_measured(opened, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    setup = opened(target_ms=1.0)
    small = extreme(setup.space, min)
    points = [small, (small[0] ^ 1, *small[1:]), (small[0], small[1] ^ 1, *small[2:]), extreme(setup.space, max)]
    trials = proposed(setup, *points)
    sure, open_, fast, unknown = (trial.architecture for trial in trials)
    told = {sure: Estimate(2.0, 1.9, 2.1), open_: Estimate(1.2, 1.0, 1.3), fast: Estimate(0.5, 0.4, 0.6)}

    class Known:
        def predict(self, networks: list[Architecture]) -> list[Estimate]:
            if str(networks[0]) == unknown:
                raise UsageError("unlike all that it has seen")
            return [told[str(networks[0])]]

    looked_at: list[str] = []

    def measuring(networks, *rest, **more):  # type: ignore[no-untyped-def]
        looked_at.extend(map(str, networks))
        return measured(networks, *rest, **more)

    monkeypatch.setattr("nasfit.search.evaluate.measured", measuring)
    first, *_ = screened(replace(setup, predictor=Known()), trials)
    assert set(looked_at) == {open_, fast, unknown}
    assert (first.architecture, first.state, first.latency_ms) == (sure, TrialState.PRUNED, 2.0)
    assert first.reason == "2 ms estimated (1.9 to 2.1) is more than 1.1 times the target of 1 ms"


def test_a_predictor_of_another_device_is_refused(opened, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    setup = opened()
    draw, counts = random.Random(0), setup.space.option_counts
    networks = [setup.architecture(tuple(draw.randrange(options) for options in counts)) for _ in range(40)]
    predictor = Predictor.fit(networks, [1.0 + n / 40 for n in range(40)], device="elsewhere", engine="litert 1")
    (tmp_path / "p.json").write_text(json.dumps(predictor.to_dict()))
    with pytest.raises(UsageError, match="predicts for elsewhere, litert 1; this search measures on local"):
        predictor_for(setup.instrument, tmp_path / "p.json")
    with pytest.raises(UsageError, match=r"cannot read .*none\.json"):
        predictor_for(setup.instrument, tmp_path / "none.json")
