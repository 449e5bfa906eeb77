"""Scales, labels and numbers: what a wrong pixel or digit would come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from nasfit.report import Story
from nasfit.report.comparison_chart import comparison_chart
from nasfit.report.marks import stairs
from nasfit.report.placement import Box, cost, placed
from nasfit.report.search_charts import cost_chart, front_chart, reward_chart
from nasfit.report.svg import Scale, element, spread
from nasfit.report.wording import digits, duration, interval, millions, ms, percent, points

Finished = Callable[..., Story]


def test_scale_maps_ends_to_ends_and_ticks_are_round() -> None:
    scale = Scale(0.0, 1.0, 100.0, 0.0)
    assert (scale(0.0), scale(1.0), scale(0.25)) == (100.0, 0.0, 75.0)
    assert scale.ticks(5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert Scale(71.3, 84.9, 0, 1).ticks(6) == [75.0, 80.0]
    assert Scale(0.0123, 0.0187, 0, 1).ticks(6) == [0.014, 0.016, 0.018]


@pytest.mark.parametrize("values", [[0.5], [0.0], [3.0, 3.0], [-1.0, 2.0]])
def test_spread_has_width_and_contains_all(values: list[float]) -> None:
    low, high = spread(values)
    assert low < min(values) and high > max(values)


def test_spread_begins_at_a_floor_that_is_near() -> None:
    assert spread([1.0, 5.0], floor=0.0)[0] == 0.0
    assert 4.0 < spread([4.8, 5.0], floor=0.0)[0] < 4.8


def test_element_escapes_text_and_attributes() -> None:
    assert element("text", "a<b", class_='x"y', stroke_width=1.26) == (
        '<text class="x&#34;y" stroke-width="1.3">a&lt;b</text>'
    )


def test_labels_of_crowded_points_stay_apart_and_inside() -> None:
    edge = Box(0, 0, 400, 300)
    spots = [(200.0, 150.0), (212.0, 150.0), (200.0, 165.0), (395.0, 5.0)]
    words = ["first label", "second label", "third", "corner"]
    labels = placed(words, spots, edge, size=12)
    boxes = [Box(t.x, t.y - 7, t.x + len(t.words) * 12 * 0.58, t.y + 7) for t in labels]
    for i, box in enumerate(boxes):
        assert box.overlap(edge) == pytest.approx(box.area, rel=0.02)
        assert all(box.overlap(other) == 0 for other in boxes[i + 1 :])
        assert all(not (box.left < x < box.right and box.top < y < box.bottom) for x, y in spots)


def test_a_label_makes_way_for_a_thin_line() -> None:
    edge, spot = Box(0, 0, 400, 300), (200.0, 150.0)
    (free,) = placed(["name"], [spot], edge, size=12)
    (moved,) = placed(["name"], [spot], edge, size=12, obstacles=[Box(218, 0, 220, 300)])
    assert free.x > spot[0] and moved.x < spot[0]


def test_touching_a_thin_line_costs_more_than_its_area() -> None:
    box, edge = Box(10, 10, 60, 22), Box(0, 0, 400, 300)
    assert cost(box, [Box(200, 0, 300, 300)], edge) == 0
    assert cost(box, [Box(30, 0, 31, 300)], edge) > box.area
    assert cost(box, [], Box(11, 0, 400, 300)) > box.area


def test_stairs_go_across_and_then_up() -> None:
    assert stairs([(0, 0), (2, 3)]) == [(0, 0), (2, 0), (2, 3)]
    assert stairs([]) == []


def test_the_comparison_draws_each_network_once_with_a_tooltip(finished: Finished) -> None:
    drawn = comparison_chart(finished(0.86, 0.4))
    assert drawn is not None
    assert drawn.count('class="mark found best"') == 1 and drawn.count('class="mark baseline"') == 3
    assert "<title>found-1: 86.00 %, 0.400 ms (0.3992 to 0.4008 ms)</title>" in drawn
    assert "limit 0.5 ms" in drawn


def test_more_accurate_is_higher_and_slower_is_further_right(finished: Finished) -> None:
    drawn = comparison_chart(finished(0.86, 0.4))
    assert drawn is not None
    squares = [(float(x), float(y)) for x, y in re.findall(r'class="mark baseline" x="([\d.]+)" y="([\d.]+)"', drawn)]
    assert squares == sorted(squares) and [y for _, y in squares] == sorted((y for _, y in squares), reverse=True)


def test_the_front_shows_front_others_and_pruned(story: Story) -> None:
    slow = replace(story.trials[0], number=20, accuracy=0.4, latency_ms=0.3, architecture="other")
    pruned = replace(story.trials[8], latency_ms=0.58)
    drawn = front_chart(replace(story, trials=(*story.trials[:8], pruned, slow)))
    assert drawn is not None
    assert drawn.count('class="mark trial"') == 1 and drawn.count('class="mark found"') == 8
    assert "best under the limit: trial 6" in drawn
    assert re.search(r'class="pruned" d="M[\d. ]+v-9"', drawn)


def test_rewards_mark_the_random_batch_and_leave_duplicates_out(story: Story) -> None:
    drawn = reward_chart(story)
    assert drawn is not None
    assert drawn.count('class="mark random"') == 6 and drawn.count('class="mark found"') == 2
    assert "expected of random search" in drawn


def test_nothing_to_draw_is_none(story: Story) -> None:
    empty = Story("new", story.settings)
    assert [chart(empty) for chart in (comparison_chart, front_chart, reward_chart, cost_chart)] == [None] * 4
    assert comparison_chart(story) is None


def test_costs_are_bars_in_proportion(story: Story) -> None:
    drawn = cost_chart(story)
    assert drawn is not None
    widths = [float(width) for width in re.findall(r'class="bar".*?width="([\d.]+)"', drawn)]
    assert widths[1] / widths[0] == pytest.approx(6, rel=0.01)
    assert "2 min 00 s (86 %)" in drawn


def test_numbers_have_three_digits_and_no_exponent() -> None:
    assert [digits(x) for x in (0.0123, 0.5, 4.2149, 42.149, 1234.5, 0.0)] == [
        "0.0123", "0.500", "4.21", "42.1", "1,234", "0",
    ]  # fmt: skip
    assert (ms(None), ms(4.2149), interval(4.2, 4.25)) == ("–", "4.21 ms", "4.200 to 4.250 ms")
    assert (percent(0.91234), percent(None), millions(3_504_872)) == ("91.23 %", "–", "3.50 M")
    assert (points(0.012), points(-0.012), points(0.00001)) == ("+1.20 points", "−1.20 points", "0.00 points")
    assert [duration(s) for s in (0.44, 59.6, 45, 200, 7500)] == [
        "0.4 s",
        "1 min 00 s",
        "45 s",
        "3 min 20 s",
        "2 h 05 min",
    ]
