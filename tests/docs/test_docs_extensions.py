"""The how-tos of own parts: each page's package is installed as it stands, and its check says that all is well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_packages import put_page

import nasfit
from nasfit.study import Study

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
SLOW = [pytest.param(part, marks=pytest.mark.slow) for part in ("device", "engine")]
PARTS = ("strategy", "task", "store", *SLOW)
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


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_parts_of_four_packages_make_one_search_that_reads_without_them(tmp_path: Path) -> None:
    site, study = tmp_path / "site", tmp_path / "study"
    check = {
        part: put_page(PAGES / f"own-{part}.md", site)["check.py"] for part in ("strategy", "device", "task", "store")
    }
    own = str(Path(nasfit.__file__).parents[1])

    def python(*line: str, packages: bool) -> str:
        places = os.pathsep.join([str(site), own] if packages else [own])
        done = subprocess.run(
            [sys.executable, *line],
            capture_output=True,
            text=True,
            timeout=350,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": places},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    python("-c", check["task"], packages=True)  # makes shapes.npz
    options = "--strategy climb --device nice:10 --target-ms 0.5 --width 0.35 --strides early --proxy-images 64"
    line = f"search npz:shapes.npz {options} --max-trials 16 --budget 30s --workers 2 --study {study} --json"
    told = json.loads(python("-c", COMMAND, *line.split(), packages=True))
    assert told["result"]["contenders"][0]["name"] == "found-1"
    shown = json.loads(python("-c", COMMAND, "show", str(study), "--json", packages=False))
    assert shown["result"] == told["result"]
    with Study.open(study, read_only=True) as opened:
        assert (opened.settings["strategy"], opened.settings["device"]) == ("climb", "nice:10")
        assert {trial.origin for trial in opened.trials()} <= {"random", "climb"}
    kept = (
        f"search npz:shapes.npz {options} --max-trials 1 --budget 5s --store scratch:{tmp_path / 'disk'} --study there"
    )
    python("-c", COMMAND, *kept.split(), packages=True)
    assert (tmp_path / "disk" / "there" / "study.sqlite").is_file()
    assert not (tmp_path / "there" / "study.sqlite").exists()
