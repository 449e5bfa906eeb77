"""A search for detectors is told by the page and the answer of every study, with mAP for accuracy."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from nasfit.architecture import Detector, count_detector, published
from nasfit.errors import StudyError
from nasfit.report import Story, answer, figure, page, story_of
from nasfit.report.architecture_drawing import drawn_parts
from nasfit.report.evidence import command
from nasfit.report.tables import blocks
from nasfit.search.standing import FINISHED, INTERRUPTED, RUNNING, standing
from nasfit.study import Study

MakeStudy = Callable[..., Path]
AddWinner = Callable[..., None]


def story(path: Path) -> Story:
    with Study.open(path, read_only=True) as study:
        return story_of(study)


def test_a_search_alone_names_the_command_that_trains_its_best(detector_study: MakeStudy) -> None:
    told = story(detector_study(trials=3))
    found = answer(told)
    assert found.headline == "Best so far: trial 0, 25.00 % validation mAP at 1.50 ms, within the limit of 2 ms."
    assert [tile.label for tile in found.tiles] == ["Validation mAP", "Latency"]
    (sentence,) = found.sentences
    words = shlex.split(sentence.partition(": ")[2])
    backbone = str(Detector.parse(told.trials[0].architecture).backbone)
    assert words == ["nasfit", "train-detector", backbone, "./cards", "--resolution", "96", "--budget", "1h"]


def test_one_that_is_not_done_goes_on(detector_study: MakeStudy) -> None:
    found = answer(story(detector_study(budget_s=3600.0)))
    assert "the same command goes on" in found.sentences[0]
    assert found.sentences[1] == "Its winner is not trained and tested yet."


def test_the_winner_is_told_with_its_test(detector_study: MakeStudy, add_winner: AddWinner) -> None:
    path = detector_study(budget_s=3600.0)
    add_winner(path)
    told = story(path)
    found = answer(told)
    assert (found.kind, found.headline) == ("unclear", "50.00 % test mAP; 1.75 ms, within the limit of 2 ms.")
    assert [tile.value for tile in found.tiles] == ["50.00 %", "1.75 ms", "2.00 M"]
    assert found.sentences[0] == "By class: king 25.00 %, queen –." and "37.50 %" in found.sentences[1]
    assert found.sentences[-1] == "Files: winner/detector.onnx."
    assert "a board" in page(told)


def test_a_winner_above_the_limit_or_not_measured_says_so(detector_study: MakeStudy, add_winner: AddWinner) -> None:
    path = detector_study(budget_s=3600.0)
    slow = {"latency_ms": 2.5, "low_ms": 2.4, "high_ms": 2.6, "warnings": ["heat: it was hot"], "conditions": {}}
    add_winner(path, latency=slow)
    found = answer(story(path))
    assert (found.kind, found.warnings) == ("none", ("heat: it was hot",))
    assert found.headline == "50.00 % test mAP; 2.50 ms, above the limit of 2 ms."
    add_winner(path, latency=None, untold="the board is away")
    told = story(path)
    assert answer(told).headline == "50.00 % test mAP; its latency is not known: the board is away."
    assert "has not been" in page(told)


def test_page_and_plot_say_map_where_others_say_accuracy(detector_study: MakeStudy) -> None:
    told = story(detector_study())
    html = page(told)
    visible = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    assert "validation mAP" in html and "ccuracy" not in visible
    assert "space mnasnet-lean ×0.25 at 96 px" in html
    assert figure(told).axes[0].get_ylabel() == "validation mAP after proxy training, %"


def test_the_command_repeats_the_search(detector_study: MakeStudy) -> None:
    told = story(detector_study(trials=3, engine="onnx"))
    assert command(told) == (
        "nasfit search-detector ./cards --target-ms 2.0 --trials 3 --engine onnx --width 0.25 --resolution 96 "
        "--study detectors-again"
    )


def test_a_detector_is_drawn_and_counted_with_its_heads(detector_study: MakeStudy) -> None:
    detector = Detector(published("mnasnet-a1").backbone, (64, 32))
    counts = count_detector(detector)
    parts = drawn_parts(detector)
    assert sum(part.madds for part in parts) == counts.madds
    # 14 x 14 places with three boxes; 7 x 7, 4 x 4 and 2 x 2 with six.
    assert parts[-1].map == "1,002 boxes of 1,000 classes" and parts[-1].words[0] == "conv 1×1, SSDLite"
    rows = blocks(detector).rows
    assert rows[-1][0] == "predictors 4"
    assert sum(int(row[-2].replace(",", "")) for row in rows) == counts.parameters


@pytest.mark.parametrize(
    ("options", "is_trained", "word"),
    [
        ({"trials": 3}, False, FINISHED),
        ({"trials": 4}, False, INTERRUPTED),
        ({}, False, INTERRUPTED),
        ({"budget_s": 60.0}, False, INTERRUPTED),
        ({"budget_s": 60.0}, True, FINISHED),
    ],
)
def test_it_is_finished_when_all_that_was_asked_is_done(
    detector_study: MakeStudy, add_winner: AddWinner, options: dict[str, float], is_trained: bool, word: str
) -> None:
    path = detector_study(**options)
    if is_trained:
        add_winner(path)
    with Study.open(path) as driven:
        assert standing(driven) == RUNNING
    with Study.open(path, read_only=True) as study:
        assert standing(study) == word


def test_a_damaged_result_of_the_winner_is_told(detector_study: MakeStudy, add_winner: AddWinner) -> None:
    path = detector_study(budget_s=60.0)
    add_winner(path)
    (path / "winner" / "result.json").write_text("{")
    with pytest.raises(StudyError, match=r"result\.json' does not read .* give the search's command again"):
        story(path)
