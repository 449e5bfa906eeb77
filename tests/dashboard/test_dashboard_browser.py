"""The pages in a browser: what script, keyboard and readers meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_study import one_more
from page_checks import browser_here, chromium, faults, opened

from nasfit.dashboard import Server
from nasfit.report import write_report
from nasfit.study import Study

pytest.importorskip("playwright", reason="pip install 'nasfit[dev]' brings playwright")
pytest.importorskip("axe_playwright_python", reason="pip install 'nasfit[dev]' brings axe-playwright-python")
pytestmark = pytest.mark.skipif(browser_here() is None, reason="no Chromium is installed")

Served = Callable[[Path], Server]
QUICK = ("light",), (1400,)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as found:
        yield found


@pytest.mark.parametrize("address", ["/", "/trials", "/trial/3"])
def test_nothing_is_wrong_with_the_dashboard(browser: object, finished: Path, served: Served, address: str) -> None:
    assert faults(browser, served(finished).url + address, *QUICK) == []


def test_nothing_is_wrong_with_a_dark_and_narrow_dashboard(browser: object, unfinished: Path, served: Served) -> None:
    assert faults(browser, served(unfinished).url, ("dark",), (390,)) == []


def test_nothing_is_wrong_with_the_report(browser: object, unfinished: Path) -> None:
    page = write_report(unfinished)
    assert page.stat().st_size < 3_000_000
    assert faults(browser, page.as_uri(), *QUICK) == []
    assert faults(browser, page.as_uri(), ("dark",), (390,)) == []


def test_the_page_follows_the_study_and_keeps_what_was_opened(
    browser: object, unfinished: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nasfit.dashboard.site.EVERY_S", 0.2)
    monkeypatch.setattr("nasfit.dashboard.site.TIMES", 0.1)
    server = served(unfinished)
    with opened(browser, server.url) as (page, told):
        page.evaluate("document.documentElement.dataset.same = 'page'")
        link = page.locator("#trials a[href='/trial/3'], #networks a").first
        link.focus()
        href = link.get_attribute("href")
        with Study.open(unfinished) as study:
            one_more(study, accuracy=0.98)
        page.locator("#answer", has_text="98.00 %").wait_for()
        assert page.evaluate("document.documentElement.dataset.same") == "page"
        assert page.evaluate("document.activeElement.getAttribute('href')") == href
        assert "98.00 %" in page.locator("#front").inner_html()
        assert told == []
        server.shutdown()
        server.server_close()
        page.locator("#asked", has_text="does not answer").wait_for()


def test_without_script_the_page_is_whole(browser: object, finished: Path, served: Served) -> None:
    context = browser.new_context(java_script_enabled=False)  # type: ignore[attr-defined]
    page = context.new_page()
    page.goto(served(finished).url)
    assert "found-1" in page.locator("#answer").inner_text()
    assert page.locator("svg").count() > 5
    context.close()
