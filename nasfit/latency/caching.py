"""The name under which a measurement is kept."""

from __future__ import annotations

import hashlib


def measurement_key(architecture: str, device: str, engine: str) -> str:
    """Key of a latency: the same network on the same device and engine version, and nothing else, has the same one.

    architecture: its one-line text. device, engine: as in `Description`. 32 hexadecimal digits of a SHA-256.
    """
    return hashlib.sha256("\n".join((architecture, device, engine)).encode()).hexdigest()[:32]
