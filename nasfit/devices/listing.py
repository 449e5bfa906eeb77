"""The devices that can be named from here."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass

from nasfit.devices import engines, opening, worker_machine
from nasfit.errors import NasfitError


@dataclass(frozen=True)
class Found:
    """A device.

    name: for `open_device`. what: it is, in words. state: "ready", "not asked" (nothing was sent to it), or why it
    cannot be used. hint: what to do about that; empty where nothing.
    """

    name: str
    what: str
    state: str
    hint: str


def found_devices() -> list[Found]:
    """This machine, phones that the adb server knows, hosts that the user's ssh configuration names, kinds of packages.

    Raises nothing: where phones cannot be looked for, an entry named `adb` says why.
    """
    return [_this_machine(), *_phones(), *_hosts(), *_kinds()]


def _this_machine() -> Found:
    own = engines.ENGINES
    there = [engine.name for engine in own.values() if importlib.util.find_spec(engine.module) is not None]
    there += engines.EXTENSIONS.added()
    what = f"{worker_machine.cpu_model()}, {os.cpu_count() or 1} cores; engines: {', '.join(there) or 'none'}"
    hint = "" if there else f"pip install {own['litert'].distribution}"
    return Found("local", what, "ready" if there else "no engine installed", hint)


def _phones() -> list[Found]:
    from nasfit.devices.adb_server import READY, adb_devices

    try:
        phones = adb_devices()
    except NasfitError as error:
        return [Found("adb", "phones", "cannot be looked for", str(error))]
    return [
        Found(
            f"adb:{phone.serial}",
            phone.model or "phone of unknown model",
            "ready" if phone.state == READY else phone.state,
            phone.hint,
        )
        for phone in phones
    ]


def _hosts() -> list[Found]:
    from nasfit.devices.ssh_address import ssh_hosts

    return [Found(f"ssh://{host}", "host of the ssh configuration", "not asked", "") for host in ssh_hosts()]


def _kinds() -> list[Found]:
    added = opening.EXTENSIONS.added()
    return [Found(kind, "kind of device that another package adds", "not asked", "") for kind in added]
