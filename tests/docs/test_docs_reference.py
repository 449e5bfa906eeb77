"""The generated pages are those of this program, and every public name says what it takes."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import nasfit

ROOT = Path(__file__).parents[2]
NAMES = [name for name in nasfit.__all__ if not name.startswith("__")]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference"] = module
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_up_to_date(reference: ModuleType) -> None:
    for name, text in reference.pages().items():
        kept = (reference.PAGES / name).read_text(encoding="utf-8")
        assert kept == text, f"docs/reference/{name} is out of date; run: make reference"


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_documented(name: str) -> None:
    thing: Any = getattr(nasfit, name)
    text = inspect.getdoc(thing) or ""
    assert text and text != inspect.getdoc(Exception)
    if inspect.isfunction(thing) or dataclasses.is_dataclass(thing):
        parameters = list(inspect.signature(thing).parameters)
        unnamed = [given for given in parameters if not re.search(rf"\b{given}\b", text)]
        assert len(parameters) < 3 or not unnamed, f"{name} does not tell what {', '.join(unnamed)} is"


def test_docstrings_become_lists_and_what_they_raise_a_paragraph(reference: ModuleType) -> None:
    def shown(wide: int, low: int, high: int) -> None:
        """Shown.

        wide: px; not its height. low, high: limits, as
        numbers: plain ones. Raises ValueError for none.
        """

    prose = reference._prose(inspect.getdoc(shown), list(inspect.signature(shown).parameters.values()))
    assert prose == (
        "Shown.\n\n* **wide**: px; not its height.\n* **low, high**: limits, as numbers: plain ones.\n\n"
        "Raises ValueError for none.\n"
    )
