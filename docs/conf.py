"""The docs as a site: `make docs`. The pages are Markdown that a code host shows as it is, without any of this."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

import nasfit

PAGES = Path(__file__).parent
PARTS = {
    "Tutorials": "tutorials",
    "Help and figures": ".",
    "How to": "how-to",
    "Reference": "reference",
    "Explanation": "explanation",
    "Decisions": "decisions",
}

project = "nasfit"
release = nasfit.__version__
copyright = "the authors of nasfit, Apache-2.0"
extensions = ["myst_parser"]
root_doc = "README"
templates_path = ["_templates"]
exclude_patterns = ["_templates"]
myst_heading_anchors = 4
highlight_language = "bash"

html_theme = "pydata_sphinx_theme"
html_title = "nasfit"
html_show_sourcelink = False
html_copy_source = False
html_use_index = False
html_sidebars = {"**": ["all-pages"]}
html_theme_options = {
    "logo": {"text": "nasfit"},
    "navbar_center": [],
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "primary_sidebar_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def with_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    """Gives README's page the tree of all pages: in the order of its own links, then what it does not link."""
    if name != root_doc:
        return
    linked = re.findall(r"\]\(([\w/-]+)\.md", source[0])
    for caption, folder in PARTS.items():
        there = [str(page.relative_to(PAGES).with_suffix("")) for page in sorted((PAGES / folder).glob("*.md"))]
        ordered = [page for page in dict.fromkeys([*linked, *there]) if page in there and page != root_doc]
        source[0] += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *ordered, "```", ""])


def with_front_page(app: Sphinx, error: Exception | None) -> None:
    """README's page is also the one that a web server shows for the directory."""
    if error is None:
        shutil.copyfile(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> None:
    """What Sphinx calls."""
    app.connect("source-read", with_navigation)
    app.connect("build-finished", with_front_page)
