"""What a board needs before it can be measured, checked step by step."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Mapping
from typing import Any

from nasfit.devices.check import Check
from nasfit.devices.ssh import SshDevice
from nasfit.devices.ssh_address import SshAddress, parse_address
from nasfit.devices.ssh_connection import Connection, connect
from nasfit.devices.ssh_errors import failed_step
from nasfit.devices.ssh_provision import ask_board, find_python
from nasfit.errors import DeviceError, NasfitError

_ENOUGH_MB = 300
_REALTIME_FIX = (
    "allow it on the board, then log in anew: echo '{user} - rtprio 1' | sudo tee /etc/security/limits.d/nasfit.conf"
)
_GOVERNOR_FIX = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
# Bits of a Raspberry Pi's get_throttled: the low four are about now, those from 16 on about the time since it started.
_FLAGS = ("supply voltage too low", "clock capped", "throttled", "near the temperature limit")


def diagnose(address: str, *, engine: str = "litert") -> list[Check]:
    """Checks the way to the board, what is on it, the engine and how quiet it is; ends at what the rest needs.

    Puts the worker and the engine there as a measurement would. Raises UsageError for a malformed address and
    UnknownNameError for an engine; all else is in the answer.
    """
    parsed, device = parse_address(address), SshDevice(address, engine=engine)
    checks: list[Check] = []
    try:
        checks += _way(parsed)
        if not all(check.ok for check in checks):
            return checks
        connection = connect(parsed)
    except DeviceError as error:
        return [*checks, *_failed_way(error)]
    checks += [Check(what, True, told, "") for what, told in _reached(parsed)]
    try:
        checks += _inside(connection)
        checks += _engine(device)
        checks += _quiet(_health(connection))
    except NasfitError as error:
        told, _, fix = str(error).partition("; ")
        what = "engine" if any(check.what == "disk" for check in checks) else "python"
        checks.append(Check(what, False, told, fix))
    finally:
        connection.close()
    return checks


def _way(address: SshAddress) -> list[Check]:
    """The client and the name."""
    if shutil.which("ssh") is None:
        return [Check("ssh client", False, "there is none on this machine", "install openssh-client")]
    # The configuration may give the host another name, or a jump host on whose network the name means something.
    command = ["ssh", "-G", *address.arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise DeviceError(f"ssh cannot read its configuration: {done.stderr.strip()[-200:]}; try by hand: ssh -G host")
    settings = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    host = settings.get("hostname", address.host)
    if settings.get("proxyjump", "none") != "none" or settings.get("proxycommand", "none") != "none":
        return [Check("name", True, f"{host}, looked up by the jump host", "")]
    try:
        places = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError as error:
        fix = "check the spelling, or write the board's IP address (on the board: hostname -I)"
        return [Check("name", False, f"no host is called {host!r} ({error})", fix)]
    return [Check("name", True, ", ".join(sorted(places)), "")]


def _reached(address: SshAddress) -> list[tuple[str, str]]:
    version = subprocess.run(["ssh", "-V"], capture_output=True, text=True, timeout=20).stderr.strip()
    return [("connection", f"{address}, {version}"), ("host key", "known"), ("key", "accepted")]


def _failed_way(error: DeviceError) -> list[Check]:
    """What held before the step that failed, and that step."""
    steps = ["connection", "host key", "key"]
    failed = failed_step(error)
    told, _, fix = str(error).partition("; ")
    before = [Check(step, True, "", "") for step in steps[: steps.index(failed)]]
    return [*before, Check(failed, False, told, fix)]


def _inside(connection: Connection) -> list[Check]:
    """Python and the disk."""
    path, version = find_python(connection)
    told = ask_board(connection, path, {"do": "survey", "folder": "none", "modules": [], "kill": []})
    free_mb = float(told["free_mb"])
    disk = Check(
        "disk",
        free_mb >= _ENOUGH_MB,
        f"{free_mb:.0f} MB free",
        "" if free_mb >= _ENOUGH_MB else f"free some space: an engine takes up to {_ENOUGH_MB} MB while it is unpacked",
    )
    return [Check("python", True, f"{'.'.join(map(str, version))} ({path}), {told['machine']}", ""), disk]


def _engine(device: SshDevice) -> list[Check]:
    """The engine starts; real-time priority is granted."""
    description = device.describe()
    return [Check("engine", True, f"{description.engine} on {description.device}", "")]


def _health(connection: Connection) -> dict[str, Any]:
    return ask_board(connection, find_python(connection)[0], {"do": "health"})


def _quiet(told: Mapping[str, Any]) -> list[Check]:
    """What disturbs timing."""
    allowed, governors, load = told["allowed"], told["governors"], told["load_average"]
    realtime, busy = bool(told["realtime"]), load is not None and load > 0.5
    steady = set(governors) <= {"performance"}
    of = f"{told['cores']} cores" + (f", this user may use {len(allowed)}" if allowed else "")
    return [
        Check(
            "real-time priority",
            realtime,
            "granted" if realtime else "not granted: other programs will disturb the timing",
            "" if realtime else _REALTIME_FIX.format(user=told["user"]),
        ),
        Check("cores", True, of, ""),
        Check("governor", steady, ", ".join(governors) or "not told", "" if steady else _GOVERNOR_FIX),
        _throttling(told["throttled"], told["temperature_c"]),
        Check("load", not busy, "not told" if load is None else f"{load:.2f}", "end other programs" if busy else ""),
    ]


def _throttling(flags: str | None, temperature_c: float | None) -> Check:
    heat = "temperature not told" if temperature_c is None else f"{temperature_c:.0f} degrees Celsius"
    bits = int(flags, 16) if flags else 0
    now = [name for bit, name in enumerate(_FLAGS) if bits >> bit & 1]
    before = [name for bit, name in enumerate(_FLAGS) if bits >> (16 + bit) & 1]
    told = "; ".join(
        [heat, *([f"now: {', '.join(now)}"] if now else []), *([f"earlier: {', '.join(before)}"] * bool(before))]
    )
    return Check("throttling", not bits, told, "a better power supply and a fan or heat sink help" if bits else "")
