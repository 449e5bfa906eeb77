"""Making a board able to run the worker: find its Python, take what is missing there, put it in a private folder."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import secrets
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasfit.devices import ssh_board, worker
from nasfit.devices.engines import Engine
from nasfit.devices.ssh_connection import Connection, RemoteFailure
from nasfit.devices.ssh_wheels import ARMV7, Platform, fetch_wheels, modules_of
from nasfit.errors import DeviceError

LEAST_PYTHON = (3, 9)
_NEWEST_MINOR = 15
STEP_TIMEOUT_S = 300.0
# A push on a line slower than this counts as hanging.
SLOWEST_BYTES_S = 50_000
# A wheel and what is unpacked of it; seen: 3.7 to 4.7 times the wheel.
DISK_FACTOR = 5
# Neither quotes nor a backslash nor a '!', so that any login shell takes it as one word between single quotes.
_BOOT = "import sys; s = sys.stdin.buffer; exec(s.read(int(s.readline())))"


@dataclass(frozen=True)
class Board:
    """A board that can run the worker. host: its own name. python: the interpreter's path, and its version.

    folder: where the worker is. filled: whether the engine is there too, else the board's Python has it.
    """

    host: str
    python: str
    platform: Platform
    folder: str
    filled: bool

    def command(self, mark: str) -> str:
        """The line for the board's shell that runs the worker, after a line with the mark.

        The shell stays, so that a signal that ends the worker becomes 128 + signal instead of ssh's own 255.
        """
        own = {"PYTHONPATH": f"{self.folder}/site"} if self.filled else ssh_board.UNTOUCHED
        settings = {"TMPDIR": self.folder, "XDG_CACHE_HOME": self.folder, **own}
        exports = " ".join(f"{key}={shlex.quote(value)}" for key, value in settings.items())
        folder, python = shlex.quote(self.folder), shlex.quote(self.python)
        inner = (
            f"cd {folder} && test -f worker.py && test -x {python} || exit {NO_FOLDER}; echo {mark}; "
            f"{exports} {python} worker.py {mark}; exit $?"
        )
        return f"exec sh -c {shlex.quote(inner)}"


NO_FOLDER = 97


def provision(connection: Connection, engine: Engine, *, kill: Sequence[str] = ()) -> Board:
    """Make the board ready for the engine; nothing is sent where it already is.

    kill: marks of workers that a broken connection left behind. Raises DeviceGone for a lost connection and DeviceError
    for whatever the board lacks.
    """
    python, version = find_python(connection)
    modules = modules_of(engine)
    name = folder_name(engine)
    survey = {"do": "survey", "folder": name, "modules": modules, "kill": list(kill)}
    told = ask_board(connection, python, survey)
    platform = platform_of(told, version)
    board = Board(str(told["host"]), python, platform, str(told["path"]), bool(told["filled"]))
    if told["there"] and (told["filled"] or told["own"]):
        return board
    if told["system"] != "Linux" and not told["own"]:
        raise DeviceError(f"{connection.address} runs {told['system']}; install {engine.distribution} there by hand")
    with tempfile.TemporaryDirectory(prefix="nasfit-") as directory:
        files = worker_files()
        if not told["own"]:
            if platform.machine == ARMV7 and not told["numpy"]:
                raise DeviceError(
                    f"the Python of {connection.address} has no numpy, and there are no wheels of it for {platform}; "
                    "on the board: sudo apt install python3-numpy"
                )
            files += fetch_wheels(engine, platform, Path(directory))
        _send(connection, python, name, files, modules, float(told["free_mb"]))
    return Board(board.host, python, platform, board.folder, not told["own"])


def find_python(connection: Connection) -> tuple[str, tuple[int, int, int]]:
    """Path and version of a Python on the board that can run the worker. Raises DeviceError where there is none."""
    mark = f"nasfit-{secrets.token_hex(8)}"
    names = " ".join(["python3", *(f"python3.{minor}" for minor in range(_NEWEST_MINOR, LEAST_PYTHON[1] - 1, -1))])
    # It prints its version, and says by its exit code whether that will do.
    version = f'"import sys; print(*sys.version_info[:3], sep=chr(46)); sys.exit(sys.version_info < {LEAST_PYTHON})"'
    look = (
        f'f=$(command -v $p) || continue; v=$($f -c {version} 2>/dev/null); e=$?; test -n "$v" || continue; '
        f"echo {mark} $v $f; test $e = 0 && break"
    )
    told = connection.run(f"exec sh -c 'for p in {names}; do {look}; done; true'", timeout_s=STEP_TIMEOUT_S).decode()
    found = [line.split(" ", 2)[1:] for line in told.splitlines() if line.startswith(mark)]
    pythons = [(path, tuple(map(int, text.split(".")))) for text, path in found]
    least = ".".join(map(str, LEAST_PYTHON))
    if not pythons:
        raise DeviceError(
            f"{connection.address} has no python3; the worker needs {least} or newer. On a Debian or Ubuntu board: "
            "sudo apt install python3"
        )
    fitting = [entry for entry in pythons if entry[1] >= LEAST_PYTHON]
    if not fitting:
        raise DeviceError(
            f"{connection.address} has Python {'.'.join(map(str, pythons[0][1]))} ({pythons[0][0]}); the worker needs "
            f"{least} or newer, which Debian 11, Raspberry Pi OS 11, Ubuntu 22.04 and their successors have"
        )
    # `python3` is the one that the system's packages are for.
    path, (major, minor, patch) = fitting[0]
    return path, (major, minor, patch)


def worker_files() -> list[Path]:
    """The files that the worker is made of."""
    return [Path(worker.__file__).with_name(name) for name in worker.FILES]


def folder_name(engine: Engine) -> str:
    """Of the worker and the engine: another version of either gets a folder of its own."""
    try:
        version = importlib.metadata.version(engine.distribution)
    except importlib.metadata.PackageNotFoundError:
        version = "any"
    parts = [path.read_bytes() for path in (*worker_files(), Path(ssh_board.__file__))]
    digest = hashlib.sha256(b"\0".join([*parts, engine.name.encode(), version.encode()]))
    return f"board-{digest.hexdigest()[:16]}"


def platform_of(told: Mapping[str, Any], version: tuple[int, int, int]) -> Platform:
    """What wheels have to fit, from a survey. Raises DeviceError for a Python that is not CPython."""
    if told["implementation"] != "CPython":
        raise DeviceError(f"the board's python3 is {told['implementation']}; the engines need CPython")
    machine = str(told["machine"])
    if told["bits"] == 32:
        # A 32-bit system on a 64-bit kernel: the kernel's name would fetch wheels that do not load.
        machine = {"aarch64": ARMV7, "armv8l": ARMV7, "x86_64": "i686"}.get(machine, machine)
    name, text = told["libc"]
    numbers = text.split(".")
    glibc = (int(numbers[0]), int(numbers[1])) if name == "glibc" and len(numbers) >= 2 else None
    return Platform(version, machine, glibc)


def ask_board(
    connection: Connection,
    python: str,
    request: Mapping[str, object],
    content: bytes = b"",
    *,
    timeout_s: float = STEP_TIMEOUT_S,
) -> dict[str, Any]:
    """The answer of `ssh_board.py` to one request. Raises DeviceError, DeviceGone for a lost connection."""
    mark = f"nasfit-{secrets.token_hex(8)} "
    program = Path(ssh_board.__file__).read_bytes()
    line = json.dumps({**request, "mark": mark}).encode() + b"\n"
    remote = f"exec {shlex.quote(python)} -I -u -c {shlex.quote(_BOOT)}"
    try:
        told = connection.run(remote, b"%d\n" % len(program) + program + line + content, timeout_s=timeout_s)
    except RemoteFailure as error:
        last = (error.said.splitlines() or ["it said nothing"])[-1]
        raise DeviceError(f"{connection.address} cannot prepare itself (exit code {error.code}): {last}") from error
    answers = [text for text in told.decode(errors="replace").splitlines() if text.startswith(mark)]
    if not answers:
        raise DeviceError(f"{connection.address} gave no answer to a step; it said {told[-200:]!r}")
    reply: dict[str, Any] = json.loads(answers[-1].removeprefix(mark))
    if "error" in reply:
        raise _step_error(connection, reply)
    answer: dict[str, Any] = reply["ok"]
    return answer


def _send(
    connection: Connection, python: str, folder: str, files: Sequence[Path], modules: list[str], free_mb: float
) -> None:
    contents = [path.read_bytes() for path in files]
    size = sum(map(len, contents))
    wanted_mb = DISK_FACTOR * size / 1e6
    if free_mb < wanted_mb:
        raise DeviceError(
            f"the disk of {connection.address} is too full: {free_mb:.0f} MB are free, about {wanted_mb:.0f} MB are "
            f"needed; free some, or remove what nasfit put there earlier: nasfit doctor {connection.address} --clean"
        )
    listed = [[path.name, len(content)] for path, content in zip(files, contents, strict=True)]
    request = {"do": "receive", "folder": folder, "files": listed, "modules": modules}
    timeout_s = STEP_TIMEOUT_S + size / SLOWEST_BYTES_S
    ask_board(connection, python, request, b"".join(contents), timeout_s=timeout_s)


def _step_error(connection: Connection, reply: Mapping[str, Any]) -> DeviceError:
    if reply["kind"] == "full":
        return DeviceError(
            f"the disk of {connection.address} is full: {reply['error']}; free some space there, or remove what nasfit "
            f"put there earlier: nasfit doctor {connection.address} --clean"
        )
    if reply["kind"] == "import":
        return DeviceError(
            f"the engine's files are on {connection.address} but do not load there: {reply['error']}; try another "
            "engine, or install it there by hand"
        )
    return DeviceError(f"{connection.address} cannot prepare itself: {reply['error']}")
