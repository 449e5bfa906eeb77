"""Latencies before training: measured once, kept, answered again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nasfit.architecture import Architecture
from nasfit.errors import TrialFailure
from nasfit.latency.predictor import Estimate
from nasfit.search import lookups, measuring
from nasfit.search.calibrating import extreme
from nasfit.search.documents import look_seconds
from nasfit.search.evaluate import screened
from nasfit.search.lookups import StudyLookups
from nasfit.search.measuring import measured
from nasfit.search.outcomes import Outcomes
from nasfit.search.setup import Setup
from nasfit.space import Tokens
from nasfit.study import Proposal, TrialState

Opener = Callable[..., Setup]


def neighbours(setup: Setup, number: int) -> list[Tokens]:
    """Small networks that differ."""
    small = extreme(setup.space, min)
    return [(*small[:place], small[place] ^ 1, *small[place + 1 :]) for place in range(number)]


def test_a_point_is_measured_once_whoever_asks_and_when(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    exported: list[str] = []
    candidate = measuring.Instrument.candidate

    def counting(self: measuring.Instrument, network: Architecture) -> object:
        exported.append(str(network))
        return candidate(self, network)

    monkeypatch.setattr(measuring.Instrument, "candidate", counting)
    setup = opened()
    first, second, third = neighbours(setup, 3)
    looks = StudyLookups(setup)
    assert looks.known() == {}
    found = looks([first, second, first])
    assert found[0] == found[2] and found[0] is not None and found[0].latency_ms > 0
    assert looks.known() == {first: found[0], second: found[1]}
    spent = look_seconds(setup.study)
    assert spent > 0
    setup.study.close()

    setup = opened()
    again = StudyLookups(setup)
    assert again.known() == looks.known()
    assert again([second, first]) == [found[1], found[0]]
    assert look_seconds(setup.study) == spent
    points = setup.study.propose([Proposal(point, str(setup.architecture(point)), seed=0) for point in (first, third)])
    asked, _ = screened(setup, points)
    assert asked.latency_ms == found[0].latency_ms
    assert exported == [str(setup.architecture(point)) for point in (first, second, third)]


def test_a_long_list_is_stored_group_by_group(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    setup, calls = opened(), list[int]()

    def measuring_(networks: list[Architecture], *rest: object, **more: object) -> dict[str, TrialFailure]:
        calls.append(len(networks))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return {str(network): TrialFailure("no such operator") for network in networks}

    monkeypatch.setattr(lookups, "measured", measuring_)
    monkeypatch.setattr(lookups, "TOGETHER", 2)
    with pytest.raises(KeyboardInterrupt):
        StudyLookups(setup)(neighbours(setup, 3))
    kept = setup.study.lookups.all()
    assert [look.tokens for look in kept] == neighbours(setup, 2)
    assert {(look.latency_ms, look.reason) for look in kept} == {(None, "no such operator")}
    assert list(StudyLookups(setup).known().values()) == [None, None]


def test_bounds_come_with_the_latency(opened: Opener) -> None:
    setup = opened(max_size=0.01, max_mb=1000.0)
    (point,) = neighbours(setup, 1)
    (look,) = StudyLookups(setup)([point])
    assert look is not None and look.excess is not None
    network = setup.architecture(point)
    kept = setup.instrument.kept([network], setup.study.measurements)[str(network)]
    assert look.excess == pytest.approx(kept.size_bytes / 1e4 - 1)
    (trial,) = screened(setup, setup.study.propose([Proposal(point, str(network), seed=0)]))
    assert trial.state is TrialState.PRUNED
    assert Outcomes.of(setup)(trial).excess == look.excess


def test_what_a_predictor_is_sure_is_too_slow_is_answered_by_its_estimate(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = opened(target_ms=1.0)
    sure, open_ = neighbours(setup, 2)
    slower, open_text = (str(setup.architecture(point)) for point in (sure, open_))
    told = {slower: Estimate(2.0, 1.9, 2.1), open_text: Estimate(1.0, 0.9, 1.2)}

    class Known:
        def predict(self, networks: list[Architecture]) -> list[Estimate]:
            return [told[str(networks[0])]]

    looked_at: list[str] = []

    def spying(networks: list[Architecture], *rest: object, **more: object) -> object:
        looked_at.extend(map(str, networks))
        return measured(networks, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(lookups, "measured", spying)
    slow, _ = StudyLookups(replace(setup, predictor=Known()))([sure, open_])  # type: ignore[arg-type]
    assert slow is not None and slow.latency_ms == 2.0
    assert looked_at == [open_text]


@pytest.mark.parametrize(("train_s", "looks"), [(0.1, 2), (8.0, 5), (100.0, 8)])
def test_looking_costs_less_than_training_and_stays_as_chosen(opened: Opener, train_s: float, looks: int) -> None:
    setup = opened()
    (running,) = setup.study.propose([Proposal((0,), "net", seed=0)])
    seconds = {"train": train_s, "measure": 0.4}
    setup.study.finish(
        [replace(running, state=TrialState.COMPLETE, accuracy=0.5, latency_ms=1.0, reward=0.5, seconds=seconds)]
    )
    assert setup.pool.workers == 2
    assert StudyLookups(setup).per_proposal == looks == setup.study.document("looks a proposal")
    setup.study.put_document("looks a proposal", 3)
    assert StudyLookups(setup).per_proposal == 3
