"""A device that goes away is waited for: unplugged, rebooting, cut off."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from nasfit.devices import Device
from nasfit.errors import DeviceGone

T = TypeVar("T")

log = logging.getLogger("nasfit.search")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 15.0


def until_back(device: Device, work: Callable[[], T]) -> T:
    """The work's value; each time the device is gone, waits until it answers and begins the work anew.

    Other errors pass. Waits without end: whoever watches sees the message, and Ctrl-C loses nothing.
    """
    while True:
        try:
            return work()
        except DeviceGone as gone:
            log.warning("%s; waiting for it, Ctrl-C stops and loses nothing", gone)
        pause_s = FIRST_PAUSE_S
        while not _answers(device):
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        log.warning("device %s is back; going on", device.name)


def _answers(device: Device) -> bool:
    try:
        device.describe()
    except DeviceGone:
        return False
    return True
