"""The site builds without a warning, its links lead somewhere, and a reader's browser asks nobody else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("**/*.md"))


def built(pages: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-E", "-W", "--keep-going", "-q", "-b", "html", str(pages), str(site)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site")
    done = built(ROOT / "docs", path)
    assert done.returncode == 0, done.stderr
    return path


class Page(HTMLParser):
    """What a page defines, links to, and loads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in ("link", "script", "img", "iframe", "source"):
            self.loads += [given[name] for name in ("href", "src") if name in given]


def test_every_page_is_in_the_tree_of_every_page(site: Path) -> None:
    front = Page(site / "index.html")
    linked = {(site / link.split("#")[0]).resolve() for link in front.links if "://" not in link}
    for page in PAGES:
        if page.name != "README.md":
            assert site / page.relative_to(ROOT / "docs").with_suffix(".html") in linked


def test_links_lead_to_pages_and_places(site: Path) -> None:
    pages = {file: Page(file) for file in site.glob("**/*.html") if "_static" not in file.parts}
    assert len(pages) > len(PAGES)
    for file, page in pages.items():
        for link in page.links:
            name, _, place = link.partition("#")
            if "://" in link:
                continue
            target = (file.parent / name).resolve() if name else file
            assert target.is_file() and target.is_relative_to(site), f"{file.name} links to {link}"
            assert not place or (target in pages and place in pages[target].ids), f"{file.name} links to {link}"


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for file in site.glob("**/*.html"):
        assert not [place for place in Page(file).loads if re.match(r"(https?:)?//", place)], file.name
    for file in site.glob("**/*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", file.read_text(encoding="utf-8")), file.name


def test_a_broken_link_is_an_error(tmp_path: Path) -> None:
    pages = tmp_path / "docs"
    shutil.copytree(ROOT / "docs" / "_templates", pages / "_templates")
    shutil.copy(ROOT / "docs" / "conf.py", pages)
    (pages / "README.md").write_text("# Front\n\n[gone](gone.md), [no such place](README.md#nowhere)\n")
    done = built(pages, tmp_path / "site")
    assert done.returncode != 0
    assert "gone.md" in done.stderr and "nowhere" in done.stderr
