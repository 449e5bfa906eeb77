"""The verdict must say what the numbers say, and no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nasfit.report import Answer, Story, answer
from nasfit.report.answer import margin, same_speed
from nasfit.search import Contender

Finished = Callable[..., Story]


def told(given: Answer) -> str:
    return " ".join(given.sentences)


def tiles(given: Answer) -> dict[str, str]:
    return {tile.label: tile.value for tile in given.tiles}


def test_a_faster_network_of_equal_accuracy_is_called_better(finished: Finished) -> None:
    given = answer(finished(0.86, 0.40))
    assert given.kind == "better"
    assert given.headline == (
        "found-1: 86.00 % test accuracy at 0.400 ms. "
        "Better than MobileNetV2: 1.50 times as fast at equal or better accuracy."
    )
    assert tiles(given)["Speed against MobileNetV2"] == "1.50×"
    assert tiles(given)["Accuracy against MobileNetV2"] == "+6.00 points"
    assert "1.50 times as fast as mobilenet-v2 x0.5 (86.00 %, 0.600 ms)" in told(given)


def test_the_latency_comes_with_its_interval_and_the_limit(finished: Finished) -> None:
    given = answer(finished(0.86, 0.40))
    (detail,) = [tile.detail for tile in given.tiles if tile.label == "Latency"]
    assert detail == "0.3992 to 0.4008 ms (95 %), limit 0.5 ms"


@pytest.mark.parametrize(("latency_ms", "how"), [(0.45, "faster"), (0.41, "as fast"), (0.39, "as fast")])
def test_a_network_that_a_baseline_beats_in_both_is_not_better(finished: Finished, latency_ms: float, how: str) -> None:
    given = answer(finished(0.79, latency_ms))
    assert given.kind == "worse"
    assert f"Not better than MobileNetV2: mobilenet-v2 x0.35 is {how} and at least as accurate." in given.headline


def test_equal_in_both_is_not_better_and_its_speed_a_tie(finished: Finished) -> None:
    given = answer(finished(0.80, 0.41))
    assert given.kind == "worse"
    assert tiles(given)["Speed against MobileNetV2"] == "a tie"
    assert "a tie within the 3 % noise" in told(given)


def test_overlapping_intervals_are_a_tie_however_far_the_medians(make_contender: Callable[..., Contender]) -> None:
    narrow = make_contender("found-1", 0.8, 0.5), make_contender("found-2", 0.8, 0.52)
    assert not same_speed(*narrow)
    assert same_speed(narrow[0], make_contender("found-2", 0.8, 0.52, low_ms=0.49))
    assert same_speed(narrow[0], make_contender("found-2", 0.8, 0.514))


def test_more_accurate_and_slower_counts_only_beyond_the_noise_of_the_test(finished: Finished) -> None:
    clear = answer(finished(0.85, 0.448))
    assert clear.kind == "better"
    assert "Better than MobileNetV2 at equal latency: +5.00 points." in clear.headline
    assert "It takes 1.12 times as long as mobilenet-v2 x0.35" in told(clear)
    assert "outside the ±3.32 points (95 %) that 1,000 test pictures leave open" in told(clear)
    unclear = answer(finished(0.81, 0.448))
    assert unclear.kind == "unclear"
    assert "+1.00 points is inside the noise of the test" in unclear.headline
    assert "inside the ±" in told(unclear)


def test_without_the_size_of_the_test_nothing_is_said_about_its_noise(finished: Finished) -> None:
    given = answer(replace(finished(0.81, 0.448), test_pictures=None))
    assert given.kind == "better"
    assert "leave open" not in told(given)


def test_below_every_baseline_there_is_no_comparison(finished: Finished) -> None:
    given = answer(finished(0.5, 0.1))
    assert given.kind == "unclear"
    assert "Faster than every MobileNetV2 trained beside it, and less accurate than each." in given.headline
    assert set(tiles(given)) == {"Test accuracy", "Latency"}
    assert given.sentences[0] == "Every MobileNetV2 trained beside it is more accurate."
    assert given.sentences[1] == "No MobileNetV2 trained beside it is as fast."


def test_a_family_that_is_not_beaten_is_not_named(finished: Finished, make_contender: Callable[..., Contender]) -> None:
    against = (make_contender("mobilenet-v3-small x0.35", 0.84, 0.9), make_contender("mobilenet-v2 x0.25", 0.88, 1.3))
    given = answer(finished(0.86, 0.40, against=against))
    assert "Better than MobileNetV3-small: 2.25 times as fast" in given.headline


def test_the_one_compared_with_is_not_called_the_most_accurate_where_a_beaten_one_is(
    finished: Finished, make_contender: Callable[..., Contender]
) -> None:
    front = (make_contender("mobilenet-v3-small x0.35", 0.82, 0.06), make_contender("mobilenet-v2 x0.25", 0.84, 0.1))
    beaten = make_contender("mobilenet-v3-small x0.5", 0.825, 0.15)
    said = " ".join(answer(finished(0.83, 0.09, against=(*front, beaten))).sentences)
    assert "mobilenet-v3-small x0.35 (82.00 %" in said and "equals or beats in accuracy and that no other beats" in said
    assert "no other beats" not in " ".join(answer(finished(0.83, 0.09, against=front)).sentences)


def test_several_families_are_compared_together_and_apart(
    finished: Finished, baselines: tuple[Contender, ...], make_contender: Callable[..., Contender]
) -> None:
    against = (*baselines, make_contender("mobilenet-v3-small x0.5", 0.84, 0.38))
    given = answer(finished(0.86, 0.40, against=against))
    assert "Better than MobileNetV2 and MobileNetV3-small: 1.50 times as fast" in given.headline
    assert tiles(given)["Accuracy against MobileNet"] == "+2.00 points"
    apart = [
        "Against MobileNetV2 alone: 1.50 times as fast as mobilenet-v2 x0.5 at equal or better accuracy; "
        "+6.00 points over mobilenet-v2 x0.35, at least as fast.",
        "Against MobileNetV3-small alone: 0.95 times as fast as mobilenet-v3-small x0.5 at equal or better accuracy; "
        "+2.00 points over mobilenet-v3-small x0.5, at least as fast.",
    ]
    assert [line for line in given.sentences if "alone" in line] == apart
    assert "Not better than MobileNetV3-small:" in answer(finished(0.83, 0.40, against=against)).headline
    assert not [line for line in answer(finished(0.86, 0.40)).sentences if "alone" in line]


def test_without_baselines_no_claim_is_made(finished: Finished) -> None:
    given = answer(finished(0.5, 0.1, against=()))
    assert given.kind == "unclear"
    assert "nothing to compare" in told(given)


def test_no_network_within_the_limit_is_said_first(finished: Finished) -> None:
    given = answer(finished(0.9, 0.6, best=None))
    assert given.kind == "none"
    assert given.headline == "No network meets the limit of 0.5 ms."
    assert "found-1, takes 0.600 ms, 1.20 times the limit, at 90.00 % test accuracy" in told(given)
    assert "--target-ms" in told(given)


def test_a_limit_met_by_less_than_the_noise_is_doubted(finished: Finished) -> None:
    assert "another run may find it above" in told(answer(finished(0.9, 0.49)))
    assert "another run" not in told(answer(finished(0.9, 0.48)))


def test_doubts_of_the_measurement_and_of_the_calibration_are_passed_on(finished: Finished) -> None:
    story = finished(0.9, 0.4, warnings=("drift: second half slower",))
    assert story.plan is not None
    assert answer(story).warnings == ("found-1: drift: second half slower",)
    loose = replace(story, plan=replace(story.plan, largest_ms=0.4))
    assert len(answer(loose).warnings) == 2
    assert answer(loose).warnings[0].startswith("every network of the space meets 0.5 ms")


def test_an_unfinished_study_names_its_best_and_claims_nothing(story: Story) -> None:
    given = answer(story)
    assert given.kind == "unfinished"
    assert given.headline.startswith("Not finished. Best so far: trial 6, 70.00 % validation accuracy at 0.450 ms")
    assert "no final training" in told(given)
    empty = answer(replace(story, trials=()))
    assert empty.headline == "Not finished: no trained network meets the limit of 0.5 ms yet."


def test_margin_is_the_interval_of_a_difference_of_two_shares() -> None:
    noise = margin(0.5, 0.5, 10_000)
    assert noise == pytest.approx(1.96 * (2 * 0.25 / 10_000) ** 0.5)
    assert margin(0.5, 0.5, None) is None


def test_who_dropped_out_of_the_finale_is_named(finished: Finished) -> None:
    story = finished(0.9, 0.4)
    assert story.result is not None
    lacking = replace(story, result=replace(story.result, failures={"found-2": "loss is nan at step 3"}))
    assert "found-2 dropped out: loss is nan at step 3" in answer(lacking).warnings
    assert not any("dropped out" in warning for warning in answer(story).warnings)


def test_a_head_start_is_told(finished: Finished, make_contender: Callable[..., Contender]) -> None:
    story = finished(0.86, 0.40)
    assert story.result is not None
    assert not [line for line in answer(story).warnings if "head start" in line]
    ahead = replace(story.result, contenders=tuple(replace(c, inherited=0.5) for c in story.result.found))
    (line,) = [line for line in answer(replace(story, result=ahead)).warnings if "head start" in line]
    assert line.startswith("found-1 began its final training with 50 % of its parameters trained already")
