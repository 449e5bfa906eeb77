"""`nasfit doctor`: looks at a device step by step, repairs what it can, and says what spread to expect."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from nasfit.devices import Description, Device, State, adb_diagnosis, open_device, ssh_diagnosis, worker_machine
from nasfit.devices.adb import AdbDevice
from nasfit.devices.check import Check
from nasfit.devices.ssh import SshDevice
from nasfit.errors import NasfitError
from nasfit.latency.health import (
    BAD,
    OK,
    WARNING,
    Finding,
    Repeatability,
    findings,
    judged,
    repeatability,
    room,
    usable,
    verdict,
)

_NETWORKS = ("mnasnet-small", "mnasnet-a1", "mobilenet-v2")
_RESOLUTION = 96
# What makes timing noisier, not impossible.
_MILD = ("real-time priority", "governor", "throttling", "load", "quiet and cool")
_MARKS = {OK: "ok     ", WARNING: "warning", BAD: "BAD    "}


def run(name: str, engine: str, *, clean: bool, as_json: bool) -> None:
    """Prints the findings and the verdict; exit code 2 where the device cannot be used.

    Raises UsageError or UnknownNameError for a name that is none; what the device itself lacks is a finding.
    """
    device = open_device(name, engine=engine)
    if clean:
        _print_removed(removed(device), as_json=as_json)
        return
    view = _View(quiet=as_json)
    measured = _examined(device, engine, view)
    told = verdict(name, view.found, measured)
    if as_json:
        document = {
            "device": name,
            "engine": engine,
            "usable": usable(view.found),
            "verdict": told,
            "findings": [asdict(finding) for finding in view.found],
            "repeatability": {**asdict(measured), "spread": measured.spread} if measured else None,
        }
        print(json.dumps(document, indent=1))
    else:
        print(f"\n{told}")
    if not usable(view.found):
        sys.exit(2)


class _View:
    """Findings as they come: each is a line at once, since some take seconds."""

    def __init__(self, *, quiet: bool) -> None:
        self.found: list[Finding] = []
        self._quiet = quiet

    def add(self, finding: Finding) -> None:
        self.found.append(finding)
        if not self._quiet:
            print(f"{_MARKS[finding.state]}  {finding.what}: {finding.told}", flush=True)
            if finding.fix:
                print(f"{'':9}-> {finding.fix}", flush=True)


def _examined(device: Device, engine: str, view: _View) -> Repeatability | None:
    """Every finding, in order; ends at what the rest needs."""
    for finding in diagnosed(device.name, engine):
        view.add(finding)
    if not usable(view.found):
        return None
    try:
        description, state = _looked(device)
        known = {finding.what for finding in view.found}
        for finding in findings(description, state):
            if finding.what not in known:
                view.add(finding)
        if device.name == "local":
            for finding in _local_room():
                view.add(finding)
        print("measuring three networks in six fresh engine processes, about half a minute ...", file=sys.stderr)
        measured = _measured(device)
    except NasfitError as error:
        told, _, fix = str(error).partition("; ")
        view.add(Finding(f"engine {engine}", BAD, told, fix))
        return None
    for finding in judged(measured):
        view.add(finding)
    return measured


def diagnosed(name: str, engine: str) -> Iterator[Finding]:
    """What only this kind of device has to go through before it answers; nothing for this machine."""
    checks: Sequence[Check] = ()
    if name.startswith("ssh:"):
        checks = ssh_diagnosis.diagnose(name, engine=engine)
    elif name.startswith("adb"):
        checks = adb_diagnosis.diagnose(name.partition(":")[2] or None)
    for check in checks:
        failed = WARNING if check.what in _MILD else BAD
        yield Finding(check.what, OK if check.ok else failed, check.told, check.fix)


def _looked(device: Device) -> tuple[Description, State]:
    """Opening a session also brings the worker there up to date."""
    description = device.describe()
    with device.open() as session:
        return description, session.state()


def _local_room() -> list[Finding]:
    memory, folder = worker_machine.memory_bytes("MemAvailable"), tempfile.gettempdir()
    return room(None if memory is None else memory / 1e6, shutil.disk_usage(folder).free / 1e6, folder)


def _measured(device: Device) -> Repeatability:
    # torch is only needed to make the files.
    from nasfit.architecture import adapted, published
    from nasfit.search.measuring import Instrument

    instrument = Instrument(device)
    networks = {name: adapted(published(name), resolution=_RESOLUTION, channels=3, classes=1000) for name in _NETWORKS}
    candidates = {name: instrument.candidate(network) for name, network in networks.items()}
    return repeatability(device, candidates)


def removed(device: Device) -> list[str]:
    """Removes what nasfit put on the device, this machine being none; the paths that were there. Raises DeviceError."""
    return device.wipe() if isinstance(device, SshDevice | AdbDevice) else []


def _print_removed(paths: list[str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"removed": paths}, indent=1))
        return
    for path in paths or ["nothing of nasfit's was there"]:
        print(f"removed {path}" if paths else path)
