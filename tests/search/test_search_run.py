"""Whole searches: the calibration, a space of one's own, going on after the end."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nasfit.architecture import Block
from nasfit.errors import DataError, StudyError, UsageError
from nasfit.search import FinaleStep, Finished, Planned, Result, Settings, TrialFinished, run_search
from nasfit.space import BlockChoices, SearchSpace
from nasfit.study import Study

POCKET = SearchSpace(
    "pocket",
    (Block("sepconv", 3, 1, 0.0, "none", 8, 1), BlockChoices(filters=(16, 24), layers=(1, 2), stride=2)),
    stem_filters=8,
    head_filters=64,
)


def stored_settings(path: Path) -> Settings:
    with Study.open(path, read_only=True) as study:
        return Settings(**study.settings)


@pytest.mark.slow
def test_a_target_out_of_reach_says_what_is_and_may_be_mended_in_place(pictures: Path, tmp_path: Path) -> None:
    settings = Settings(
        str(pictures), 0.0001, width=0.35, strides="early", proxy_images=64, max_trials=2, budget_s=9.0, workers=2
    )
    with pytest.raises(UsageError, match=r"out of reach: the smallest network .* takes \S+ ms .*ask for \S+ ms"):
        list(run_search(settings, tmp_path))
    mended = replace(settings, target_ms=50.0)
    events = run_search(mended, tmp_path, POCKET)
    for event in events:
        if isinstance(event, Planned):
            assert event.plan.proxy_images == 64
            assert 0 < event.plan.smallest_ms <= event.plan.largest_ms
        if isinstance(event, TrialFinished):
            assert len(event.trial.tokens) == len(POCKET.option_counts)
            break
    events.close()  # type: ignore[attr-defined]
    with Study.open(tmp_path, read_only=True) as study:
        plan = study.document("plan")
    with pytest.raises(StudyError, match="searches another space \\('pocket'\\)"):
        next(run_search(mended, tmp_path))
    with pytest.raises(StudyError, match="other settings:\n  target_ms: stored 50, given 60"):
        next(run_search(replace(mended, target_ms=60.0), tmp_path, POCKET))
    again = run_search(replace(mended, workers=1), tmp_path, POCKET)
    next(again)
    planned = next(again)
    assert isinstance(planned, Planned)
    assert planned.plan.as_json() == plan
    again.close()  # type: ignore[attr-defined]


def test_nothing_is_created_for_pictures_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither a known data set nor a folder"):
        next(run_search(Settings(str(tmp_path / "none"), 1.0), tmp_path / "study"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_created_for_a_cluster_that_does_not_answer(pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match="ray start --head"):
        next(run_search(Settings(str(pictures), 1.0), tmp_path / "study", ray="127.0.0.1:1"))
    assert not (tmp_path / "study").exists()


def test_a_finished_study_answers_at_once_and_goes_on_when_given_more(
    finished: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    path, printed, _ = finished
    copy = shutil.copytree(path, tmp_path / "copy")
    settings = stored_settings(copy)
    *_, last = events = list(run_search(settings, copy))
    assert len(events) == 3
    assert isinstance(last, Finished)
    assert last.result == Result.from_json(printed["result"])
    assert last.result.cost_s["final training"] > 0

    assert settings.max_trials is not None
    larger = replace(settings, max_trials=settings.max_trials + 1, budget_s=200.0)
    going_on = run_search(larger, copy)
    kinds = []
    for event in going_on:
        kinds.append(type(event))
        if isinstance(event, FinaleStep):
            break
    with Study.open(copy, read_only=True) as study:
        assert study.document("result") is None
        assert study.document("entrants") is None
        assert len([t for t in study.trials() if "train" in t.seconds]) == settings.max_trials + 1
    assert TrialFinished in kinds
    going_on.close()  # type: ignore[attr-defined]
