"""The name under which a measurement is kept."""

from __future__ import annotations

import hashlib


def measurement_key(network: str, device: str, engine: str) -> str:
    """Key of a latency: the same network on the same device and engine version, and nothing else, has the same one.

    network: the architecture's one-line text, with the precision where it is not fp32. device, engine: as in
    `Description`. 32 hexadecimal digits of a SHA-256.
    """
    return hashlib.sha256("\n".join((network, device, engine)).encode()).hexdigest()[:32]
