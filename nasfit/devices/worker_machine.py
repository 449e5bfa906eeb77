"""What the machine tells about itself. Part of `worker.py`: standard library alone; Linux tells most, others little."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import time
from pathlib import Path

SYS = Path("/sys")
PROC = Path("/proc")


def text_of(path: Path) -> str:
    """A small system file; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip(" \n\0")
    except OSError:
        return ""


def number(path: Path) -> int | None:
    """A system file that holds one whole number; None where it cannot be read."""
    text = text_of(path)
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def memory_bytes(entry: str, path: str = "meminfo") -> int | None:
    """A line `entry: number kB` of /proc/meminfo, such as MemAvailable; None where there is none."""
    found = re.search(rf"^{entry}:\s*(\d+)", text_of(PROC / path), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def peak_bytes() -> int | None:
    """Largest resident memory of this process so far; None where the system does not tell."""
    return memory_bytes("VmHWM", "self/status")


def reset_peak_bytes() -> int | None:
    """The same after starting it anew from what is resident now, where the system can."""
    with contextlib.suppress(OSError):
        (PROC / "self/clear_refs").write_text("5", encoding="ascii")
    return peak_bytes()


def pick_cores(wanted: int | None, threads: int) -> list[int]:
    """Cores to keep to: the fastest, of equals the last ones, which the system's own work uses least.

    Empty where the system cannot pin. Raises ValueError for a core or a number that cannot be had.
    """
    if not hasattr(os, "sched_getaffinity"):
        if wanted is not None:
            raise ValueError(f"core is {wanted}, but this system cannot pin a process; leave it out")
        return []
    allowed = sorted(os.sched_getaffinity(0))
    if wanted is not None and threads > 1:
        raise ValueError(f"core is {wanted} with {threads} threads; name a core for one thread only")
    if wanted is not None and wanted not in allowed:
        raise ValueError(f"core is {wanted}; this process may use {', '.join(map(str, allowed))}")
    if threads > len(allowed):
        raise ValueError(f"threads is {threads}; this process may use {len(allowed)} cores")
    by_speed = sorted(allowed, key=lambda core: (number(clock_file(core, "cpuinfo_max_freq")) or 0, core), reverse=True)
    return by_speed[:threads] if wanted is None else [wanted]


def clock_step_ns() -> int:
    """Smallest step of the thread-CPU clock seen in a short spin."""
    steps = []
    for _ in range(20):
        before = after = time.thread_time_ns()
        while after == before:
            after = time.thread_time_ns()
        steps.append(after - before)
    return min(steps)


def cpu_model() -> str:
    """Name of the processor or the board as the kernel tells it."""
    pairs = re.findall(r"^([^:\n]+?)\s*:\s*(.+)$", text_of(PROC / "cpuinfo"), re.MULTILINE)
    found = {key.lower(): value for key, value in reversed(pairs)}
    # A number under "model" is x86's own; boards have their name there.
    names = [found.get(key, "") for key in ("model name", "hardware", "model")] + [text_of(PROC / "device-tree/model")]
    named = [name for name in names if name and not name.isdigit()]
    return named[0] if named else platform.processor() or platform.machine()


def clock_file(core: int | None, name: str) -> Path:
    """Where the system tells about the clock of a core."""
    return SYS / f"devices/system/cpu/cpu{core or 0}/cpufreq/{name}"


def governor(core: int | None) -> str | None:
    """What sets the clock of a core."""
    return text_of(clock_file(core, "scaling_governor")) or None


def clock_mhz(core: int | None) -> float | None:
    """Clock of a core now."""
    khz = number(clock_file(core, "scaling_cur_freq"))
    if khz is not None:
        return khz / 1000
    clocks = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", text_of(PROC / "cpuinfo"), re.MULTILINE)
    return float(clocks[core or 0]) if len(clocks) > (core or 0) else None


def temperature_c() -> float | None:
    """Of the processor: the hottest of its own sensors, of all plausible ones where none is marked as its own."""
    sensors = [(text_of(zone / "type"), zone / "temp") for zone in SYS.glob("class/thermal/thermal_zone*")]
    sensors += [(text_of(path.parent / "name"), path) for path in SYS.glob("class/hwmon/hwmon*/temp*_input")]
    seen = [(name, (number(path) or 0) / 1000) for name, path in sensors]
    plausible = [(name, degrees) for name, degrees in seen if 0 < degrees < 150]
    own = [degrees for name, degrees in plausible if re.search(r"cpu|pkg|soc|coretemp|k10temp|zenpower", name)]
    return max(own or [degrees for _, degrees in plausible], default=None)


def throttled() -> str | None:
    """What the system says of a clock held down now."""
    flags = int(text_of(SYS / "devices/platform/soc/soc:firmware/get_throttled") or "0", 16)
    # Raspberry Pi; the low four bits are about now, higher ones about the past.
    names = ("its supply voltage is too low", "its clock is capped", "it is throttled", "it is near its heat limit")
    said = [name for bit, name in enumerate(names) if flags >> bit & 1]
    for device in sorted(SYS.glob("class/thermal/cooling_device*")):
        kind, level = text_of(device / "type"), number(device / "cur_state") or 0
        if level > 0 and re.search(r"cpufreq|^processor$", kind, re.IGNORECASE):
            said.append(f"its clock is lowered to cool it ({kind}, level {level})")
    return f"the device says that {', '.join(said)}" if said else None


def throttle_count() -> int:
    """How often x86 cores have been slowed for their heat so far."""
    return sum(number(path) or 0 for path in SYS.glob("devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"))


def power() -> str | None:
    """What feeds the machine: mains or battery; None where it does not tell."""
    supplies = {text_of(path / "type"): number(path / "online") for path in SYS.glob("class/power_supply/*")}
    if supplies.get("Mains") == 1:
        return "mains"
    return "battery" if "Battery" in supplies else None


def package_energy_uj() -> dict[Path, int]:
    """Energy counters (RAPL) of the processor packages; empty where there are none or this user may not read them."""
    # Sub-domains (intel-rapl:0:0) and the second view (intel-rapl-mmio:0) are contained in the packages.
    folders = [path for path in SYS.glob("class/powercap/*") if re.fullmatch(r"[a-z]+-rapl:\d+", path.name)]
    counts = {path: number(path / "energy_uj") for path in folders if text_of(path / "name").startswith("package")}
    return {path: count for path, count in counts.items() if count is not None}


def joules_since(before: dict[Path, int]) -> float | None:
    """Energy used since then; None without counters."""
    after = package_energy_uj()
    if not before or after.keys() != before.keys():
        return None
    used = {path: after[path] - count for path, count in before.items()}
    # A counter that went back has wrapped round.
    return sum(uj if uj >= 0 else uj + (number(path / "max_energy_range_uj") or 0) for path, uj in used.items()) / 1e6
