from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def output(name: str, *arguments: str, cwd: Path) -> str:
    line = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_this_machine(tmp_path: Path) -> None:
    out = output("01_this_machine.py", "20", "5", "study", cwd=tmp_path)
    found = re.search(r"on the test set at \S+ ms: (\S+\.tflite)", out)
    assert found, out
    assert (tmp_path / found[1]).is_file()
    assert re.search(r"a torch module of [\d,]+ weights for 10 classes", out)


def test_count_and_measure(tmp_path: Path) -> None:
    lines = output("02_count_and_measure.py", cwd=tmp_path).splitlines()
    assert len(lines) == 3
    assert re.match(r"mnasnet-a1 x1 +3,887,038 parameters +311\.58 M multiply-adds +\d", lines[2]), lines[2]
