"""Device names as users write them."""

from __future__ import annotations

from nasfit.devices import worker
from nasfit.devices.local import LocalDevice
from nasfit.errors import UnknownNameError, UsageError

ENGINES = tuple(sorted(worker.ENGINES))
_LATER = ("ssh", "adb")


def open_device(
    name: str,
    *,
    engine: str = "onnxruntime",
    core: int | None = None,
    realtime: bool = True,
    timeout_s: float = 30.0,
) -> LocalDevice:
    """The device of this name; `local` is this machine.

    core: CPU core to pin to, None takes the last one allowed. realtime: ask for real-time priority while timing.
    timeout_s: a network that takes longer for one step has failed. Raises UnknownNameError, or UsageError for a device
    reached over ssh or adb, which this version has not.
    """
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    if name.partition(":")[0] in _LATER:
        raise UsageError(f"device {name!r} is not available in this version; only 'local' (this machine) is")
    if name != "local":
        raise UnknownNameError("device", name, ["local"])
    return LocalDevice(engine=engine, core=core, realtime=realtime, timeout_s=timeout_s)
