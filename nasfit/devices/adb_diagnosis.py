"""What a phone needs before it can be measured, checked step by step."""

from __future__ import annotations

from collections.abc import Callable

from nasfit.devices.adb import AdbDevice
from nasfit.devices.adb_link import Link
from nasfit.devices.adb_server import chosen_serial, require_ready, server_version
from nasfit.devices.adb_state import IDENTITY_COMMANDS, Identity, question, read_identity
from nasfit.devices.check import Check
from nasfit.errors import NasfitError

_TIMEOUT_S = 20.0


def diagnose(serial: str | None = None) -> list[Check]:
    """Checks the adb server, the phone, its `benchmark_model` and its state; ends where the rest would make no sense.

    serial: of the phone; None takes ANDROID_SERIAL or the only one. Raises nothing of nasfit's: errors are the answer.
    """
    checks: list[Check] = []

    def holds(what: str, step: Callable[[], str]) -> bool:
        try:
            checks.append(Check(what, True, step(), ""))
        except NasfitError as error:
            told, _, fix = str(error).partition("; ")
            checks.append(Check(what, False, told, fix))
        return checks[-1].ok

    if holds("adb server", lambda: f"version 1.0.{server_version()}") and holds("phone", lambda: _phone(serial)):
        chosen = chosen_serial(serial)
        if holds("Android started", lambda: _started(chosen)) and holds("benchmark_model", lambda: _engine(chosen)):
            holds("benchmark_model runs", lambda: _runs(chosen))
            holds("quiet and cool", lambda: _calm(chosen))
    return checks


def _phone(serial: str | None) -> str:
    phone = require_ready(chosen_serial(serial), seen_before=False)
    return f"{phone.serial} ({phone.model or 'model unknown'})"


def _identity(serial: str) -> Identity:
    return read_identity(Link(serial).shell(question(IDENTITY_COMMANDS), _TIMEOUT_S)[1], serial)


def _started(serial: str) -> str:
    identity = _identity(serial)
    if not identity.started:
        raise NasfitError("still starting; wait for its home screen")
    return f"Android {identity.android} on {identity.soc}, {len(identity.cores)} cores"


def _engine(serial: str) -> str:
    return AdbDevice(serial).describe().engine


def _runs(serial: str) -> str:
    device = AdbDevice(serial, wait_s=0)
    with device.open() as session:
        session.require_runnable()
    return "starts on the phone's fastest core"


def _calm(serial: str) -> str:
    device = AdbDevice(serial, wait_s=0)
    with device.open() as session:
        state = session.state()
    power = device.describe().power
    if state.throttled:
        raise NasfitError(f"{state.throttled}; let the phone cool down, out of its case and off the charger")
    return ", ".join(filter(None, (power, f"{state.temperature_c:g} C" if state.temperature_c else None)))
