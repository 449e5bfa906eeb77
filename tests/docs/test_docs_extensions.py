"""The how-tos of own parts: each page's package is installed as it stands, and its check says that all is well."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_packages import put_page

import nasfit

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
PARTS = ("strategy", "device", "task", "store", pytest.param("engine", marks=pytest.mark.slow))
COMMAND = "from nasfit.cli import main; main()"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """run(PART, *command line of python): where the package of that page is installed."""
    site, work = tmp_path / "site", tmp_path / "work"

    def ran(part: str, *line: str) -> subprocess.CompletedProcess[str]:
        if not work.exists():
            files = put_page(PAGES / f"own-{part}.md", site)
            work.mkdir()
            (work / "check.py").write_text(files["check.py"])
        own = str(Path(nasfit.__file__).parents[1])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), own])}
        return subprocess.run(
            [sys.executable, *line], capture_output=True, text=True, timeout=250, cwd=work, env=environment
        )

    return ran


@pytest.mark.parametrize("part", PARTS)
def test_the_package_of_the_page_keeps_its_contract(run: Run, part: str) -> None:
    done = run(part, "check.py")
    assert (done.returncode, done.stdout) == (0, "keeps every promise\n"), done.stderr
