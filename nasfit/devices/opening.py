"""Device names as users write them."""

from __future__ import annotations

from nasfit.devices.device import Device
from nasfit.devices.local import LocalDevice
from nasfit.errors import UnknownNameError, UsageError

FORMS = ("local", "ssh://[user@]host[:port]", "adb:SERIAL")


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
    phone is connected.

    core: CPU core to pin to, None takes the fastest. realtime: ask for real-time priority while timing; with several
    threads there is none. threads: of one inference. timeout_s: a network that takes longer for one step has failed.
    Raises UnknownNameError or UsageError; a device that does not answer says so when it is used.
    """
    kind, _, rest = name.partition(":")
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
    raise UnknownNameError("device", name, FORMS)
