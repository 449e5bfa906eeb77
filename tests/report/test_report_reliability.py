"""What the report says of the search's own shortcuts, and of a search for a whole front."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from nasfit.objective import Front
from nasfit.report import Story, answer, figure, page
from nasfit.report.comparison_chart import comparison_chart
from nasfit.report.controller_chart import PANELS, controller_chart
from nasfit.report.evidence import against_random, pace
from nasfit.report.front_answer import area
from nasfit.report.reliability import proxy_words, shortcuts
from nasfit.report.search_charts import front_chart
from nasfit.report.tables import proxies, states
from nasfit.search import Contender, ProxyCheck, ProxyPair, RandomShare, Result
from nasfit.search.rank_agreement import Agreement
from nasfit.study import TrialState

Finished = Callable[..., Story]
Make = Callable[..., Contender]

FULL = (0.5, 0.6, 0.7, 0.8, 0.9)
SAME, OTHER = (0.1, 0.2, 0.3, 0.4, 0.5), (0.3, 0.1, 0.5, 0.4, 0.2)


def check(proxy: tuple[float, ...], *left_out: str) -> ProxyCheck:
    pairs = zip(proxy, FULL, strict=False)
    return ProxyCheck(tuple(ProxyPair(f"net-{i}", a, b) for i, (a, b) in enumerate(pairs)), left_out)


def test_short_training_is_judged_from_five_networks_on() -> None:
    (good,) = proxy_words(check(SAME))
    assert good.startswith("Short against full training: Kendall's tau 1.00 over 5 networks (90 %: 1.00 to 1.00;")
    few, left_out = proxy_words(check(SAME[:4], "mobilenet-v2 x1"))
    assert few == "Short against full training: 4 networks, too few to tell whether the two rank networks alike."
    assert left_out.endswith("had no room: mobilenet-v2 x1.")
    poor, warning = proxy_words(check(OTHER))
    assert re.search(r"tau 0\.00 over 5 networks \(90 %: −1\.00 to 0\.71;", poor)
    assert warning.startswith("warning: short training ranks these networks poorly")


def test_a_poor_proxy_is_a_doubt_of_the_answer_and_a_good_one_evidence(finished: Finished) -> None:
    poor = replace(finished(0.86, 0.4), proxy=check(OTHER))
    assert any(doubt.startswith("short training ranks these networks poorly") for doubt in answer(poor).warnings)
    good = replace(finished(0.86, 0.4), proxy=check(SAME))
    assert answer(good).warnings == ()
    html = page(good)
    assert "Short and full training" in html and "tau 1.00 over 5 networks" in html
    assert proxies(check(SAME)).rows[0] == ("net-4", "50.00 %", "90.00 %")
    assert "Short and full training" not in page(finished(0.86, 0.4))


def test_scores_of_untrained_networks_are_told_with_their_worth_here(story: Story) -> None:
    assert not any("untrained" in sentence for sentence in shortcuts(story))
    dropped = replace(story.trials[-1], state=TrialState.PRUNED, accuracy=None, latency_ms=None, duplicate_of=None)
    told = replace(
        story,
        settings=replace(story.settings, screen="auto"),
        trials=(*story.trials[:-1], dropped),
        scores={"madds": Agreement(-0.41, -0.6, -0.2, 9), "zen": None},
    )
    scores, screen = shortcuts(told)
    assert f"accuracies of the {len(told.complete)} networks trained here" in scores
    assert scores.endswith("madds −0.41 (−0.60 to −0.20), zen no order.")
    assert screen == "The screen (auto) dropped 1 proposal untrained."
    assert "dropped by the screen" in str(states(told).rows)
    assert page(told)


def test_what_was_chosen_on_the_way_is_told(story: Story) -> None:
    told = replace(story, exponent="exponent: -0.1", warm_start="hints from <runs>", stopping="Nothing was stopped.")
    assert list(shortcuts(told)) == ["Hints from <runs>.", "Exponent: -0.1.", "Nothing was stopped."]
    html = page(told)
    assert "Hints from &lt;runs&gt;." in html and "Chosen on the way" in html
    assert "Chosen on the way" not in page(story)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (0.76, "reached 0.7600, above that interval: the search did better than random search."),
        (0.72, "reached 0.7200, within that interval: not distinguishable from random search."),
        (0.60, "reached 0.6000, below that interval: the search did worse than random search."),
    ],
)
def test_better_than_random_is_said_only_above_the_interval(story: Story, found: float, verdict: str) -> None:
    share = RandomShare(30, 12, 0.6, 0.71, found, low=0.69, high=0.74, number=60)
    result = Result((), None, 1, share, {}, {}, {})
    words = list(against_random(replace(story, result=result)))[-1]
    assert words.startswith("Of 60 trained random points one may expect 0.7100 at best (90 %: 0.6900 to 0.7400;")
    assert words.endswith(verdict)
    older = replace(result, random=replace(share, low=None, high=None, number=0))
    words = list(against_random(replace(story, result=older)))[-1]
    assert "Of 8 trained random points" in words and words.endswith(f"the search reached {found:.4f}.")


def test_stopped_trainings_are_shown_as_what_they_are(story: Story) -> None:
    seconds = {"measure": 0.5, "train": 1.0}
    stopped = replace(story.trials[0], number=12, state=TrialState.STOPPED, architecture="other", seconds=seconds)
    told = replace(story, trials=(*story.trials, stopped, replace(stopped, number=13, duplicate_of=12)))
    assert told.complete == story.complete and told.front == story.front
    assert ("stopped", "2", "1") in [row[:3] for row in states(told).rows]
    drawn = front_chart(told)
    assert drawn is not None and drawn.count('class="mark stopped"') == 1
    assert "trial 12: 50.00 % expected" in drawn
    assert "stopped early: accuracy expected at the end" in page(told)
    assert any("stopped early, as expected (1)" in t.get_text() for t in figure(told).axes[0].get_legend().get_texts())
    assert "1 training stopped early is not among the trained." in " ".join(pace(told))


def test_looks_have_their_number_and_their_cost(story: Story) -> None:
    words = " ".join(pace(replace(story, looks=(40, 10.0))))
    assert "Looked up before training: latencies of 40 networks in 10 s, 0.25 s each" in words
    assert "Looked up" not in " ".join(pace(story))


def test_the_controllers_updates_are_small_charts(story: Story) -> None:
    keys = {key for panel in PANELS for key, _ in panel.keys}
    assert controller_chart(story) is None
    update = dict.fromkeys(keys, 0.5)
    for number in (1, 2, 30):
        drawn = controller_chart(replace(story, controller=tuple({**update, "told": 10 * n} for n in range(number))))
        assert drawn is not None and "nan" not in drawn
        for panel in PANELS:
            assert panel.title in drawn
        assert drawn.count('class="line found"') == (len(PANELS) if number > 1 else 0)
        assert drawn.count('class="dots"') == (1 if number > 1 else len(PANELS) + 1)
    assert "The controller's updates" not in page(story)
    assert 'id="controller-title"' in page(replace(story, controller=({**update, "told": 10},)))


def test_a_history_of_ppo_has_what_the_charts_draw() -> None:
    from dataclasses import fields

    from nasfit.strategies import Diagnostics

    kept = {field.name for field in fields(Diagnostics)}
    assert {"told", *(key for panel in PANELS for key, _ in panel.keys)} <= kept


def fronted(story: Story, *contenders: Contender, best: int | None = 0) -> Story:
    assert story.result is not None
    settings = replace(story.settings, front_from_ms=0.25, strategy="random")
    return replace(story, settings=settings, result=replace(story.result, contenders=contenders, best=best))


def test_a_front_is_told_from_fastest_to_most_accurate(finished: Finished, make_contender: Make) -> None:
    top, fast = make_contender("found-1", 0.9, 0.49), make_contender("found-2", 0.8, 0.3)
    slow, beaten = make_contender("found-3", 0.95, 0.51), make_contender("found-4", 0.7, 0.35)
    base = make_contender("mobilenet-v2 x0.35", 0.8, 0.4)
    story = fronted(finished(0.9, 0.4), top, fast, slow, beaten, base)
    given = answer(story)
    assert given.kind == "better"
    assert given.headline.startswith(
        "2 networks for limits from 0.25 to 0.5 ms, fastest to most accurate: "
        "80.00 % at 0.300 ms to 90.00 % at 0.490 ms. Better than MobileNetV2 over the range:"
    )
    assert given.sentences[0] == (
        "Fastest to most accurate: found-2, 80.00 % at 0.300 ms; found-1, 90.00 % at 0.490 ms."
    )
    # Guessing up to 0.3 ms, 80 % to 0.49 ms, 90 % to the limit; of MobileNetV2 guessing up to 0.4 ms.
    own, theirs = 0.7 * 0.19 + 0.8 * 0.01, 0.7 * 0.1
    assert area(Front(0.25, 0.5), [top, fast], 0.1) == pytest.approx(own)
    assert (
        f"has {100 * (0.1 + own / 0.25):.2f} % on average, those of MobileNetV2 {100 * (0.1 + theirs / 0.25):.2f} %"
        in (given.sentences[1])
    )
    assert "above a floor of 10.00 % (guessing): 0.1410 against 0.0700" in given.sentences[1]
    html = page(story)
    assert "every limit from 0.25 to 0.5 ms" in html and "Accuracy over time" in html
    drawn = comparison_chart(story)
    assert drawn is not None and "limit 0.25 ms" in drawn and "limit 0.5 ms" in drawn


def test_a_front_below_or_like_mobilenets_is_not_called_better(finished: Finished, make_contender: Make) -> None:
    base = make_contender("mobilenet-v2 x0.35", 0.8, 0.3)
    story = finished(0.9, 0.4)
    assert answer(fronted(story, make_contender("found-1", 0.5, 0.3), base)).kind == "worse"
    alike = answer(fronted(story, make_contender("found-1", 0.81, 0.3), base))
    assert alike.kind == "unclear" and "inside the test's noise" in alike.headline
    assert alike.headline.startswith("One network for limits from 0.25 to 0.5 ms: 81.00 % at 0.300 ms.")
    alone = answer(fronted(story, make_contender("found-1", 0.5, 0.3)))
    assert alone.kind == "unclear" and "nothing to compare" in alone.sentences[1]
    none = answer(fronted(story, make_contender("found-1", 0.5, 0.6), base, best=None))
    assert none.headline == "No network meets the limit of 0.5 ms."
