"""From a study on disk to both files, finished or not, driven or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from nasfit.errors import StudyError
from nasfit.report import Story, figure, picture, story_of, write_report
from nasfit.study import Proposal, Study, TrialState

Finished = Callable[..., Story]


@pytest.fixture
def study(tmp_path: Path, story: Story) -> Study:
    """A study on disk with one trained trial, still open to its driver."""
    study = Study.create(tmp_path / "photos", story.settings.as_json())
    best = story.trials[6]
    (running,) = study.propose([Proposal(tokens=best.tokens, architecture=best.architecture, seed=0)])
    study.finish([replace(running, state=TrialState.COMPLETE, accuracy=0.7, latency_ms=0.45, reward=0.7)])
    assert story.plan is not None
    study.put_document("plan", story.plan.as_json())
    study.add_seconds("search", 30.0)
    return study


def test_a_running_study_can_be_reported_by_path_and_from_inside(study: Study) -> None:
    for given in (study.path, str(study.path), study):
        written = write_report(given)
        assert written == study.path / "report.html"
        assert "Best so far: trial 0" in written.read_text(encoding="utf-8")
        assert Image.open(study.path / "front.png").size == (960, 720)
    assert sorted(path.name for path in study.path.glob("*.unfinished")) == []


def test_the_story_holds_what_the_study_holds(study: Study, finished: Finished) -> None:
    result = finished(0.86, 0.4).result
    assert result is not None
    study.put_document("result", result.as_json())
    study.put_document("promotions", {"text": 0.75})
    found = story_of(study)
    assert found.title == "photos" and found.settings.target_ms == 0.5
    assert found.result == replace(result, contenders=result.contenders)
    assert found.promotions == {"text": 0.75} and found.seconds == {"search": 30.0}
    assert [trial.accuracy for trial in found.trials] == [0.7]
    assert "1.50 times as fast" in write_report(study).read_text(encoding="utf-8")


def test_missing_pictures_are_told(study: Study) -> None:
    study.put_document("data", {"directory": "data/gone", "fingerprint": "0"})
    found = story_of(study)
    assert found.test_pictures is None and "not at hand" in found.notes[0]


def test_no_study_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no study"):
        write_report(tmp_path)


def test_a_plan_of_another_version_is_an_error(study: Study) -> None:
    study.put_document("plan", {"width": 1.0, "unheard": 2})
    with pytest.raises(StudyError, match="another version"):
        write_report(study)


def test_the_plot_has_a_panel_more_after_the_finale(story: Story, finished: Finished) -> None:
    assert Image.open(BytesIO(picture(story))).size == (960, 720)
    drawn = figure(finished(0.86, 0.4))
    names = {text.get_text() for text in drawn.axes[1].texts}
    assert {"found-1", "mobilenet-v2 x0.35", "mobilenet-v2 x1"} <= names
    assert [panel.get_xlabel() for panel in drawn.axes] == ["latency, ms"] * 2
    assert all("accuracy" in panel.get_ylabel() and "%" in panel.get_ylabel() for panel in drawn.axes)


@pytest.mark.parametrize("trials", [0, 1])
def test_the_plot_of_almost_nothing_is_drawn(story: Story, trials: int) -> None:
    assert len(picture(replace(story, trials=story.trials[:trials]))) > 5000
