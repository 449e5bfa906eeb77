"""Whether short training ranks as full training does: pairs, correlation, what the budget leaves out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from nasfit.architecture import published
from nasfit.search import ProxyCheck, ProxyPair
from nasfit.search.entrants import Entrant
from nasfit.search.proxy import keep_pairs, proxies_trained
from nasfit.search.result import Contender
from nasfit.search.setup import Setup
from nasfit.study import Proposal, TrialState

Opener = Callable[..., Setup]


def check(*pairs: tuple[float, float]) -> ProxyCheck:
    return ProxyCheck(tuple(ProxyPair(f"n{i}", proxy, full) for i, (proxy, full) in enumerate(pairs)))


def test_tau_by_hand_and_its_interval() -> None:
    # Of 10 pairs of networks one is ordered the other way.
    some = check((0.1, 0.2), (0.2, 0.3), (0.3, 0.5), (0.4, 0.4), (0.5, 0.9))
    assert some.tau == pytest.approx(0.8)
    assert some.interval is not None
    low, high = some.interval
    assert -1 <= low < 0.8 <= high <= 1
    assert check((0.1, 0.3), (0.2, 0.2), (0.3, 0.1)).tau == -1
    assert ProxyCheck.from_json(json.loads(json.dumps(some.as_json()))) == some


@pytest.mark.parametrize("pairs", [[], [(0.1, 0.2)], [(0.1, 0.2), (0.1, 0.3)]])
def test_no_order_no_tau(pairs: list[tuple[float, float]]) -> None:
    assert check(*pairs).tau is None
    assert check(*pairs).interval is None


def finale(setup: Setup, train_s: float) -> list[Entrant]:
    """A winner whose trial took so long to train, and two baselines, the larger first."""
    texts = [str(setup.fitted(published("mobilenet-v2", width))) for width in (0.1, 0.35, 0.25)]
    (running,) = setup.study.propose([Proposal((0,), texts[0], seed=0)])
    setup.study.finish(
        [
            replace(
                running,
                state=TrialState.COMPLETE,
                accuracy=0.4,
                latency_ms=1.0,
                reward=0.4,
                seconds={"train": train_s},
            )
        ]
    )
    names = (("found-1", "found"), ("large", "baseline"), ("small", "baseline"))
    return [Entrant(name, origin, text) for (name, origin), text in zip(names, texts, strict=True)]


def contender(entrant: Entrant, accuracy: float) -> Contender:
    return Contender(entrant.name, entrant.origin, entrant.architecture, accuracy, 1, 1, 1, 1, 1, 0.0, "o", "w", 9)


def test_baselines_are_trained_as_trials_are_and_once(opened: Opener) -> None:
    setup = opened()
    chosen = finale(setup, train_s=0.01)
    steps = list(proxies_trained(setup, chosen))
    assert [(step.done, step.of) for step in steps] == [(0, 2), (1, 2), (2, 2)]
    proxies = setup.study.document("proxies")
    assert set(proxies) == {"small", "large"}
    assert list(proxies_trained(setup, chosen)) == []
    keep_pairs(setup, [contender(entrant, 0.5) for entrant in chosen])
    kept = ProxyCheck.from_json(setup.study.document("proxy"))
    assert [(pair.name, pair.full) for pair in kept.pairs] == [("found-1", 0.5), ("large", 0.5), ("small", 0.5)]
    assert kept.pairs[0].proxy == 0.4 and kept.pairs[1].proxy == proxies["large"]
    assert kept.left_out == ()


def test_what_the_budget_has_no_room_for_is_left_out_and_named(opened: Opener) -> None:
    setup = opened(budget_s=60.0)
    # 0.12 x 60 s on two workers: enough for the small one only.
    chosen = finale(setup, train_s=4.0)
    assert [step.of for step in proxies_trained(setup, chosen)] == [1, 1]
    assert set(setup.study.document("proxies")) == {"small"}
    keep_pairs(setup, [contender(entrant, 0.5) for entrant in chosen])
    assert ProxyCheck.from_json(setup.study.document("proxy")).left_out == ("large",)
    setup.study.put_document("proxies", None)
    setup.study.add_seconds("promotion", 7.2)
    assert list(proxies_trained(setup, chosen)) == []


def test_a_training_that_failed_is_neither_a_pair_nor_left_out(opened: Opener) -> None:
    setup = opened()
    chosen = finale(setup, train_s=1.0)
    setup.study.put_document("proxies", {"small": None, "large": 0.3})
    keep_pairs(setup, [contender(entrant, 0.5) for entrant in chosen])
    kept = ProxyCheck.from_json(setup.study.document("proxy"))
    assert [pair.name for pair in kept.pairs] == ["found-1", "large"]
    assert kept.left_out == ()
