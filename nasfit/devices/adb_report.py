"""What `benchmark_model` prints, read back; and the command that runs it.

Written after its source (tflite/tools/benchmark in LiteRT, tensorflow/lite/tools/benchmark before): a line of
statistics for the warm-up, one for the timed runs, then a summary. Runs that all took equally long have no minimum.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from nasfit.errors import DeviceError

_NUMBER = r"(-?[0-9.]+(?:e[+-]?[0-9]+)?)"
_STATISTICS = re.compile(r"count=(\d+)(?: first=\d+)?(?: curr=(\d+))?(?:.*? min=(\d+) max=(\d+))?")
_MEAN = re.compile(r"Inference \(avg\): " + _NUMBER)
_FOOTPRINT = re.compile(r"Memory footprint delta from the start of the tool \(MB\): init=\S+ overall=" + _NUMBER)
_CANNOT_EXECUTE = ("not executable", "exec format error", "cannot link executable", "permission denied")
_LAST_LINES = 3
_SIGNALS = 128


class NetworkFault(Exception):
    """The network could not be run; `certain` where running it again would end the same way."""

    def __init__(self, text: str, *, certain: bool) -> None:
        super().__init__(text)
        self.certain = certain


@dataclass(frozen=True)
class Report:
    """Time of one inference over `runs` of them, in ms. peak_memory_mb: growth of the resident peak since its start,
    10^6 bytes."""

    runs: int
    mean_ms: float
    least_ms: float
    most_ms: float
    peak_memory_mb: float | None


def benchmark_command(binary: str, arguments: Sequence[str], *, mask: int, pid_file: str) -> str:
    """A line for the phone's shell that runs it on the cores of `mask` and leaves its process id in `pid_file`."""
    # Everything this process leaves behind on a cut connection can be ended later by that id. The inner shell keeps
    # `exec` from replacing the one that tells the exit code on phones without shell v2.
    line = f"echo $$ > {shlex.quote(pid_file)}; exec taskset {mask:x} {shlex.join([binary, *arguments])}"
    return shlex.join(["sh", "-c", line])


def read_report(code: int, text: str) -> Report:
    """The report of one call that ended with exit code `code`.

    Raises NetworkFault for a crash, a refusal or an unreadable report, DeviceError where the binary or the core is at
    fault and not the network.
    """
    if code != 0:
        raise _failure(code, text)
    statistics, means = _STATISTICS.findall(text), _MEAN.findall(text)
    mean_us = _positive(means[-1]) if means else None
    if mean_us is None or not statistics or not int(statistics[-1][0]):
        raise NetworkFault(f"unreadable report of benchmark_model: {last_words(text)!r}", certain=False)
    count, same, least, most = statistics[-1]
    footprint = _FOOTPRINT.search(text)
    return Report(
        runs=int(count),
        mean_ms=mean_us / 1000,
        least_ms=float(least or same or mean_us) / 1000,
        most_ms=float(most or same or mean_us) / 1000,
        # It prints kilobytes / 1024, with a kilobyte of 1024.
        peak_memory_mb=float(footprint[1]) * 1024 * 1024 / 1e6 if footprint else None,
    )


def last_words(text: str) -> str:
    """The last lines that say something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-_LAST_LINES:])[-400:]


def _failure(code: int, text: str) -> Exception:
    words = last_words(text)
    if "taskset:" in words and code not in (126, 127):
        return DeviceError(f"the phone refuses the CPU core: {words}; choose another with --core")
    if code in (126, 127) or any(sign in words.lower() for sign in _CANNOT_EXECUTE):
        return DeviceError(
            f"benchmark_model does not start on the phone: {words or f'exit code {code}'}; "
            "it must be the official Android binary of the phone's ABI (see docs/how-to/phone-over-adb.md)"
        )
    how = f"signal {code - _SIGNALS}" if code > _SIGNALS else f"exit code {code}"
    # A signal may also come from outside (low memory, a reboot under way), a refusal is the network's own.
    return NetworkFault(f"benchmark_model ended with {how}: {words}", certain=code < _SIGNALS)


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
