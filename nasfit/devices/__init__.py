"""Where a network runs: a device, the engine on it, and sessions that time one network at a time.

The engine lives in a process of its own (`worker.py`, which needs nothing of nasfit), so a network that crashes or
hangs it costs that network alone.
"""

from nasfit.devices.checking import check_device
from nasfit.devices.device import Description, Device, Sample, Session
from nasfit.devices.local import LocalDevice
from nasfit.devices.opening import ENGINES, open_device
from nasfit.devices.worker_process import WorkerDied, WorkerProcess, WorkerRefused, WorkerTimeout

__all__ = [
    "ENGINES",
    "Description",
    "Device",
    "LocalDevice",
    "Sample",
    "Session",
    "WorkerDied",
    "WorkerProcess",
    "WorkerRefused",
    "WorkerTimeout",
    "check_device",
    "open_device",
]
