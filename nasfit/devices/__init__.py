"""Where a network runs: a device, the engine on it, and sessions that time one network at a time.

The engine lives in a process of its own (`worker.py`, which needs nothing of nasfit), so a network that crashes or
hangs it costs that network alone.
"""

from nasfit.devices.checking import check_device
from nasfit.devices.device import Description, Device, DeviceFactory, Resources, Sample, Session, State
from nasfit.devices.engines import ENGINES, Engine, engine_named
from nasfit.devices.listing import Found, found_devices
from nasfit.devices.local import LocalDevice
from nasfit.devices.opening import open_device, open_devices
from nasfit.devices.session import WorkerSession, WorkerSettings, greet
from nasfit.devices.worker_process import WorkerDied, WorkerProcess, WorkerRefused, WorkerTimeout

__all__ = [
    "ENGINES",
    "Description",
    "Device",
    "DeviceFactory",
    "Engine",
    "Found",
    "LocalDevice",
    "Resources",
    "Sample",
    "Session",
    "State",
    "WorkerDied",
    "WorkerProcess",
    "WorkerRefused",
    "WorkerSession",
    "WorkerSettings",
    "WorkerTimeout",
    "check_device",
    "engine_named",
    "found_devices",
    "greet",
    "open_device",
    "open_devices",
]
