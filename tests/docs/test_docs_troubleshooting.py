"""The messages that the page explains are messages of the program."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

import nasfit

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
QUOTED = [found for row in PAGE.read_text().splitlines() for found in re.findall(r"^\| `([^`]+)` \|", row)]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Every text of the source, with a line feed where an f-string has a value."""
    found = []
    for path in Path(nasfit.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "\n" for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_the_page_explains_thirty_messages() -> None:
    assert len(QUOTED) >= 30


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_is_in_the_source(quoted: str, texts: list[str]) -> None:
    wanted = [part for part in quoted.split("...") if part.strip()]
    assert any(_in_order(wanted, text) for text in texts), f"no text of nasfit has {wanted}"


def _in_order(parts: list[str], text: str) -> bool:
    places = [text.find(part) for part in parts]
    return min(places) >= 0 and all(before < after for before, after in pairwise(places))
