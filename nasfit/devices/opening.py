"""Device names as users write them."""

from __future__ import annotations

from collections import Counter

from nasfit.devices.device import Device
from nasfit.devices.local import LocalDevice
from nasfit.errors import DeviceError, UnknownNameError, UsageError
from nasfit.extensions import ExtensionPoint

FORMS = ("local", "ssh://[user@]host[:port]", "adb:SERIAL", "ray:LABEL[/DEVICE]")
EXTENSIONS = ExtensionPoint(
    "nasfit.devices",
    "device",
    ("local", "ssh", "adb", "ray"),
    offers=("name", "model_format", "on_this_machine", "describe", "open", "resources"),
)
"""Those of other packages, by what stands before the colon of their names; each refers to a `DeviceFactory`."""


def open_device(
    name: str,
    *,
    engine: str = "litert",
    core: int | None = None,
    realtime: bool = True,
    threads: int = 1,
    timeout_s: float = 30.0,
) -> Device:
    """The device of this name: `local` (this machine), `ssh://[user@]host[:port]`, `adb:SERIAL`, or `adb` where one
    phone is connected; `ray:LABEL/DEVICE`, one of these at a cluster's machine with the resource `device:LABEL`;
    `KIND` or `KIND:REST` where another package adds devices of that kind.

    engine: `litert`, `onnxruntime`, `openvino`, `ncnn` or `executorch`.
    core: CPU core to pin to, None takes the fastest. realtime: ask for real-time priority while timing; with several
    threads there is none. threads: of one inference. timeout_s: a network that takes longer for one step has failed.
    Raises UnknownNameError, UsageError, and ExtensionError for a package's kind that does not load; a device that does
    not answer says so when it is used.
    """
    kind, _, rest = name.partition(":")
    if EXTENSIONS.adds(kind):
        added: Device = EXTENSIONS.make(
            kind, name, engine=engine, core=core, realtime=realtime, threads=threads, timeout_s=timeout_s
        )
        return added
    if name == "local":
        return LocalDevice(engine=engine, core=core, realtime=realtime, threads=threads, timeout_s=timeout_s)
    if kind == "ssh":
        from nasfit.devices.ssh import SshDevice

        return SshDevice(name, engine=engine, core=core, realtime=realtime, threads=threads, timeout_s=timeout_s)
    if kind == "adb":
        from nasfit.devices.adb import AdbDevice

        if rest == "" and name != "adb":
            raise UsageError(f"device {name!r} lacks the phone's serial number after the colon; see: nasfit devices")
        return AdbDevice(rest or None, engine=engine, core=core, threads=threads, timeout_s=timeout_s)
    if kind == "ray":
        from nasfit.devices.ray_device import RayDevice

        return RayDevice(name, engine=engine, core=core, realtime=realtime, threads=threads, timeout_s=timeout_s)
    raise UnknownNameError("device", name, FORMS + EXTENSIONS.added())


def open_devices(names: str, *, engine: str = "litert") -> list[Device]:
    """One device, or several of the same kind with commas between them, such as `adb:SERIAL,adb:OTHER`.

    All are asked what they are. Raises UsageError where one comes twice, DeviceError where one does not answer or has
    another processor or engine than the first, and what `open_device` raises.
    """
    each = [name.strip() for name in names.split(",")]
    if twice := [name for name, times in Counter(each).items() if times > 1]:
        raise UsageError(f"device {twice[0]!r} comes twice in {names!r}; one device measures one network at a time")
    devices = [open_device(name, engine=engine) for name in each]
    found = [device.describe() for device in devices]
    kinds = [f"{one.cpu} with {one.cores} cores, {one.engine}" for one in found]
    for name, kind in zip(each, kinds, strict=True):
        if kind != kinds[0]:
            raise DeviceError(f"{name} is {kind}, and {each[0]} is {kinds[0]}; one search measures on devices alike")
    return devices
