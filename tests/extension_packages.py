"""Packages that add parts to nasfit, put into a directory as pip would put them there, without a network."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path


def put_package(site: Path, name: str, entry_points: dict[str, dict[str, str]], modules: dict[str, str]) -> None:
    """The modules, and what tells of the package. entry_points: by group, name -> reference. modules: file -> text."""
    for file, text in modules.items():
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_text(text)
    told = site / f"{name.replace('-', '_')}-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    sections = [
        f"[{group}]\n" + "".join(f"{part} = {reference}\n" for part, reference in parts.items())
        for group, parts in entry_points.items()
    ]
    (told / "entry_points.txt").write_text("\n".join(sections))


def files_of(page: Path) -> dict[str, str]:
    """The files that a how-to shows: code blocks whose first line is a comment with the file's name."""
    blocks = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    return dict(blocks)


def put_page(page: Path, site: Path) -> dict[str, str]:
    """Puts the package that a how-to shows into `site`; its files, for those that are to be run."""
    files = files_of(page)
    project = tomllib.loads(files["pyproject.toml"])["project"]
    named = {module.partition(":")[0].partition(".")[0] for module in _references(project["entry-points"])}
    modules = {file: text for file, text in files.items() if file.removesuffix(".py").partition("/")[0] in named}
    put_package(site, project["name"], project["entry-points"], modules)
    return files


def _references(groups: dict[str, dict[str, str]]) -> list[str]:
    return [reference for parts in groups.values() for reference in parts.values()]
