"""Installs a built wheel in an empty environment and uses it from another directory.

    python tools/check_wheel.py dist/nasfit-0.1.0-py3-none-any.whl

The libraries that it needs are taken from the environment this runs in; nasfit itself is not: what works here works
without a checkout. Searches the shipped pictures for a minute, exports, measures, and writes the report.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path


def main() -> None:
    """Install and use; ends with the failing command's output where one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        command = installed(wheel, place / "environment")
        used(command, place)
    print(f"{wheel.name} works from another directory")


def installed(wheel: Path, environment: Path) -> Path:
    """The `nasfit` command of a new environment with the wheel."""
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    home = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    # A directory named in such a file has its own ones left unread: an editable nasfit there stays unseen.
    (Path(home) / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    told([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], environment)
    where = told([python, "-c", "import nasfit; print(nasfit.__file__)"], environment).strip()
    if not where.startswith(home):
        sys.exit(f"nasfit is imported from {where}, not from the wheel")
    return environment / "bin" / "nasfit"


def used(command: Path, place: Path) -> None:
    """The main job, and what needs a file of the package."""
    print(told([command, "--version"], place).strip())
    told([command, "count", "mnasnet-a1", "--json"], place)
    options = "--target-ms 5 --width 0.35 --strides early --proxy-images 200 --max-trials 4 --budget 60s --json"
    found = json.loads(told([command, "search", "fashion-mnist-small", "--study", "runs/a", *options.split()], place))
    for file in (found["report"], "runs/a/front.png", "runs/a/study.sqlite"):
        if not (place / file).is_file():
            sys.exit(f"{file} was not written")
    told([command, "show", "runs/a"], place)
    told([command, "export", "runs/a", "--format", "onnx", "--out", "network.onnx"], place)
    print(told([command, "measure", "network.onnx", "--engine", "onnxruntime", "--quick"], place).strip())


def told(command: list[str | Path], place: Path) -> str:
    """What it prints. Exits with all it said where it fails."""
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
