"""A new user's path with a stopwatch: a fresh clone, the demo, then a folder of one's own to a model under a limit.

    python benchmarks/new_user.py                 # clones the last commit, sets up, searches
    python benchmarks/new_user.py --budget 10m --json
    python benchmarks/new_user.py --quick         # no clone, no set-up, no demo: a short search of the folder alone

Types what README shows and nothing else: `make demo`, then `nasfit search ./photos --target-ms T`. The folder holds 300
pictures in 3 classes, T is the limit that the demo printed. An answer is the first line with a best network so far.
What is printed counts seconds since Enter, of each command.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from facts import document
from PIL import Image

from nasfit.tasks import load

ROOT = Path(__file__).resolve().parents[1]
CLASSES, OF_EACH = 3, 100
ANSWER = "best so far:"


@dataclass(frozen=True)
class Typed:
    """A command, and seconds from Enter: until nasfit said something, until its first answer, until its end."""

    command: str
    set_up_s: float
    answer_s: float | None
    total_s: float
    exit_code: int
    said: tuple[str, ...]


def main() -> None:
    """Type, wait, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="5m", help="of the search of the folder; what README's line has: 10m")
    parser.add_argument("--quick", action="store_true", help="the folder alone, for seconds, with this environment")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as temporary,
        redirect_stdout(sys.stderr) if options.json else nullcontext(),
    ):
        place = Path(temporary) / "nasfit"
        found = walked(place, options)
        show(found)
    if options.json:
        print(document(options, **found))


def walked(place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Both commands, and what they left."""
    if options.quick:
        place.mkdir()
        command, limit, typed = f"{sys.executable} -m nasfit", "1", []
        options.budget = "15s --max-trials 4 --proxy-images 100 --width 0.35 --strides early"
    else:
        subprocess.run(["git", "clone", "--quiet", ROOT, place], check=True)
        typed = [run("make demo", place)]
        limits = [re.search(r"limit: (\S+) ms", line) for line in typed[0].said]
        command, limit = ".venv/bin/nasfit", next(found[1] for found in limits if found)
    folder(place / "photos")
    typed.append(run(f"{command} search ./photos --target-ms {limit} --budget {options.budget}", place))
    shown = subprocess.run(
        [*command.split(), "show", f"runs/photos-{limit}ms-seed0", "--json"],
        cwd=place, capture_output=True, text=True, check=True,
    )  # fmt: skip
    result = json.loads(shown.stdout)["result"]
    best = result["contenders"][result["best"]] if result["best"] is not None else None
    files = sorted(str(path.relative_to(place)) for path in place.glob("runs/photos*/models/found-1.*"))
    steps = [{name: value for name, value in asdict(one).items() if name != "said"} for one in typed]
    return {"typed": steps, "limit_ms": float(limit), "network": best, "files": files}


def run(command: str, place: Path) -> Typed:
    """Types a line and looks at the clock whenever something is said."""
    print(f"$ {command}", flush=True)
    since, first, answer, said = time.monotonic(), None, None, []
    with subprocess.Popen(
        command.split(), cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            passed = time.monotonic() - since
            said.append(line.rstrip())
            if first is None and re.match(r"limit:|\[ *\S+\] ", line):
                first = passed
            if answer is None and ANSWER in line:
                answer = passed
    total = time.monotonic() - since
    if process.returncode:
        print("\n".join(said[-20:]))
    return Typed(command, first or total, answer, total, process.returncode, tuple(said))


def folder(root: Path) -> None:
    """300 pictures in 3 classes, as .png files: shipped ones, in place of a user's own."""
    with tempfile.TemporaryDirectory() as cache:
        data = load("fashion-mnist-small", cache=Path(cache))
        images_NHWC, labels_N = np.asarray(data.train.images_NHWC), np.asarray(data.train.labels_N)
        for label, name in enumerate(data.classes[:CLASSES]):
            (root / re.sub(r"\W+", "-", name)).mkdir(parents=True)
            for number, row in enumerate(np.flatnonzero(labels_N == label)[:OF_EACH]):
                Image.fromarray(images_NHWC[row].squeeze()).save(root / re.sub(r"\W+", "-", name) / f"{number}.png")


def show(found: dict[str, Any]) -> None:
    """A line a command, and the answer."""
    for step in found["typed"]:
        answer = "none" if step["answer_s"] is None else f"{step['answer_s'] - step['set_up_s']:.0f} s later"
        print(f"{step['command']}\n    exit code {step['exit_code']}, set-up {step['set_up_s']:.0f} s, ", end="")
        print(f"first answer {answer}, everything {step['total_s'] / 60:.1f} min")
    print(f"commands typed: {len(found['typed'])}; asked while they ran: nothing")
    if best := found["network"]:
        print(f"{best['name']}: {best['accuracy']:.1%}, {best['latency_ms']:.3g} ms (limit {found['limit_ms']:g} ms)")
    print("files: " + ", ".join(found["files"]))


if __name__ == "__main__":
    main()
