"""The Python in the docs compiles, and each page's blocks run in order, in a directory of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
GENERATED = ("reference/python.md",)
# It needs a search; test_docs_python_api.py runs it.
WITH_A_SEARCH = ("how-to/python-api.md",)


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


PAGES = {
    str(page.relative_to(ROOT / "docs")): found
    for page in sorted((ROOT / "docs").glob("**/*.md"))
    if (found := blocks(page)) and str(page.relative_to(ROOT / "docs")) not in GENERATED
}


def table() -> dict[str, Any]:
    """What `search-a-table.md` leaves to the reader."""
    return {"accuracy_of": lambda point: sum(point) / 60, "latency_of": lambda point: 1.0 + sum(point) / 10}


def ncnn() -> dict[str, Any]:
    """The file that `engines.md` takes apart."""
    from nasfit import build, export_model, published

    content = export_model(build(published("mnasnet-small")), (3, 224, 224), model_format="ncnn")
    Path("model.ncnn").write_bytes(content)
    return {}


def weights() -> dict[str, Any]:
    """Files as torchvision and timm write them; random ones."""
    import timm
    import torchvision
    from safetensors.torch import save_file

    torch.save(torchvision.models.mnasnet1_0().state_dict(), "mnasnet1_0.pth")
    save_file(timm.create_model("semnasnet_100").state_dict(), "semnasnet_100.safetensors")
    return {}


def measured() -> dict[str, Any]:
    """What `predictors.md` has from a device: networks and latencies."""
    import random

    from nasfit import count, named_space

    draw, space = random.Random(0), named_space("mnasnet")
    networks = [space.decode([draw.randrange(options) for options in space.option_counts]) for _ in range(30)]
    latencies = [count(network).madds / 4e7 for network in networks]
    return {"architectures": networks, "latency_ms": latencies, "architecture": networks[0]}


# What a page needs to run: names and files.
NEEDS: dict[str, Callable[[], dict[str, Any]]] = {
    "how-to/search-a-table.md": table,
    "reference/engines.md": ncnn,
    "how-to/published-networks.md": weights,
    "explanation/predictors.md": measured,
}
SLOW = ("how-to/search-a-table.md",)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in PAGES])
def test_python_blocks_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    codes = [compile(block, f"{name}, block {number}", "exec") for number, block in enumerate(PAGES[name], start=1)]
    if name in WITH_A_SEARCH or any(re.match(r"# \w+\.py\n", block) for block in PAGES[name]):
        return  # files of a package, which must be installed to run
    known = {"__name__": "docs", **NEEDS.get(name, dict)()}
    for code in codes:
        exec(code, known)
