"""A search whose trials are short trainings of detectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nasfit.architecture import Detector, adapted, detector_on
from nasfit.devices import open_device
from nasfit.errors import StudyError, UnknownNameError, UsageError
from nasfit.models import build, load_network, save_network
from nasfit.search import detector_search
from nasfit.search.detector_search import (
    inherited_backbone,
    measured_ms,
    proxy_precision,
    search_detectors,
)
from nasfit.search.detector_settings import DetectorPlan, keep_plan
from nasfit.search.detector_study import DetectorSearchSettings
from nasfit.search.detector_winner import winner_settings
from nasfit.space import named_space
from nasfit.study import TrialState
from nasfit.tasks import load_detection
from nasfit.training.backbone_file import backbone_weights


@pytest.fixture
def pictures(marked: Callable[..., Path], tmp_path: Path) -> Path:
    return marked(tmp_path / "pictures", 12, size=(64, 64), white=(20, 10, 60, 40), told=(20, 10, 60, 40))


def settings(pictures: Path, **options: object) -> DetectorSearchSettings:
    asked = DetectorSearchSettings(
        str(pictures), 1.0, trials=12, proxy_epochs=1, resolution=64, batch=4, width=0.25, strategy="evolution"
    )
    return replace(asked, **options)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Detector]]:
    """Latency by parameters and mAP by depth, and which detectors were trained."""
    trained: list[Detector] = []

    def precision(detector: Detector, *_: object) -> float:
        trained.append(detector)
        return sum(block.layers for block in detector.backbone.blocks) / 100

    monkeypatch.setattr(detector_search, "measured_ms", lambda detector, _: _ms(detector))
    monkeypatch.setattr(detector_search, "proxy_precision", precision)
    yield trained


def _ms(detector: Detector) -> float:
    return sum(block.filters for block in detector.backbone.blocks) / 105


def test_slow_detectors_are_not_trained_and_the_best_is_handed_over(
    pictures: Path, tmp_path: Path, quick: list[Detector]
) -> None:
    asked = settings(pictures)
    searched = search_detectors(asked, tmp_path / "study", kept=tmp_path / "data", device=open_device("local"))
    assert len(searched.found.trials) == 12
    assert {detector.resolution for detector in quick} == {64} and {detector.classes for detector in quick} == {1}
    assert all(_ms(detector) <= 1.1 for detector in quick)
    states = [trial.state for trial in searched.found.trials]
    assert TrialState.PRUNED in states and TrialState.COMPLETE in states
    assert searched.best is not None
    chosen = searched.found.best_under(1.0)
    assert chosen is not None and named_space("mnasnet-lean").decode(chosen.tokens, 0.25) == searched.best
    assert {Detector.parse(trial.architecture).resolution for trial in searched.found.trials} == {64}
    before = len(quick)
    again = search_detectors(
        replace(asked, trials=14), tmp_path / "study", kept=tmp_path / "data", device=open_device("local")
    )
    assert again.found.trials[:12] == searched.found.trials and len(again.found.trials) == 14
    assert len(quick) - before <= 2
    with pytest.raises(StudyError, match="engine"):
        search_detectors(
            replace(asked, engine="onnx"), tmp_path / "study", kept=tmp_path / "data", device=open_device("local")
        )
    with pytest.raises(StudyError, match="target_ms"):
        search_detectors(
            replace(asked, target_ms=2.0), tmp_path / "study", kept=tmp_path / "data", device=open_device("local")
        )


def test_a_trial_trains_and_measures_a_detector_that_inherits(pictures: Path, tmp_path: Path) -> None:
    space = named_space("mnasnet-lean")
    smallest = space.decode([0] * len(space.option_counts), 0.25)
    parent = adapted(smallest, resolution=32, channels=3, classes=10)
    torch.manual_seed(1)
    trained = {name: value.contiguous() for name, value in build(parent).state_dict().items()}
    save_file(trained, tmp_path / "weights.safetensors", {"architecture": str(parent)})
    data = load_detection(pictures, cache=tmp_path / "data", resolution=64)
    asked = settings(pictures, weights=str(tmp_path / "weights.safetensors"))
    detector = detector_on(smallest, classes=1, resolution=64)
    inherited = inherited_backbone(detector, asked)
    assert inherited is not None
    assert torch.equal(inherited.network.state_dict()["head.0.weight"], trained["head.0.weight"])
    assert 0 <= proxy_precision(detector, data, replace(asked, proxy_epochs=2)) <= 1
    assert measured_ms(detector, open_device("local")) > 0


def test_a_budget_ends_the_search_and_the_winner_starts_from_what_it_inherits(
    pictures: Path, tmp_path: Path, quick: list[Detector]
) -> None:
    space = named_space("mnasnet-lean")
    parent = adapted(space.decode([0] * len(space.option_counts), 0.25), resolution=32, channels=3, classes=10)
    torch.manual_seed(1)
    save_network(build(parent), tmp_path / "weights.safetensors")
    seconds = iter([0.0, *[1.0] * 5, *[50.0] * 10])
    asked = settings(pictures, trials=None, budget_s=100.0, weights=str(tmp_path / "weights.safetensors"))
    where = {"kept": tmp_path / "data", "device": open_device("local")}
    searched = search_detectors(asked, tmp_path / "study", **where, clock=lambda: next(seconds))
    assert len(searched.found.trials) == 5 and searched.best is not None
    winner = winner_settings(asked, searched.best, tmp_path / "study")
    assert (winner.budget_s, winner.architecture) == (50.0, str(searched.best))
    data = load_detection(pictures, cache=tmp_path / "data", resolution=64)
    detector = detector_on(searched.best, classes=1, resolution=64)
    weights, _ = backbone_weights(Path(winner.weights or ""), detector)
    trained, _ = load_network(tmp_path / "weights.safetensors")
    assert torch.equal(weights["stem.0.weight"], trained.state_dict()["stem.0.weight"])
    keep_plan(tmp_path / "study" / "winner", winner, DetectorPlan(str(detector), 1.0, data.fingerprint))
    again = search_detectors(asked, tmp_path / "study", **where)
    assert again.found.trials == searched.found.trials


def test_trials_on_few_pictures_see_them_more_often(pictures: Path) -> None:
    free = settings(pictures, proxy_epochs=None)
    assert [free.trial_epochs(pictures) for pictures in (10, 100, 500, 118_000)] == [60, 20, 4, 4]
    assert settings(pictures, proxy_epochs=1.5).trial_epochs(100) == 1.5


def test_a_strategy_that_is_not_there_begins_no_study(pictures: Path, tmp_path: Path) -> None:
    asked = settings(pictures, strategy="gues")
    with pytest.raises(UnknownNameError, match="did you mean 'guided'"):
        search_detectors(asked, tmp_path / "study", kept=tmp_path / "data", device=open_device("local"))
    assert not (tmp_path / "study").exists()


def test_settings_must_be_above_zero(pictures: Path) -> None:
    with pytest.raises(UsageError, match="--target-ms is 0; it must be above 0"):
        settings(pictures, target_ms=0)
