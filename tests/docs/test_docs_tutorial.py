"""The tutorial of your own pictures, typed: every command of the page in order, the search a short one."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "your-pictures.md"
SHORT = "--budget 12s --max-trials 3 --proxy-images 64 --width 0.35 --strides early --workers 2"


@pytest.mark.slow
def test_the_commands_lead_from_a_folder_to_a_file_that_ships(
    pictures: Path, command: list[str], tmp_path: Path
) -> None:
    shutil.copytree(pictures, tmp_path / "photos")
    typed = re.findall(r"^nasfit (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [line.split()[0] for line in typed] == ["search", "measure", "show", "export"]
    for line in typed:
        words = [*command, *shlex.split(line.replace("--budget 4m", SHORT))]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
    study = tmp_path / "runs" / "photos-0.5ms-seed0"
    for name in ("report.html", "models/found-1.tflite", "models/found-1.onnx", "models/found-1.md"):
        assert (study / name).is_file(), name
    assert "onnx" in done.stdout
