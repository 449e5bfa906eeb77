"""The adb server on this machine: which phones it knows, and which of them is meant."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nasfit.errors import DeviceError, DeviceGone, MissingExtraError, UsageError

READY = "device"
_ANSWER_TIMEOUT_S = 10.0
_HINTS = {
    READY: "",
    "unauthorized": "unlock the phone and accept the dialog 'Allow USB debugging?'",
    "authorizing": "unlock the phone and accept the dialog 'Allow USB debugging?'",
    "offline": "unplug it and plug it in again; if that does not help, run: adb reconnect",
    "recovery": "start the phone into Android",
    "sideload": "start the phone into Android",
    "bootloader": "start the phone into Android",
    "no": "this user may not open it: add udev rules for Android phones, then plug it in again",
}
_NO_PHONE = "turn on USB debugging in the phone's developer options, plug it in, and accept the dialog on its screen"
_NO_SERVER = (
    "install adb (Debian, Ubuntu: apt install adb; macOS: brew install android-platform-tools; elsewhere: Android's "
    "platform-tools), then try: adb devices"
)


@dataclass(frozen=True)
class Phone:
    """A phone the adb server knows. state: `device` where it can be used; hint: what to do where not, else empty."""

    serial: str
    model: str
    state: str
    hint: str


def adb_package() -> Any:
    """The package adbutils. Raises MissingExtraError without it."""
    try:
        import adbutils
    except ImportError as error:
        raise MissingExtraError("a phone over adb", "adb") from error
    except ValueError as error:
        # It reads the variable while it is imported.
        port = os.environ.get("ANDROID_ADB_SERVER_PORT")
        raise UsageError(f"ANDROID_ADB_SERVER_PORT is {port!r}; it must be a port number") from error
    return adbutils


def adb_client() -> Any:
    """An adbutils client; where the server is: ANDROID_ADB_SERVER_HOST, ANDROID_ADB_SERVER_PORT, else port 5037 here.

    Raises MissingExtraError without adbutils.
    """
    return adb_package().AdbClient(socket_timeout=_ANSWER_TIMEOUT_S)


def adb_devices() -> list[Phone]:
    """Every phone and emulator the adb server knows, usable or not; starts the server where none runs.

    Raises DeviceError where there is no server and none can be started, MissingExtraError without adbutils.
    """
    with _server_errors():
        known = adb_client().list(extended=True)
    return [_phone(entry.serial, entry.state, entry.tags.get("model", "")) for entry in known]


def server_version() -> int:
    """Version of the adb server's protocol, as in 1.0.<version>. Raises as `adb_devices`."""
    with _server_errors():
        return int(adb_client().server_version())


def chosen_serial(wanted: str | None) -> str:
    """The phone that is meant: the wanted one, else ANDROID_SERIAL, else the only one there.

    Raises UsageError where several are there and none was named, DeviceError where none is.
    """
    serial = wanted or os.environ.get("ANDROID_SERIAL")
    if serial:
        return serial
    phones = adb_devices()
    if not phones:
        raise DeviceError(f"no phone is connected; {_NO_PHONE}")
    if len(phones) > 1:
        raise UsageError(f"{len(phones)} phones are connected; name one as adb:SERIAL: {listed(phones)}")
    return phones[0].serial


def require_ready(serial: str, *, seen_before: bool) -> Phone:
    """The phone of this serial, ready for commands.

    Raises DeviceGone where it is offline, or absent though it was seen before; DeviceError where it is not allowed,
    not started into Android, or unknown.
    """
    phones = adb_devices()
    for phone in phones:
        if phone.serial != serial or phone.state == READY:
            continue
        error = DeviceGone if phone.state in ("offline", "authorizing", "connecting") else DeviceError
        raise error(f"phone {serial} is {phone.state}; {phone.hint}")
    found = [phone for phone in phones if phone.serial == serial]
    if found:
        return found[0]
    if seen_before:
        raise DeviceGone(f"phone {serial} is not connected any more (unplugged, or restarting); plug it in again")
    raise DeviceError(f"no phone {serial!r} is connected; {f'there is: {listed(phones)}' if phones else _NO_PHONE}")


def listed(phones: Sequence[Phone]) -> str:
    """Phones as one line of text."""
    return ", ".join(f"{phone.serial} ({phone.model or 'model unknown'}, {phone.state})" for phone in phones)


def _phone(serial: str, state: str, model: str) -> Phone:
    hint = _HINTS.get(state, f"its state is {state!r}; start the phone into Android")
    return Phone(serial, model.replace("_", " "), "not accessible" if state == "no" else state, hint)


@contextmanager
def _server_errors() -> Iterator[None]:
    adbutils = adb_package()

    try:
        yield
    except (adbutils.AdbError, OSError, EOFError, ValueError, subprocess.SubprocessError) as error:
        raise DeviceError(f"no adb server answers ({error}); {_NO_SERVER}") from error
