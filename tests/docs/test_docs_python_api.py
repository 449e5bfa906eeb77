"""The how-to of the Python API runs as it stands, on a search that has ended."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from nasfit.search import Findings

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "python-api.md"
ASKED = '"photos", target_ms=5, budget="20m"'
# Those of the `finished` search, for which there is nothing left to do.
ENDED = (
    'PICTURES, target_ms=0.5, study="study", width=0.35, strides="early", proxy_images=64, max_trials=4, budget="12s", '
    "workers=2"
)


def test_the_code_of_the_page_runs(
    finished: tuple[Path, dict[str, Any], str],
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(finished[0], tmp_path / "study")
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL))
    assert code.count(ASKED) == 2
    code = code.replace(ASKED, ENDED).replace('"photos/cat/001.jpg"', "PICTURE")
    # A search in seconds on a busy machine may end without a network within its limit.
    code = code.replace("study.best()", "study.networks[0]")
    names: dict[str, Any] = {"PICTURES": pictures, "PICTURE": next((pictures / "red").iterdir()), "torch": torch}
    exec(compile(code, str(PAGE), "exec"), names)
    assert isinstance(names["study"], Findings) and isinstance(names["model"], torch.nn.Module)
    assert (tmp_path / "study" / "report.html").is_file()
    assert names["best"].reward == pytest.approx(0.8)
    assert capsys.readouterr().out.splitlines()[-1].endswith("0.8 7.0")
