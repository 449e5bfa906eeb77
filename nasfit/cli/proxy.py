"""`nasfit proxy`: how short a trial's training may be and still rank networks as a full training does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from nasfit.cli.interrupting import interruptible
from nasfit.cli.progress import View
from nasfit.errors import UsageError
from nasfit.search import ProxyChosen, ProxySettings, check_proxy
from nasfit.search.asking import file_name


def run(settings: ProxySettings, study: Path | None, *, as_json: bool) -> None:
    """Runs or continues a check and prints what comes of it; exit code 130 when interrupted, with how to go on."""
    path = study or default_study(settings)
    choice = None
    with interruptible("training"), View(settings.budget_s, quiet=as_json) as view:
        for event in check_proxy(settings, path):
            view.show(event)
            if isinstance(event, ProxyChosen):
                choice = event.choice
    assert choice is not None, "a check that ends has chosen"
    if as_json:
        print(json.dumps({"study": str(path), "verdict": choice.verdict, **choice.as_json()}, indent=1))
        return
    print()
    for line in choice.lines():
        print(line)
    if choice.images is not None:
        print(f"search with it: nasfit search {settings.data} --proxy-images {choice.images} ...")


def pictures(text: str) -> tuple[int, ...]:
    """`1000,2000,5000` as numbers of pictures. Raises UsageError."""
    parts = text.replace(" ", "").split(",")
    if not all(re.fullmatch(r"\d+", part) for part in parts):
        raise UsageError(f"--budgets is {text!r}; give rising numbers of pictures with commas, such as 1000,2000,5000")
    return tuple(map(int, parts))


def default_study(settings: ProxySettings) -> Path:
    """runs/proxy-DATA-seedN."""
    return Path("runs") / f"proxy-{file_name(settings.data)}-seed{settings.seed}"
