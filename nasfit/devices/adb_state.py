"""What a phone tells of itself: properties, cores, battery, heat, screen. Each piece may be kept back by its maker.

Several questions are asked in one line for the phone's shell, because each line costs tens of milliseconds.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from nasfit.errors import DeviceError

_MARK = "nasfit-section:"
_CPU = "/sys/devices/system/cpu"
_POWER = "/sys/class/power_supply/battery"
_THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
MODERATE = 2
# Kernels tell microamperes, some makers milliamperes. A phone that computes draws more than 10 mA, and less than 10 A.
_LEAST_MICROAMPERES = 10_000
_POWER_MARK = "nasfit-power"
_POWER_STEP_S = 0.25


def question(commands: Mapping[str, str]) -> str:
    """One line for the phone's shell that runs several commands; `sections` takes its output apart."""
    return "; ".join(f"echo {_MARK}{name}; {command} 2>/dev/null" for name, command in commands.items()) + "; true"


def sections(output: str) -> dict[str, str]:
    """Output of each command of `question` by its name."""
    parts = re.split(rf"^{_MARK}(\w+)\n?", output, flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


# --- what stays the same ---------------------------------------------------------------------------------------------

IDENTITY_COMMANDS = {
    "properties": "getprop",
    "online": f"cat {_CPU}/online",
    "fastest": f"grep -H . {_CPU}/cpu[0-9]*/cpufreq/cpuinfo_max_freq",
    "governor": f"grep -H . {_CPU}/cpu[0-9]*/cpufreq/scaling_governor",
    "memory": "cat /proc/meminfo",
}


@dataclass(frozen=True)
class Identity:
    """What a phone is. cores: those online; core_mhz: highest clock of each that tells it; memory_mb: 10^6 bytes."""

    name: str
    soc: str
    android: str
    abis: tuple[str, ...]
    cores: tuple[int, ...]
    core_mhz: Mapping[int, float]
    governors: Mapping[int, str]
    memory_mb: float | None
    started: bool

    def fastest_cores(self, count: int) -> list[int]:
        """The `count` cores of the highest clock; of equals the last."""
        return sorted(self.cores, key=lambda core: (self.core_mhz.get(core, 0.0), core), reverse=True)[:count]


def read_identity(output: str, serial: str) -> Identity:
    """From the answer to IDENTITY_COMMANDS. Raises DeviceError where it is not the answer of an Android phone."""
    told = sections(output)
    properties = dict(re.findall(r"^\[([^]]+)\]: \[(.*)\]$", told.get("properties", ""), re.MULTILINE))
    model = properties.get("ro.product.model", "")
    if not model:
        raise DeviceError(f"phone {serial} tells no model (getprop); is it an Android phone?")
    maker = properties.get("ro.product.manufacturer", "")
    android = properties.get("ro.build.version.release", "?")
    # Units of one model differ by a few percent and by battery age, so they are told apart, but a report may be
    # published: four hexadecimal digits of a hash say nothing of the serial.
    unit = hashlib.sha256((properties.get("ro.serialno") or serial).encode()).hexdigest()[:4]
    memory = re.search(r"MemTotal:\s+(\d+) kB", told.get("memory", ""))
    return Identity(
        name=f"{maker} {model}".strip() + f" (unit {unit})",
        soc=_soc(properties),
        android=android,
        abis=tuple(filter(None, properties.get("ro.product.cpu.abilist", "").split(","))),
        cores=tuple(_core_list(told.get("online", ""))),
        core_mhz={core: int(value) / 1000 for core, value in _by_core(told.get("fastest", "")) if value.isdigit()},
        governors=dict(_by_core(told.get("governor", ""))),
        memory_mb=int(memory[1]) * 1024 / 1e6 if memory else None,
        started=properties.get("sys.boot_completed") == "1",
    )


def _soc(properties: Mapping[str, str]) -> str:
    # ro.soc.* came with Android 12.
    named = f"{properties.get('ro.soc.manufacturer', '')} {properties.get('ro.soc.model', '')}".strip()
    return named or properties.get("ro.board.platform") or properties.get("ro.hardware") or "SoC unknown"


def _core_list(text: str) -> list[int]:
    """`0-3,6` as numbers."""
    cores: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        if first.isdigit() and (not last or last.isdigit()):
            cores += range(int(first), int(last or first) + 1)
    return cores or [0]


def _by_core(text: str) -> list[tuple[int, str]]:
    found = re.findall(r"/cpu(\d+)/cpufreq/\w+:(.*)$", text, re.MULTILINE)
    return [(int(core), value.strip()) for core, value in found]


# --- what changes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PhoneState:
    """The phone now; None where it does not tell. powered_by: its charger, empty on battery. thermal_status: 0 to 6."""

    battery_c: float | None
    processor_c: float | None
    powered_by: str | None
    thermal_status: int | None
    screen_on: bool | None
    clock_mhz: float | None
    load_average: float | None
    battery_volts: float | None

    def heat(self, hot_c: float) -> str | None:
        """Why it is too hot to measure: throttling from `moderate`, a battery above `hot_c`; None where it is not."""
        if self.thermal_status is not None and self.thermal_status >= MODERATE:
            name = _THERMAL[min(self.thermal_status, len(_THERMAL) - 1)]
            return f"thermal status {self.thermal_status} ({name})"
        if self.battery_c is not None and self.battery_c > hot_c:
            return f"battery at {self.battery_c:.1f} C, above {hot_c:g} C"
        return None

    def power(self) -> str | None:
        """Screen and charging, for people."""
        screen = {True: "screen on", False: "screen off", None: None}[self.screen_on]
        source = f"charging ({self.powered_by})" if self.powered_by else "on battery"
        return ", ".join(filter(None, (screen, None if self.powered_by is None else source))) or None


HEAT_COMMANDS = {"battery": "dumpsys battery", "thermal": "dumpsys thermalservice"}


def state_commands(core: int) -> dict[str, str]:
    """Commands whose answer `read_state` reads; core: whose clock."""
    return {
        **HEAT_COMMANDS,
        "screen": "dumpsys power | grep -E 'mWakefulness=|Display Power'",
        "clock": f"cat {_CPU}/cpu{core}/cpufreq/scaling_cur_freq",
        "load": "cat /proc/loadavg",
    }


def read_state(output: str) -> PhoneState:
    """From the answer to `state_commands`, or to some of them."""
    told = sections(output)
    battery = dict(re.findall(r"^\s*([\w ]+): (\S+)$", told.get("battery", ""), re.MULTILINE))
    powered = [
        name.removesuffix(" powered") for name, on in battery.items() if name.endswith(" powered") and on == "true"
    ]
    thermal = re.search(r"Thermal Status: (\d+)", told.get("thermal", ""))
    degrees, millivolts = _number(battery.get("temperature")), _number(battery.get("voltage"))
    kilohertz = _number(told.get("clock"))
    return PhoneState(
        battery_c=None if degrees is None else degrees / 10,
        processor_c=_processor_c(told.get("thermal", "")),
        powered_by=", ".join(powered) if battery else None,
        thermal_status=int(thermal[1]) if thermal else None,
        screen_on=_screen_on(told.get("screen", "")),
        clock_mhz=None if kilohertz is None else kilohertz / 1000,
        load_average=_number(told.get("load", "").partition(" ")[0]),
        battery_volts=None if millivolts is None else millivolts / 1000,
    )


def _processor_c(text: str) -> float | None:
    """The hottest of the temperatures of type 0 (CPU), as now and not as cached."""
    now = text.rpartition("Current temperatures from HAL")[2]
    values = [float(value) for value in re.findall(r"mValue=([0-9.]+), mType=0,", now)]
    # Some makers report 0.0 for a sensor that is not there.
    return max(values) or None if values else None


def _screen_on(text: str) -> bool | None:
    display = re.search(r"Display Power: state=(\w+)", text)
    if display:
        return display[1] == "ON"
    wakefulness = re.search(r"mWakefulness=(\w+)", text)
    return wakefulness[1] == "Awake" if wakefulness else None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


# --- power drawn from the battery ------------------------------------------------------------------------------------


def watched(line: str) -> str:
    """A line that runs another one and tells the battery's current and voltage about four times a second meanwhile."""
    told = f"$(cat {_POWER}/current_now 2>/dev/null) $(cat {_POWER}/voltage_now 2>/dev/null)"
    loop = f"while kill -0 $p 2>/dev/null; do echo {_POWER_MARK} {told}; sleep {_POWER_STEP_S}; done; wait $p"
    return shlex.join(["sh", "-c", f"{line} & p=$!; {loop}"])


def mean_milliwatts(output: str, battery_volts: float | None) -> float | None:
    """Mean power in the answer to `watched`; None where the phone tells no current to this user.

    battery_volts: used where it tells no voltage.
    """
    found = re.findall(rf"^{_POWER_MARK} (-?\d+) ?(\d*)", output, re.MULTILINE)
    powers = []
    for current, microvolts in found:
        amperes = abs(int(current)) / (1e6 if abs(int(current)) >= _LEAST_MICROAMPERES else 1e3)
        volts = int(microvolts) / 1e6 if microvolts else battery_volts
        if volts:
            powers.append(amperes * volts * 1000)
    return sum(powers) / len(powers) if powers else None
