"""The how-to's code runs as it stands, and what it says about itself holds."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from nasfit.architecture import count, layers

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-search-space.md"


def test_the_code_of_the_page_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    space, best, module = names["space"], names["best"], names["module"]
    assert space.size == (3 * 3 * 2 * 2 * 2 * 3) * (3 * 3 * 3 * 2 * 3 * 3)
    assert f"{space.size:,} networks, 12 decisions" in capsys.readouterr().out
    assert count(best).madds < 2e6
    assert layers(best)[-1].resolution_out >= 4
    assert module(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
