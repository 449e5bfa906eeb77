"""An earlier study gives hints, once, and is then needed no more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nasfit.errors import UsageError
from nasfit.search import Settings, loop, proposing, run_search
from nasfit.search.outcomes import Outcomes
from nasfit.search.proposing import restored_strategy
from nasfit.search.setup import Setup
from nasfit.search.warm_start import hints, keep_earlier, warm_start_text
from nasfit.space import SearchSpace, named_space
from nasfit.strategies import Strategy, make_strategy
from nasfit.study import LookedUp, Proposal, Study, TrialState

Opener = Callable[..., Setup]
MNASNET = named_space("mnasnet")
COUNTS = MNASNET.option_counts


def point(*first: int) -> tuple[int, ...]:
    return (*first, *(0,) * (len(COUNTS) - len(first)))


def earlier(path: Path, space: str = "mnasnet") -> Path:
    """A study with two trained networks, one pruned, one stopped early, one looked up."""
    with Study.create(path, Settings("d", 1.0).as_json()) as study:
        study.put_document("space", {"name": space, "definition": "of an earlier version"})
        begun = study.propose([Proposal(point(number), f"net {number}", seed=0) for number in range(4)])
        ends: list[dict[str, Any]] = [
            {"state": TrialState.COMPLETE, "accuracy": 0.7, "latency_ms": 1.0, "reward": 0.7},
            {"state": TrialState.COMPLETE, "accuracy": 0.8, "latency_ms": 2.0, "reward": 0.8},
            {"state": TrialState.PRUNED, "latency_ms": 3.0, "reward": 0.1},
            {"state": TrialState.STOPPED, "accuracy": 0.6, "latency_ms": 2.5, "reward": 0.6},
        ]
        study.finish([replace(trial, **end) for trial, end in zip(begun, ends, strict=True)])
        study.lookups.add([LookedUp(point(0, 1), 1.5), LookedUp(point(0, 0, 1), None, reason="no such operator")])
    return path


def test_accuracies_and_latencies_are_copied_and_become_hints(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = earlier(tmp_path / "before")
    setup = opened(strategy="guided", warm_start=str(path))
    keep_earlier(setup.study, str(path), setup.space)
    document = setup.study.document("warm start")
    assert document["accuracies"] == [[list(point(0)), 0.7], [list(point(1)), 0.8]]
    assert sorted(value for _, value in document["latencies"]) == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert warm_start_text(document) == f"hints from {path}: 2 trained and 5 measured networks"
    shutil.rmtree(path)
    given: dict[str, Any] = {}

    def spy(*names: Any, **options: Any) -> Strategy:
        given.update(options)
        return make_strategy("random", COUNTS, seed=0)

    monkeypatch.setattr(proposing, "make_strategy", spy)
    restored_strategy(setup, Outcomes.of(setup))
    for hint in (*given["accuracy_hints"], *given["latency_hints"]):
        assert len(hint([point(0), point(3, 1)])) == 2
    assert (len(given["accuracy_hints"]), len(given["latency_hints"])) == (1, 1)
    assert given["groups"] == setup.space.groups and sum(given["groups"]) == len(COUNTS)
    assert given["goal"] == setup.goal
    assert hints(replace(setup, settings=replace(setup.settings, warm_start=None))) == ((), ())


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (named_space("mnasnet-7"), r"it has 30 decisions, space 'mnasnet-7' of this search has 42"),
        (
            replace(
                named_space("mnasnet"), blocks=(named_space("mnasnet").blocks[0], *named_space("mnasnet").blocks[2:])
            ),
            "it has 30 decisions, space 'mnasnet' of this search has 24",
        ),
    ],
)
def test_another_space_is_refused_with_what_differs(
    opened: Opener, tmp_path: Path, space: SearchSpace, words: str
) -> None:
    path = earlier(tmp_path / "before")
    with pytest.raises(UsageError, match=rf"searched another space \('mnasnet'\): {words}"):
        keep_earlier(opened(strategy="guided").study, str(path), space)


def test_other_option_counts_and_unknown_ones_are_refused(opened: Opener, tmp_path: Path) -> None:
    path, study = earlier(tmp_path / "before", "my own"), opened(strategy="guided").study
    with pytest.raises(UsageError, match="how many options its decisions have is not kept"):
        keep_earlier(study, str(path), named_space("mnasnet"))
    with Study.open(path) as before:
        before.put_document("space", {"name": "my own", "options": [*COUNTS[:2], 9, *COUNTS[3:]]})
    with pytest.raises(UsageError, match=f"its decision 2 has 9 options, .* 'mnasnet' {COUNTS[2]}"):
        keep_earlier(study, str(path), named_space("mnasnet"))
    with Study.open(path) as before:
        before.put_document("space", {"name": "my own", "options": list(COUNTS)})
    keep_earlier(study, str(path), named_space("mnasnet"))


def test_nothing_to_start_from_is_said_before_anything_is_created(pictures: Path, tmp_path: Path) -> None:
    settings = Settings(str(pictures), 1.0, warm_start=str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"--warm-start names .*none', which holds no study"):
        next(run_search(settings, tmp_path / "study"))
    assert not (tmp_path / "study").exists()


def test_a_study_without_a_trained_network_gives_no_hints(opened: Opener, tmp_path: Path) -> None:
    with Study.create(tmp_path / "before", {}) as before:
        before.put_document("space", {"name": "mnasnet", "definition": ""})
    with pytest.raises(UsageError, match="has no trained trial"):
        keep_earlier(opened(strategy="guided").study, str(tmp_path / "before"), named_space("mnasnet"))


def test_with_an_earlier_study_fewer_networks_are_random(opened: Opener) -> None:
    setup = opened(budget_s=600.0)
    hinted = replace(setup, settings=replace(setup.settings, strategy="guided", warm_start="earlier"))
    rooms = [loop._room(one, loop._Deadline(one)) for one in (setup, hinted)]
    assert rooms == [loop.RANDOM_TRAINED, loop.RANDOM_HINTED]
