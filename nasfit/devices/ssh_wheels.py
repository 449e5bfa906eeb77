"""Wheels of an engine for a board, fetched by this machine's pip: the board needs no network and no pip.

Only what the engine imports is taken: each engine in SMALL needs itself and numpy to load and run a network (seen by
unpacking the two into an empty folder); what else their wheels name is for their tools.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nasfit.devices.engines import Engine
from nasfit.errors import DeviceError

DOWNLOAD_TIMEOUT_S = 600.0
SMALL = ("litert", "onnxruntime", "openvino", "ncnn")
# Of 32-bit ARM there are LiteRT, under its old name, and ncnn, and no numpy.
ARMV7 = "armv7l"
OLD_NAME = "tflite-runtime"
# What pip's words hold when it is the network and not the registry that said no.
_NO_NETWORK = re.compile(r"Retrying|NewConnectionError|Temporary failure|ConnectionError|timed out", re.IGNORECASE)
_NO_MATCH = re.compile(r"No matching distribution found|Could not find a version", re.IGNORECASE)


@dataclass(frozen=True)
class Platform:
    """What a wheel has to fit. python: such as (3, 11, 2). machine: of the userland, such as aarch64, armv7l, x86_64.

    glibc: such as (2, 36); None where the C library is another.
    """

    python: tuple[int, int, int]
    machine: str
    glibc: tuple[int, int] | None

    @property
    def python_text(self) -> str:
        """Such as 3.11.2."""
        return ".".join(map(str, self.python))

    @property
    def tags(self) -> list[str]:
        """Platform tags of wheels that run there, newest first."""
        if self.glibc is None:
            return []
        oldest = 5 if self.machine in ("x86_64", "i686") else 17
        tags = [f"manylinux_{self.glibc[0]}_{minor}_{self.machine}" for minor in range(self.glibc[1], oldest - 1, -1)]
        return [*tags, *([f"manylinux2014_{self.machine}"] if self.glibc >= (2, 17) else []), f"linux_{self.machine}"]

    def __str__(self) -> str:
        libc = f"glibc {'.'.join(map(str, self.glibc))}" if self.glibc else "a C library other than glibc"
        return f"{self.machine}, Python {self.python_text}, {libc}"


def modules_of(engine: Engine) -> list[str]:
    """Modules to import to see whether a Python has the engine, any one of which will do."""
    return list(engine.modules)


def distributions_for(engine: Engine, platform: Platform) -> list[list[str]]:
    """What has to be fetched: of each, the requirements to try in turn.

    This machine's version of the engine comes first, so that figures of boards compare.
    """
    if platform.machine == ARMV7:
        return [[OLD_NAME]] if engine.name == "litert" else [[engine.distribution]]
    return [["numpy"], [*_pinned(engine.distribution), engine.distribution]]


def fetch_wheels(engine: Engine, platform: Platform, directory: Path) -> list[Path]:
    """Download what `distributions_for` names into an empty directory.

    Raises DeviceError where there is no wheel for the platform, no pip here, or no network here.
    """
    if platform.glibc is None:
        raise DeviceError(_no_wheel(engine, platform, "the engines' wheels need glibc"))
    if engine.name not in SMALL:
        why = "too large to be brought there" if engine.runtime is None else "of another package and not brought there"
        raise DeviceError(
            f"the board has no {engine.name}, which is {why}; install it on the board: "
            f"python3 -m pip install {engine.distribution}"
        )
    if importlib.util.find_spec("pip") is None:
        raise DeviceError(
            f"the board has no {engine.name}, and the Python of nasfit has no pip to fetch it with; install pip "
            f"(python -m ensurepip), or install the engine on the board: python3 -m pip install {engine.distribution}"
        )
    for requirements in distributions_for(engine, platform):
        _fetch_first(engine, platform, requirements, directory)
    return sorted(directory.glob("*.whl"))


def _fetch_first(engine: Engine, platform: Platform, requirements: Iterable[str], directory: Path) -> None:
    said = ""
    for requirement in requirements:
        code, said = _download(requirement, platform, directory)
        if code == 0:
            return
        if not _NO_MATCH.search(said) or _NO_NETWORK.search(said):
            raise DeviceError(
                f"the board has no {engine.name}, and it cannot be fetched for it: {_last_error(said)}; check this "
                f"machine's network, or install it on the board: python3 -m pip install numpy {engine.distribution}"
            )
    raise DeviceError(_no_wheel(engine, platform, _last_error(said)))


def _download(requirement: str, platform: Platform, directory: Path) -> tuple[int, str]:
    python = ".".join(map(str, platform.python[:2]))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--only-binary=:all:", "--no-deps", "--implementation", "cp", "--python-version", python]
    command += [part for tag in platform.tags for part in ("--platform", tag)]
    command += ["--dest", str(directory), requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return 1, f"the download timed out after {DOWNLOAD_TIMEOUT_S:g} s"
    return done.returncode, done.stderr


def _pinned(distribution: str) -> list[str]:
    try:
        return [f"{distribution}=={importlib.metadata.version(distribution)}"]
    except importlib.metadata.PackageNotFoundError:
        return []


def _no_wheel(engine: Engine, platform: Platform, said: str) -> str:
    advice = {
        (ARMV7, "litert"): f"{OLD_NAME} has wheels for Python 3.7 to 3.11 there; use such a Python, or a 64-bit system",
        (ARMV7, "onnxruntime"): "install a 64-bit system on the board, or use --engine litert",
    }.get(
        (platform.machine, engine.name),
        f"install it there if you can build it (python3 -m pip install {engine.distribution}), or use another engine",
    )
    return f"no wheel of {engine.name} fits the board ({platform}): {said}; {advice}"


def _last_error(said: str) -> str:
    lines = [line.removeprefix("ERROR: ").strip() for line in said.splitlines() if line.startswith("ERROR")]
    return lines[-1] if lines else said.strip()[-200:] or "pip gave no reason"
