"""The page: one file, safe with any name, readable by machines and people, whatever the study holds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from nasfit.report import Story, page
from nasfit.report.evidence import against_random, command, outside, pace
from nasfit.report.tables import MOST_ROWS, blocks, comparison, failures, promotions, states, trials

Finished = Callable[..., Story]
VOID = {"meta", "link", "img"}


class Outline(HTMLParser):
    """Tags, headings, attributes; raises where an element is closed in the wrong order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def channels(color: str) -> list[int]:
    """`#rgb` or `#rrggbb`, each 0 to 255."""
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    return [int(digits[at : at + 2], 16) for at in (0, 2, 4)]


def luminance(color: str) -> float:
    """WCAG 2.1, relative."""
    shares = [channel / 255 for channel in channels(color)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.1, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def mixed(one: str, other: str, share: float) -> str:
    """As CSS's color-mix in srgb."""
    pairs = zip(channels(one), channels(other), strict=True)
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


@pytest.fixture(params=["finished", "none", "unfinished", "empty"])
def any_story(request: pytest.FixtureRequest, finished: Finished, story: Story) -> Story:
    kinds = {
        "finished": finished(0.86, 0.4),
        "none": finished(0.86, 0.6, best=None),
        "unfinished": story,
        "empty": Story("new", story.settings),
    }
    found: Story = kinds[request.param]
    return found


def test_every_kind_of_study_gives_well_formed_self_contained_html(any_story: Story) -> None:
    html = page(any_story)
    outline = Outline(html)
    assert html.startswith("<!doctype html>")
    assert len(html) < 200_000
    assert not outline.of("script") and not outline.of("iframe")
    assert all((picture["src"] or "").startswith("data:image/") for picture in outline.of("img"))
    assert not re.search(r"https?://|@import|url\(", html)
    assert [link["href"] for link in outline.of("link")] == ["data:,"]


def test_headings_descend_step_by_step_and_pictures_have_names(any_story: Story) -> None:
    outline = Outline(page(any_story))
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert all(head["scope"] in ("col", "row") for head in outline.of("th"))
    identifiers = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for picture in outline.of("svg"):
        assert picture["role"] == "img" and picture["aria-labelledby"] in identifiers


def test_contents_lead_to_sections_that_are_there(any_story: Story) -> None:
    outline = Outline(page(any_story))
    identifiers = {attributes["id"] for _, attributes in outline.tags if "id" in attributes}
    targets = [link["href"] or "" for link in outline.of("a")]
    assert {target.removeprefix("#") for target in targets} <= identifiers
    assert bool(targets) == (any_story.result is not None)


def test_words_stand_out_from_what_is_behind_them_in_light_dark_and_print(story: Story) -> None:
    styles = page(story).split("</style>")[0]
    themes = [dict(re.findall(r"--([\w-]+): (#\w+);", part)) for part in re.split(r"@media", styles)]
    checked = 0
    for theme in (theme for theme in themes if "page" in theme):
        for words in ("ink", "soft", "found", "baseline"):
            assert contrast(theme[words], theme["page"]) >= 4.5, (words, theme[words])
            checked += 1
        assert min(contrast(theme[words], theme["panel"]) for words in ("ink", "soft")) >= 4.5
        assert contrast(theme["ink"], theme["warn"]) >= 4.5
        # Lines and marks, which are no words.
        assert min(contrast(theme[mark], theme["page"]) for mark in ("faint", "random", "good")) >= 3
        # The darkest cells of the matrix are 45 % of either colour.
        for tone in ("found", "baseline"):
            assert contrast(theme["ink"], mixed(theme[tone], theme["page"], 0.45)) >= 4.5
    assert checked == 12


def test_print_opens_what_is_folded_but_for_the_longest_tables(story: Story) -> None:
    html = page(story)
    printed = html.split("@media print")[1].split("</style>")[0]
    assert "details::details-content { content-visibility: visible" in printed
    assert 'class="long"' not in html
    many = tuple(replace(story.trials[0], number=n, architecture=f"in3@32 {n}") for n in range(101))
    long = page(replace(story, trials=(*many, replace(story.trials[6], number=101))))
    assert '<details class="long"><summary>The trials as a table' in long


def test_names_from_outside_never_become_markup(finished: Finished) -> None:
    story = finished(0.86, 0.4, name="<i>net</i>", warnings=("<u>hot</u>",))
    html = page(replace(story, title="<s>study</s>"))
    for text in ("<b>", "<script", "<i>", "<u>", "<s>", "<nan>", "<board>"):
        assert text not in html
    for text in ("&lt;b&gt;photos", "&lt;i&gt;net", "&lt;u&gt;hot", "&lt;s&gt;study", "&lt;nan&gt; &amp; more"):
        assert text in html


def test_the_answer_stands_before_everything_else(finished: Finished) -> None:
    html = page(finished(0.86, 0.4))
    order = [
        "1.50 times as fast at equal", "Final comparison</h2>", "Accuracy on the test set</h2>",
        "The network: found-1</h2>", "Latency</h2>", "Front of the search</h2>", "What the search did</h2>",
        "Cost</h2>", "Conditions and versions</h2>", "Reproduce</h2>",
    ]  # fmt: skip
    places = [html.index(words) for words in order]
    assert places == sorted(places)


def test_an_unfinished_study_shows_what_is_there_and_says_so(story: Story) -> None:
    html = page(story)
    assert "Not finished" in html and "The best network so far" in html
    assert "Final comparison" not in html and "Accuracy on the test set" not in html and "Latency</h2>" not in html
    assert 'id="front-title"' in html and 'id="reward-title"' in html


def test_a_page_of_thousands_of_trials_stays_below_a_megabyte(story: Story) -> None:
    many = tuple(replace(story.trials[n % 8], number=n, architecture=f"in3@32 {n}") for n in range(9000))
    many = (replace(story.trials[6], number=9000), *many)
    html = page(replace(story, trials=many))
    assert len(html.encode()) < 1_000_000
    assert len(trials(replace(story, trials=many)).rows) == MOST_ROWS


def test_comparison_marks_ties_doubts_and_the_answer(finished: Finished, make_contender: Callable[..., object]) -> None:
    against = (make_contender("mobilenet-v2 x0.35", 0.8, 0.41), make_contender("mobilenet-v2 x1", 0.9, 1.2))
    story = finished(0.86, 0.40, against=against, warnings=("drift",))
    assert story.result is not None
    table = comparison(story.result)
    assert [row[0] for row in table.rows] == ["found-1", "mobilenet-v2 x0.35", "mobilenet-v2 x1"]
    assert table.strong == 0
    assert [row[4] for row in table.rows] == ["–", "1.02× (tie)", "3.00×"]
    assert [row[2] for row in table.rows] == ["0.400 ms*", "0.410 ms", "1.20 ms"]
    assert all(len(row) == len(table.heads) for row in table.rows)


def test_blocks_show_every_part_and_add_up(finished: Finished) -> None:
    from nasfit.architecture import Architecture, count

    story = finished(0.86, 0.4)
    network = Architecture.parse(story.network or "")
    table = blocks(network)
    assert len(table.rows) == len(network.blocks) + 3
    assert sum(int(row[-1].replace(",", "")) for row in table.rows) == count(network).madds
    assert table.rows[1][1:7] == ("sepconv", "3×3", "1", "0", "identity", "1")
    assert all(len(row) == len(table.heads) for row in table.rows)


def test_states_failures_and_promotions_count_what_happened(story: Story) -> None:
    assert [row[:3] for row in states(story).rows] == [
        ("complete", "9", "1"),
        ("pruned", "1", "0"),
        ("failed", "1", "0"),
        ("running", "1", "0"),
    ]
    assert [row[0] for row in states(replace(story, trials=())).rows] == ["complete"]
    table = failures(story)
    assert table is not None and table.rows == (("loss is <nan> & more", "1"),)
    assert failures(replace(story, trials=story.trials[:3])) is None
    longer = promotions(story)
    assert longer is not None and longer.rows == (("trial 6", "70.00 %", "75.00 %", "0.450 ms"),)
    assert promotions(replace(story, promotions={})) is None


def test_evidence_says_whether_the_search_beat_random(story: Story) -> None:
    words = " ".join(against_random(story))
    assert "6 trials, 6 of them trained, best reward 0.5500. The search's best is 0.8000." in words
    assert "Of 8 trained random points" in words and words.endswith("the search did better than random search.")
    poor = tuple(replace(story.trials[6], number=6 + place, reward=0.4) for place in range(60))
    worse = replace(story, trials=(*story.trials[:6], *poor))
    assert "not distinguishable from random search" in " ".join(against_random(worse))
    assert "Nothing but these random points" in " ".join(against_random(replace(story, trials=story.trials[:6])))
    assert "too few" in " ".join(against_random(replace(story, trials=story.trials[2:8])))
    assert "nothing to compare" in " ".join(against_random(replace(story, trials=())))


def test_pace_and_what_the_chart_leaves_out(story: Story) -> None:
    words = " ".join(pace(story))
    assert "4.0 trained trials a minute of search, 5.5 with those pruned" in words
    assert "Measuring: 6.0 s for 12 networks, 0.5 s each." in words
    assert "1 network measured, up to 0.900 ms, but not trained" in " ".join(outside(story))
    assert list(pace(Story("new", story.settings))) == []


def test_the_command_reads_back_as_the_same_settings(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    from nasfit.cli import searching
    from nasfit.cli.app import app

    seen = []
    monkeypatch.setattr(searching, "run", lambda settings, study, **_: seen.append((settings, study)))
    odd = {"data": "-x 'y'", "budget_s": 5430.0, "alpha": -0.07, "proxy_images": 500, "max_trials": 9, "prune": 0.0}
    front = {"front_from_ms": 0.25, "strategy": "nsga2", "stopping": "curve"}
    hinted = {"calibrate_exponent": True, "warm_start": "runs/a b"}
    for changes in ({}, {**odd, "strategy": "random"}, front, hinted):
        settings = replace(story.settings, **changes)
        line = shlex.split(command(replace(story, settings=settings)))
        assert line[0] == "nasfit"
        outcome = CliRunner().invoke(app, line[1:], catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output
        assert seen[-1][0] == settings
        assert str(seen[-1][1]) == "photos-0.5ms-again"
