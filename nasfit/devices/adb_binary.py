"""Google's `benchmark_model` for Android on this machine: where it is looked for, and whether it fits the phone."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nasfit.errors import DeviceError

VARIABLE = "NASFIT_BENCHMARK_MODEL"
# ELF machine numbers, and what Google calls the build in the file names of its download page.
_MACHINES = {"arm64-v8a": 183, "armeabi-v7a": 40, "x86_64": 62, "x86": 3}
_BUILDS = {"arm64-v8a": "android_aarch64", "armeabi-v7a": "android_arm"}
_HEADER_BYTES = 20


@dataclass(frozen=True)
class Binary:
    """The file's content and its SHA-256 in hexadecimal digits."""

    content: bytes
    sha256: str


def cached_path(abi: str) -> Path:
    """Where the binary for this ABI is kept: ~/.cache/nasfit/benchmark_model-<abi>."""
    return Path("~/.cache/nasfit").expanduser() / f"benchmark_model-{abi}"


def find_binary(abis: Sequence[str], given: str | Path | None = None) -> Binary:
    """The binary to use: `given`, else what NASFIT_BENCHMARK_MODEL names, else the first cached one.

    abis: those the phone runs, best first (its property ro.product.cpu.abilist). Raises DeviceError where there is
    none, telling where to get it and where to put it, or where it is built for something else.
    """
    named = given or os.environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            source = "the given path" if given else f"environment variable {VARIABLE}"
            raise DeviceError(f"no benchmark_model at {path} (from {source}); {_how_to_get(abis)}")
        return _checked(path, abis)
    for abi in abis:
        if cached_path(abi).is_file():
            return _checked(cached_path(abi), abis)
    raise DeviceError(f"no benchmark_model for this phone ({', '.join(abis)}); {_how_to_get(abis)}")


def _how_to_get(abis: Sequence[str]) -> str:
    abi = abis[0] if abis else "arm64-v8a"
    build = _BUILDS.get(abi, f"Android {abi}")
    return (
        f"download the prebuilt command-line binary {build}_benchmark_model once, from the section 'Native benchmark "
        f"binary' of LiteRT's (TensorFlow Lite's) page 'Performance measurement', and save it as {cached_path(abi)}, "
        f"or name it in {VARIABLE}"
    )


def _checked(path: Path, abis: Sequence[str]) -> Binary:
    content = path.read_bytes()
    machine = _machine(content)
    if machine is None:
        raise DeviceError(f"{path} is no program for Android (it starts with {content[:8]!r}); {_how_to_get(abis)}")
    if machine not in [_MACHINES.get(abi) for abi in abis]:
        built = next((abi for abi, number in _MACHINES.items() if number == machine), f"ELF machine {machine}")
        raise DeviceError(f"{path} is built for {built}, the phone runs {', '.join(abis)}; {_how_to_get(abis)}")
    return Binary(content, hashlib.sha256(content).hexdigest())


def _machine(content: bytes) -> int | None:
    if len(content) < _HEADER_BYTES or content[:4] != b"\x7fELF":
        return None
    number: int = struct.unpack_from("<H", content, 18)[0]
    return number
