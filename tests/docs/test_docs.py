"""What the pages point to is there: files, commands with their options, scripts."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import typer

from nasfit.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"])
BENCHMARKS = sorted(
    path
    for path in (ROOT / "benchmarks").glob("*.py")
    if "add_argument" in path.read_text() and path.name != "facts.py"
)
COMMAND = typer.main.get_command(app)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def lines_of_code(page: Path) -> list[str]:
    """Of its code blocks, without comments; a line that ends in a backslash goes on."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [re.sub(r"\s#.*", "", line).strip() for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_files(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{named(page)} links to {link}"


def test_every_page_is_linked_from_the_first() -> None:
    first = ROOT / "docs" / "README.md"
    linked = {(first.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+)", first.read_text())}
    assert {page for page in (ROOT / "docs").glob("**/*.md") if page != first} <= linked


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_have_the_options_that_they_are_shown_with(page: Path) -> None:
    for line in lines_of_code(page):
        line = re.sub(r"^(\.venv/bin/|torchrun .*-m )(?=nasfit )", "", line)
        if line.startswith("nasfit ") and "..." not in line:
            own = takewhile(lambda word: word not in ("|", ">", "&"), shlex.split(line))
            parsed(COMMAND, "nasfit", list(own)[1:])


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_scripts_and_results_are_there(page: Path) -> None:
    for name in re.findall(r"benchmarks/[\w/-]+\.(?:py|jsonl|json)", page.read_text()):
        assert (ROOT / name).exists(), f"{named(page)} names {name}"


@pytest.mark.parametrize("script", BENCHMARKS, ids=named)
def test_a_benchmark_can_be_quick_and_write_json(script: Path) -> None:
    text = script.read_text()
    assert '"--quick"' in text and '"--json"' in text
    assert f"`{script.name}" in (ROOT / "benchmarks" / "README.md").read_text()


def parsed(command: Any, name: str, words: list[str]) -> None:
    """Raises for an option, or a command, that is not there."""
    context = command.context_class(command, info_name=name)
    if hasattr(command, "resolve_command"):
        rest = command.make_parser(context).parse_args(list(words))[1]
        if rest:
            child, below, rest = command.resolve_command(context, rest)
            parsed(below, child, rest)
        return
    command.make_parser(context).parse_args(list(words))
