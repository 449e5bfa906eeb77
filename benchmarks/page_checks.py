"""One page in headless Chromium, as several readers meet it: what is wrong with it.

axe-core, in the copy that axe-playwright-python ships, checks names, roles, headings and the contrast of text in HTML;
the rest is looked at here: text in drawings, the keyboard, requests, messages, width.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
SCHEMES, WIDTHS = ("light", "dark"), (1400, 390)
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTRAST, CONTRAST_LARGE = 4.5, 3.0

# Text in drawings against the surface behind the drawing; [ratio, needed, words] of each that falls short.
_DRAWN_TEXT = """([least, leastLarge]) => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const colour = rgb(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("svg text")].flatMap((node) => {
    const style = getComputedStyle(node), size = parseFloat(style.fontSize);
    const [a, b] = [light(rgb(style.fill)), light(behind(node.closest("svg")))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? leastLarge : least;
    return ratio < needed ? [[ratio.toFixed(2), needed, node.textContent.slice(0, 30)]] : [];
  });
}"""

# Whatever a pointer can work, a keyboard must reach.
_WORKABLE = """() => {
  const all = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]");
  return [...all].filter((one) => one.checkVisibility() && one.tabIndex >= 0).map((one, place) => {
    const words = one.outerHTML.slice(0, 60);
    one.dataset.place = place;
    return words;
  });
}"""

_STANDS = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one);
  return [Number(one.dataset.place ?? -1), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0];
}"""


def browser_here() -> str | None:
    """Where Chromium is, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser that is installed; its path is `browser_here`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_here(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def faults(browser: Browser, url: str, schemes: Sequence[str] = SCHEMES, widths: Sequence[int] = WIDTHS) -> list[str]:
    """What is wrong with a page, in each scheme of colours and width; empty is good."""
    found = []
    for scheme in schemes:
        for width in widths:
            with opened(browser, url, scheme, width) as (page, told):
                told += [*_accessibility(page), *_drawn_text(page), *_overflow(page), *_keyboard(page)]
                found += [f"{scheme}, {width} px: {one}" for one in told]
    return found


@contextmanager
def opened(browser: Browser, url: str, scheme: str = "light", width: int = 1400) -> Iterator[tuple[Page, list[str]]]:
    """The page, and a list that grows by what it asks for elsewhere and what it complains about."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page, told = context.new_page(), []
    place = urlsplit(url)

    def asked(request: Any) -> None:
        to = urlsplit(request.url)
        if to.scheme != "data" and (to.scheme, to.netloc) != (place.scheme, place.netloc):
            told.append(f"asks for {request.url}")

    page.on("request", asked)
    page.on("console", lambda message: told.append(f"says {message.type}: {message.text}"))
    page.on("pageerror", lambda error: told.append(f"fails: {error}"))
    page.goto(url)
    try:
        yield page, told
    finally:
        context.close()


def _accessibility(page: Page) -> Iterator[str]:
    from axe_playwright_python.sync_playwright import Axe

    options = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
    for violation in Axe().run(page, options=options).response["violations"]:
        nodes = violation["nodes"]
        yield f"{violation['id']}: {violation['help']} ({len(nodes)} times, first {nodes[0]['html'][:100]})"


def _drawn_text(page: Page) -> Iterator[str]:
    for ratio, needed, words in page.evaluate(_DRAWN_TEXT, [CONTRAST, CONTRAST_LARGE]):
        yield f"drawn text {words!r} has a contrast of {ratio}, needs {needed}"


def _overflow(page: Page) -> Iterator[str]:
    wide, there = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if wide > there:
        yield f"is {wide} px wide"


def _keyboard(page: Page) -> Iterator[str]:
    wanted = page.evaluate(_WORKABLE)
    reached, unseen = set(), set()
    # The browser may stop at places of its own, such as what scrolls.
    for _ in range(2 * len(wanted) + 20):
        page.keyboard.press("Tab")
        stands = page.evaluate(_STANDS)
        if stands is None:
            break
        reached.add(stands[0])
        if not stands[1]:
            unseen.add(stands[0])
    yield from (f"the keyboard does not reach {wanted[place]}" for place in range(len(wanted)) if place not in reached)
    yield from (f"no sign that the keyboard stands on {wanted[place]}" for place in sorted(unseen) if place >= 0)
