"""What the pages say, and that they change with the study."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_study import one_more

from nasfit.dashboard import Site, Watch
from nasfit.dashboard.pages import PARTS
from nasfit.report import answer, story_of
from nasfit.report.answer import GO_ON
from nasfit.study import Study, TrialState

VOID = {"meta", "link"}


class Outline(HTMLParser):
    """Identifiers, headings and attributes; raises where an element is closed in the wrong order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.names: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.names.update(value for name, value in attrs if name == "id" and value)
        self.attributes.update(name for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def site_of(path: Path) -> Site:
    return Site(Watch(path))


def live(site: Site, have: str = "") -> dict[str, object]:
    found: dict[str, object] = json.loads(site.reply(f"/live?have={have}").body)
    return found


@pytest.fixture(params=["unfinished", "finished", "empty"])
def any_study(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param != "empty":
        found: Path = request.getfixturevalue(request.param)
        return found
    Study.create(tmp_path / "new", {"data": "photos", "target_ms": 5.0}).close()
    return tmp_path / "new"


@pytest.mark.parametrize("address", ["/", "/trials", "/trial/3", "/nothing"])
def test_pages_are_well_formed_and_hold_no_script_or_style_of_their_own(any_study: Path, address: str) -> None:
    html = site_of(any_study).reply(address).body
    outline = Outline(html)
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert max(outline.names.values(), default=1) == 1
    # The policy that the server sends forbids both.
    assert "<style" not in html and not re.search(r"<script(?! src=)", html)
    assert not [name for name in outline.attributes if name == "style" or name.startswith("on")]
    assert not re.search(r"https?://|@import|url\(", html)


def test_the_answer_is_the_reports(any_study: Path) -> None:
    with Study.open(any_study, read_only=True) as study:
        told = answer(story_of(study))
    page = unescape(site_of(any_study).reply("/").body)
    assert told.headline in page
    assert all(sentence in page for sentence in (*told.sentences, *told.warnings))


def test_a_page_shows_front_curves_latencies_device_and_architectures(finished: Path) -> None:
    parts = live(site_of(finished))["parts"]
    assert isinstance(parts, dict) and set(parts) == {"state", *PARTS}
    for name in ("front", "reward", "spread", "curves", "comparison", "device", "time"):
        assert "<svg" in parts[name], name
    with Study.open(finished, read_only=True) as study:
        front = story_of(study).front
    assert parts["networks"].count("<svg") == len(front)
    assert "95 % interval" in parts["spread"] and "contention" in parts["device"]


def test_what_has_not_changed_is_not_sent_again(unfinished: Path) -> None:
    site = site_of(unfinished)
    first = live(site)
    assert site.reply(f"/live?have={first['version']}").status == 204
    with Study.open(unfinished) as study:
        one_more(study, accuracy=0.99)
    second = live(site, str(first["version"]))
    assert second["version"] != first["version"]
    assert "99.00 %" in str(second["parts"]) and "99.00 %" not in str(first["parts"])
    assert f'data-version="{second["version"]}"' in site.reply("/").body


def test_running_interrupted_and_finished_are_told_apart(unfinished: Path, finished: Path) -> None:
    site = site_of(unfinished)
    assert "Interrupted: search." in site.reply("/").body
    assert GO_ON in site.reply("/").body
    with Study.open(unfinished):
        assert "Running: search." in site.reply("/").body and GO_ON not in site.reply("/").body
    assert "Interrupted: search." in site.reply("/").body
    assert "Finished." in site_of(finished).reply("/").body


def test_text_from_a_study_never_becomes_markup(unfinished: Path) -> None:
    with Study.open(unfinished) as study:
        trial = study.running()[0]
        study.finish([replace(trial, state=TrialState.FAILED, reason="<script>alert(1)</script> & more")])
    site = site_of(unfinished)
    for address in ("/", "/trials", f"/trial/{trial.number}"):
        body = site.reply(address).body
        assert "<script>alert" not in body and "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in body


def test_trials_come_newest_first_and_pages_lead_to_all_of_them(
    unfinished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nasfit.dashboard.pages.A_PAGE", 7)
    site, seen, address = site_of(unfinished), [], "/trials"
    while address:
        body = site.reply(address).body
        seen += [int(number) for number in re.findall(r'<a href="/trial/(\d+)">\d', body)]
        older = re.search(r'<a href="([^"]+)" rel="next"', body)
        last, address = address, unescape(older[1]) if older else ""
    assert seen == [*range(29, -1, -1)]
    newer = re.search(r'<a href="([^"]+)" rel="prev"', site.reply(last).body)
    assert newer is not None and '<a href="/trial/8">' in site.reply(unescape(newer[1])).body


def test_trials_of_one_state(unfinished: Path) -> None:
    with Study.open(unfinished, read_only=True) as study:
        failed = [trial.number for trial in study.trials([TrialState.PRUNED])]
    body = site_of(unfinished).reply("/trials?state=pruned").body
    assert [int(number) for number in re.findall(r'<a href="/trial/(\d+)">\d', body)] == failed[::-1]


def test_a_trial_tells_its_samples_conditions_and_blocks(finished: Path) -> None:
    with Study.open(finished, read_only=True) as study:
        trial = next(trial for trial in study.trials([TrialState.COMPLETE]) if trial.duplicate_of is None)
        low_ms = study.measurements[trial.measurement or ""]["low_ms"]
    body = site_of(finished).reply(f"/trial/{trial.number}").body
    assert trial.architecture in unescape(body) and f"{low_ms:.4f}" in body
    assert body.count("<svg") == 3 and "a made-up processor" in body


@pytest.mark.parametrize(
    "address",
    ["/trial/99", "/trial/x", "/trial/-1", "/trials?state=odd", "/trials?before=x", "/study.sqlite", "/../x"],
)
def test_what_is_not_there_is_said(finished: Path, address: str) -> None:
    reply = site_of(finished).reply(address)
    assert reply.status == 404 and "Not here" in reply.body


def test_the_next_question_waits_for_ten_times_what_the_last_answer_took(finished: Path) -> None:
    ticks = iter([0.0, 0.1, 10.0, 13.0])
    assert live(Site(Watch(finished), lambda: next(ticks)))["next_s"] == 5.0
    ticks = iter([10.0, 13.0])
    assert live(Site(Watch(finished), lambda: next(ticks)))["next_s"] == 30.0


def test_a_study_is_read_and_not_written(finished: Path) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    site = site_of(finished)
    for address in ("/", "/live", "/trials", "/trial/2"):
        assert site.reply(address).status == 200
    after = {path.name: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    assert after["study.sqlite"] == before["study.sqlite"]
    assert set(after) - set(before) <= {"study.sqlite-wal", "study.sqlite-shm"}
