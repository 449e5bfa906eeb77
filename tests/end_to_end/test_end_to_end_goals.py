"""Whole searches with other goals than one limit: the real command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nasfit.study import Study, TrialState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]


@pytest.fixture
def searched(pictures: Path, command: list[str]) -> Any:
    """searched(path, options): the printed document and the report's page."""

    def run(path: Path, options: str) -> tuple[dict[str, Any], str]:
        small = "--width 0.35 --strides early --proxy-images 160 --budget 90s --workers 2 --json"
        line = [*command, "search", str(pictures), *small.split(), *options.split(), "--study", str(path)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), (path / "report.html").read_text(encoding="utf-8")

    return run


@pytest.mark.parametrize("strategy", ["guided", "nsga2"])
def test_a_front_from_pictures_to_page(searched: Any, tmp_path: Path, strategy: str) -> None:
    options = f"--front 0.1 0.5 --strategy {strategy} --max-trials 18 --stopping curve"
    document, page = searched(tmp_path / "study", options)
    assert "Over all limits from 0.1 to 0.5 ms" in page and "every limit from 0.1 to 0.5 ms" in page
    assert "training" in page
    found = [c for c in document["result"]["contenders"] if c["origin"] == "found"]
    assert found
    with Study.open(tmp_path / "study", read_only=True) as study:
        for trial in study.trials([TrialState.COMPLETE]):
            assert trial.reward == trial.accuracy


def test_a_calibrated_search_and_one_that_starts_from_it(searched: Any, tmp_path: Path) -> None:
    _, page = searched(tmp_path / "first", "--target-ms 0.5 --calibrate-exponent --max-trials 14")
    assert "Exponent of the reward: " in page
    options = f"--target-ms 0.4 --warm-start {tmp_path / 'first'} --max-trials 14 --seed 1"
    _, page = searched(tmp_path / "second", options)
    assert f"Hints from {tmp_path / 'first'}: " in page
