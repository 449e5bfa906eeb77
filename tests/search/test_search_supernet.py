"""The supernet evaluator: trained once over networks of a useful size, then every network is scored with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from nasfit.architecture import count
from nasfit.search import loop, supernet
from nasfit.search.loop import run_trials
from nasfit.search.setup import Setup
from nasfit.space import BlockChoices, SearchSpace
from nasfit.study import TrialState
from nasfit.training.shared_file import read_facts

Opener = Callable[..., Setup]
TINY = SearchSpace("tiny", (BlockChoices((16, 24), (1, 2), 2), BlockChoices((32, 48), (1,), 2)), head_filters=64)


@pytest.fixture
def opened_supernet(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> Opener:
    monkeypatch.setattr(loop, "RANDOM_TRAINED", 3)
    monkeypatch.setattr(supernet, "SUPERNET_MEMBERS", 4)
    monkeypatch.setattr(supernet, "supernet_images", lambda setup: 400)

    def make(**changes: Any) -> Setup:
        setup = opened(proxy_images=320, budget_s=3600.0, **changes)
        return replace(setup, space=TINY, plan=replace(setup.plan, evaluator="supernet"))

    return make


def test_it_is_trained_once_and_scores_every_trial(opened_supernet: Opener) -> None:
    setup = opened_supernet(max_trials=8)
    running = run_trials(setup)
    first = [event.trial for event in islice(running, 1)]
    content = (setup.study.path / supernet.SUPERNET_FILE).read_bytes()
    running.close()
    setup.study.close()
    setup = opened_supernet(max_trials=8)
    trained = [t for t in [*first, *(event.trial for event in run_trials(setup))] if "train" in t.seconds]
    assert len(trained) == 8
    assert all(trial.state is TrialState.COMPLETE and trial.reward is not None for trial in trained)
    assert (setup.study.path / supernet.SUPERNET_FILE).read_bytes() == content
    facts = read_facts(setup.study.path / supernet.SUPERNET_FILE)
    assert facts.images == 400
    # What its training took is told with the first batch, once.
    paid = [trial.seconds["supernet"] for trial in trained if "supernet" in trial.seconds]
    assert sum(paid) == pytest.approx(facts.seconds)


def test_a_training_that_is_interrupted_between_its_stages_goes_on(
    opened_supernet: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = opened_supernet(max_trials=3)
    train, stages = supernet.train_together, list[Any]()

    def once(*given: Any, **named: Any) -> Any:
        stages.append(named["seed"])
        if len(stages) == 2:
            raise KeyboardInterrupt
        return train(*given, **named)

    monkeypatch.setattr(supernet, "train_together", once)
    with pytest.raises(KeyboardInterrupt):
        list(run_trials(setup))
    setup.study.close()
    setup = opened_supernet(max_trials=3)
    assert read_facts(setup.study.path / supernet.SUPERNET_FILE).images == 100
    list(run_trials(setup))
    assert read_facts(setup.study.path / supernet.SUPERNET_FILE).images == 400
    assert stages == [0, 1, 1]


def test_its_networks_are_about_as_large_as_those_that_meet_the_limit(opened_supernet: Opener) -> None:
    setup = opened_supernet()
    small = setup.architecture((1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0))
    large = setup.architecture((2, 1, 0, 0, 1, 0, 2, 1, 0, 0, 0, 0))
    found = supernet.representatives(setup, [small, large])
    assert 1 < len(found) <= 4
    for architecture in found:
        assert count(small).madds <= count(architecture).madds <= count(large).madds
