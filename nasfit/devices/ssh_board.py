"""What runs on the board before there is anything of nasfit: looks round, takes files, removes them.

Self-contained (standard library, Python 3.8 on): its text is sent to the board's Python on standard input, followed by
one line, the request `{"do": ..., ...}`, and the raw bytes of the files if there are any. The answer is one line that
starts with the request's mark, so that whatever a login script prints is told from it: `{"ok": {...}}` or
`{"error": text, "kind": "full" | "import" | "other"}`.

    survey   folder, modules, kill   -> what the machine, its Python and its disk are; which module imports
    receive  folder, files, modules  -> {}; files: [name, bytes] in turn; wheels are unpacked into `site`
    kill     marks                   -> {}; ends the workers that were started with these marks
    wipe                             -> removed: the folders that were there
    health                           -> what a doctor asks

Everything is kept in private folders `board-*` of `~/.cache/nasfit`; nothing else is written.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

PIECE_BYTES = 1 << 20
# A folder half filled is left by a connection that was cut; nobody fills one for longer than this.
STALE_S = 3600.0
MADE_FOR = "made-for"
# ONNX Runtime would write to the user's cache what it means to send home.
ENVIRONMENT = {"ORT_DISABLE_TELEMETRY": "1"}
# The board's own packages stay as they are.
UNTOUCHED = {"PYTHONDONTWRITEBYTECODE": "1"}
SYS = Path("/sys")
GOVERNORS = "devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"
IMPORT_TIMEOUT_S = 120.0
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def home() -> Path:
    """The folder of all folders of nasfit here."""
    return Path.home() / ".cache" / "nasfit"


def made_for() -> str:
    """The Python that a folder's wheels fit; the board may get another one."""
    return f"{platform.python_implementation()} {sys.version_info[:2]} {platform.machine()} {struct.calcsize('P') * 8}"


def survey(folder: str, modules: list[str], kill: list[str]) -> dict[str, Any]:
    """What is here. modules: to import, in turn, up to the first that does. kill: marks of workers left behind."""
    end(kill)
    path = home() / folder
    there = first_line(path / MADE_FOR) == made_for()
    filled = there and (path / "site").is_dir()
    own = None if filled else imports(modules, None)[0]
    return {
        "python": list(sys.version_info[:3]),
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "bits": struct.calcsize("P") * 8,
        "libc": libc(),
        "system": platform.system(),
        "host": platform.node(),
        "path": str(path),
        "there": there,
        "filled": filled,
        "own": own,
        "numpy": bool(filled or own or imports(["numpy"], None)[0]),
        "free_mb": free_mb(home()),
    }


def receive(folder: str, files: list[list[Any]], modules: list[str], source: IO[bytes]) -> dict[str, Any]:
    """Take files into a new folder, which gets its name only when all of it is there and the modules import."""
    home().mkdir(parents=True, exist_ok=True)
    home().chmod(0o700)
    for old in home().glob("new-*"):
        if time.time() - old.stat().st_mtime > STALE_S:
            shutil.rmtree(old, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix="new-", dir=home()))
    site = path / "site"
    try:
        for name, size in files:
            file = path / Path(name).name
            take(source, int(size), file)
            if file.suffix == ".whl":
                with zipfile.ZipFile(file) as wheel:
                    wheel.extractall(site)
                file.unlink()
        if site.is_dir():
            found, said = imports(modules, site)
            if found is None:
                raise ImportError(said)
        (path / MADE_FOR).write_text(made_for() + "\n", encoding="utf-8")
        settle(path, home() / folder)
    finally:
        shutil.rmtree(path, ignore_errors=True)
    return {}


def settle(path: Path, final: Path) -> None:
    """Give a full folder its name, unless another connection was faster with the same files."""
    if final.is_dir() and first_line(final / MADE_FOR) != made_for():
        shutil.rmtree(final)
    try:
        path.rename(final)
    except OSError:
        if not final.is_dir():
            raise


def take(source: IO[bytes], size: int, path: Path) -> None:
    """Write the next bytes of the input to a file."""
    with path.open("wb") as file:
        while size:
            piece = source.read(min(size, PIECE_BYTES))
            if not piece:
                raise EOFError("the input ended within a file")
            file.write(piece)
            size -= len(piece)


def end(marks: list[str]) -> dict[str, Any]:
    """End the workers that have one of the marks among their arguments."""
    for pid in workers(marks):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return {}


