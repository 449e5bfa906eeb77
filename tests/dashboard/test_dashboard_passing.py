"""Stage and time left follow from what the study has recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_study import one_more

from nasfit.dashboard import Watch
from nasfit.dashboard.passing import Passing, tiles
from nasfit.study import Member, Study, TrialState

ENTRANTS = [{"name": name} for name in ("found-1", "found-2", "mobilenet-v2 x0.25")]


def passing(path: Path) -> Passing:
    return Watch(path).look().moment.passing


def test_in_the_search_trials_left_follow_from_its_pace(unfinished: Path) -> None:
    now = passing(unfinished)
    with Study.open(unfinished, read_only=True) as study:
        trained = sum("train" in trial.seconds for trial in study.trials())
    assert (now.stage, now.spent_s, now.left_s) == ("search", 1520.0, 2080.0)
    # Half of an hour less 20 s of calibration and 1,500 s of search, at so many trained in these.
    assert now.trials_left == round(280 * trained / 1500)
    assert now.words == "Interrupted: search."


def test_the_finale_is_told_stage_by_stage(unfinished: Path) -> None:
    with Study.open(unfinished) as study:
        study.members.join(Member("driver", "here", 1, 2, drives=True))
        study.put_document("finale_after", len(study.trials([TrialState.COMPLETE])))
        assert passing(unfinished).words == "Running: promotion."
        study.put_document("entrants", ENTRANTS)
        study.put_document("final_images", 1000)
        assert passing(unfinished).words == "Running: final training, 0 of 3 networks trained."
        study.put_document("finals", {"found-1": {"accuracy": 0.5, "seconds": 400.0, "curve": [[1, 2.0], [2, 1.0]]}})
        now = passing(unfinished)
        assert now.words == "Running: final training, 1 of 3 networks trained."
        # Two workers had 400 s of work between them.
        assert now.spent_s == pytest.approx(1520 + 200)
        study.put_document("finals", {one["name"]: {"failed": "no memory"} for one in ENTRANTS})
        assert passing(unfinished).words == "Running: final measuring, 3 of 3 networks trained."
        one_more(study)
        assert passing(unfinished).words == "Running: search."


def test_before_a_plan_nothing_is_searched(tmp_path: Path) -> None:
    Study.create(tmp_path / "new", {"data": "photos", "target_ms": 5.0}).close()
    assert passing(tmp_path / "new").words == "Interrupted: preparation and calibration."


def test_a_finished_study_has_nothing_left(finished: Path) -> None:
    moment = Watch(finished).look().moment
    assert moment.passing.words == "Finished."
    assert [tile.label for tile in tiles(moment.passing, moment.story)] == ["Trials", "Time spent"]


def test_a_search_for_detectors_searches_and_then_trains_its_winner(
    detector_study: Callable[..., Path], add_winner: Callable[..., None]
) -> None:
    path = detector_study(trials=8)
    moment = Watch(path).look().moment
    assert (moment.passing.stage, moment.passing.spent_s, moment.passing.left_s) == ("search", 60.0, None)
    assert [tile.detail for tile in tiles(moment.passing, moment.story)][1:] == ["no budget is set"]
    add_winner(path)
    (path / "winner" / "result.json").unlink()
    assert passing(path).words == "Interrupted: final training, 0 of 1 network trained."