def wipe() -> dict[str, Any]:
    """Remove everything that nasfit put here."""
    found = [*sorted(home().glob("board-*")), *home().glob("new-*")]
    for path in found:
        shutil.rmtree(path)
    with contextlib.suppress(OSError):  # not empty: something else of nasfit's is there
        home().rmdir()
    return {"removed": list(map(str, found))}


def health() -> dict[str, Any]:
    """What a doctor asks of a machine."""
    return {
        "cores": os.cpu_count() or 1,
        "allowed": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "realtime": realtime(),
        "governors": sorted({text for text in map(first_line, SYS.glob(GOVERNORS)) if text}),
        "throttled": throttled(),
        "temperature_c": temperature_c(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "user": os.environ.get("USER") or str(os.getuid()),
    }


def realtime() -> bool:
    """Whether real-time priority is granted."""
    if not hasattr(os, "sched_setscheduler"):
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except OSError:
        return False
    return True


def throttled() -> str | None:
    """The flags of a Raspberry Pi's firmware, such as "0x50005"; None on other boards."""
    flags = first_line(SYS / "devices/platform/soc/soc:firmware/get_throttled")
    command = shutil.which("vcgencmd")
    if flags is None and command:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            told = subprocess.run([command, "get_throttled"], stdout=subprocess.PIPE, timeout=10).stdout.decode()
            flags = told.strip().partition("=")[2] or None
    return flags


def temperature_c() -> float | None:
    """The hottest thermal zone."""
    texts = map(first_line, SYS.glob("class/thermal/thermal_zone*/temp"))
    return max((int(text) / 1000 for text in texts if text and re.fullmatch(r"-?[0-9]+", text)), default=None)


def first_line(path: Path) -> str | None:
    """First line of a small system file, None where it cannot be read."""
    with contextlib.suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip()
    return None


def workers(marks: list[str]) -> list[int]:
    """Processes of this user that have one of the marks among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline") if marks else []:
        with contextlib.suppress(OSError):
            if set(path.read_bytes().decode(errors="replace").split("\0")) & set(marks):
                found.append(int(path.parent.name))
    return found


def libc() -> list[str]:
    """Name and version of the C library; musl has no name that Python knows."""
    name, version = platform.libc_ver()
    with contextlib.suppress(OSError, ValueError):
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or f"{name} {version}").partition(" ")
    return [name, version]


def imports(modules: list[str], site: Path | None) -> tuple[str | None, str]:
    """The first module that this Python imports, and else what the first one says."""
    environment = {**os.environ, **ENVIRONMENT, **({"PYTHONPATH": str(site)} if site else UNTOUCHED)}
    reasons = []
    for module in modules:
        command = [sys.executable, "-c", "import importlib, sys; importlib.import_module(sys.argv[1])", module]
        # Its own process: a wheel made for another processor ends it with a signal.
        try:
            done = subprocess.run(command, env=environment, capture_output=True, timeout=IMPORT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            reasons.append(f"importing {module} took longer than {IMPORT_TIMEOUT_S:g} s")
            continue
        if done.returncode == 0:
            return module, ""
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reasons.append(f"signal {-done.returncode}" if done.returncode < 0 else (lines or ["no reason given"])[-1])
    return None, (reasons or ["nothing to import"])[0]


def free_mb(path: Path) -> float:
    """Space left for this user on the disk of a folder or the nearest one above it that exists; 10^6 bytes."""
    while not path.is_dir():
        path = path.parent
    return shutil.disk_usage(path).free / 1e6


def answer(request: dict[str, Any], source: IO[bytes]) -> dict[str, Any]:
    """Do one request."""
    do = request.pop("do")
    if do == "receive":
        return receive(source=source, **request)
    steps: dict[str, Callable[..., dict[str, Any]]] = {"survey": survey, "kill": end, "wipe": wipe, "health": health}
    return steps[do](**request)


def main() -> None:
    """Answer the one request on standard input."""
    os.umask(0o077)
    source = sys.stdin.buffer
    request = json.loads(source.readline())
    mark = request.pop("mark")
    try:
        reply: dict[str, Any] = {"ok": answer(request, source)}
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in FULL
        kind = "full" if full else "import" if isinstance(error, ImportError) else "other"
        # Whoever asked is still sending: leaving now would look like a connection that broke.
        while source.read(PIECE_BYTES):
            pass
        reply = {"error": str(error) or type(error).__name__, "kind": kind}
    print(mark + json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
